# SPDX-License-Identifier: Apache-2.0
"""HTTP routes of the desk: jobs, their plan, the card's answers, boxes.

People work here, so the person is the one whose page asks: the pages say who that is and check
the form token (`OPERATOR`); without pages nobody may.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

from flask import current_app
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.openapi import OpenAPI
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from server.desk import boxes, policy, services, sessions
from server.desk.content import Bench, Operator
from server.desk.models import DeskBox, DeskJob
from server.desk.services import NewJob, PinWish
from server.errors import Problem, Refused
from server.exchange.views import PROBLEM, PROBLEMS
from server.runtime import current_runtime

# The pages store here a function () -> Operator that raises Problem for who may not.
OPERATOR = "yika.desk_operator"

Reference = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Serial = Annotated[str, Field(pattern=r"^([0-9]{20})?$")]
Reason = Annotated[str, Field(max_length=policy.REASON_LENGTH_MAX)]

# What any route here may answer: nobody is signed in, who may not, a rule that says no.
blueprint = APIBlueprint(
    "desk", __name__, url_prefix="/api/v1/desk", abp_responses={409: PROBLEM, **PROBLEMS}
)


class PinBody(BaseModel):
    """A PIN of an application that has one."""

    aid: Annotated[str, Field(max_length=32)]
    number: Annotated[int, Field(ge=0, le=255)] = 0
    new: Annotated[str, Field(max_length=12)]
    old: Annotated[str, Field(max_length=12)] = ""


class JobBody(BaseModel):
    """What is to be done with a card."""

    kind: Annotated[str, Field(max_length=16)]
    number: Annotated[str, Field(max_length=10)] = ""
    asn: Serial = ""
    reason: Reason = ""
    cause: Annotated[str, Field(max_length=8)] = ""
    id_checked: bool = False
    valid_to: dt.date | None = None
    for_good: bool = False
    pin: PinBody | None = None


class JobPath(BaseModel):
    """A job."""

    reference: Reference


class JobsQuery(BaseModel):
    """A page of the list of jobs."""

    after: Annotated[int, Field(ge=0, le=2**53)] = 0
    limit: Annotated[int, Field(ge=1, le=services.JOBS_SHOWN_MAX)] = 50
    open: bool = True


class JobAnswer(BaseModel):
    """A job as it stands."""

    id: int
    reference: str
    kind: str
    state: str
    asn: str | None
    old_asn: str | None
    order_no: str | None
    box: int | None
    masked_name: str
    reason: str
    actor: str
    writes: int
    text_zh: str
    text_en: str
    result: dict[str, Any]
    created_ms: int
    changed_ms: int


class JobsAnswer(BaseModel):
    """Jobs, newest first; `next` is the cursor to go on from, 0 at the end."""

    items: list[JobAnswer]
    next: int


class PlanStep(BaseModel):
    """One step of a plan and its commands, masked."""

    zh: str
    en: str
    commands: list[str]


class PlanAnswer(BaseModel):
    """What a job would do."""

    steps: list[PlanStep]
    writes: int | None
    free_bytes: int | None
    fields: list[str]


class BeginBody(BaseModel):
    """The card that was just powered: its answer to reset."""

    atr: Annotated[str, Field(pattern=r"^([0-9a-fA-F]{2}){2,33}$")]


class AnswerBody(BaseModel):
    """The card's answers to the commands of a step: data and status word each."""

    session: Reference
    step: Annotated[int, Field(ge=0, le=policy.COMMANDS_MAX)]
    answers: Annotated[
        list[Annotated[str, Field(pattern=r"^([0-9a-fA-F]{2}){2,258}$")]],
        Field(min_length=1, max_length=policy.ANSWERS_MAX),
    ]


class NextAnswer(BaseModel):
    """The next commands in hex; without one the session is over."""

    session: str
    step: int
    commands: list[str]
    state: str
    text_zh: str
    text_en: str
    result: dict[str, Any]


class ReasonBody(BaseModel):
    """Why."""

    reason: Reason


class BoxBody(BaseModel):
    """A box to open."""

    name: Annotated[str, Field(max_length=boxes.NAME_LENGTH_MAX)]
    received: Annotated[int, Field(ge=0, le=policy.BOX_MAX)]
    numbers: Annotated[list[Annotated[str, Field(max_length=10)]], Field(max_length=policy.BOX_MAX)]


class BoxPath(BaseModel):
    """A box."""

    box: Annotated[int, Field(ge=1, le=2**53)]


class CountBody(BaseModel):
    """What was counted when a box is closed; a difference needs its reason."""

    counted: Annotated[int, Field(ge=0, le=policy.BOX_MAX)]
    reason: Reason = ""


class StockAnswer(BaseModel):
    """The count of a box."""

    received: int
    issued: int
    spoilt: int
    left: int
    counted: int | None
    difference: int


class TickAnswer(BaseModel):
    """One line of the tick list."""

    position: int
    masked_name: str
    state: str
    reference: str | None
    asn: str | None


class BoxAnswer(BaseModel):
    """A box as it stands."""

    box: int
    name: str
    closed: bool
    stock: StockAnswer
    lines: list[TickAnswer]


class TranscriptAnswer(BaseModel):
    """What was said to the card, secrets overwritten."""

    lines: list[dict[str, Any]]


class NextJobAnswer(BaseModel):
    """The job of the next person of a box; none when nobody waits."""

    job: JobAnswer | None


@blueprint.post("/jobs", summary="Plan something to be done with a card",
                responses={200: JobAnswer})  # fmt: skip
def create(body: JobBody) -> dict[str, Any]:
    """Make a job, or return the open one for the same person or card."""
    pin = PinWish(**body.pin.model_dump()) if body.pin is not None else None
    values = body.model_dump(exclude={"pin"})
    with _writing() as (session, bench):
        return _job(session, services.create(session, bench, NewJob(**values, pin=pin)))


@blueprint.get("/jobs", summary="List jobs, newest first", responses={200: JobsAnswer})
def jobs(query: JobsQuery) -> dict[str, Any]:
    """Return jobs, by default those that are open."""
    bench = _bench()
    with current_runtime().database.reading() as session:
        rows = services.listed(session, bench, query.after, query.limit, open_only=query.open)
        more = rows[-1].id if len(rows) == query.limit else 0
        return {"items": [_job(session, row) for row in rows], "next": more}


@blueprint.get("/jobs/<reference>", summary="Show a job", responses={200: JobAnswer})
def show(path: JobPath) -> dict[str, Any]:
    """Return one job as it stands."""
    bench = _bench()
    with current_runtime().database.reading() as session:
        return _job(session, services.find(session, bench, path.reference))


@blueprint.get("/jobs/<reference>/plan", summary="Show what a job would do",
               responses={200: PlanAnswer})  # fmt: skip
def plan(path: JobPath) -> dict[str, Any]:
    """Return steps and commands, secrets and personal data masked."""
    bench = _bench()
    with current_runtime().database.reading() as session:
        return services.plan(session, bench, path.reference)


@blueprint.post("/jobs/<reference>/sessions", summary="Begin with the card on the reader",
                responses={200: NextAnswer})  # fmt: skip
def begin(path: JobPath, body: BeginBody) -> dict[str, Any]:
    """Begin, or go on with the card that was begun; return the first commands."""
    with _writing() as (session, bench):
        atr = bytes.fromhex(body.atr)
        return asdict(services.begin(session, bench, path.reference, atr))


@blueprint.post("/jobs/<reference>/answer", summary="Bring the card's answers",
                responses={200: NextAnswer})  # fmt: skip
def answer(path: JobPath, body: AnswerBody) -> dict[str, Any]:
    """Take the card's answers; the same ones again get the same next commands."""
    said = [bytes.fromhex(text) for text in body.answers]
    with _writing() as (session, bench):
        key = (body.session, body.step)
        return asdict(services.answer(session, bench, path.reference, key, said))


@blueprint.post("/jobs/<reference>/spoilt", summary="Throw the card in hand away",
                responses={200: JobAnswer})  # fmt: skip
def spoilt(path: JobPath, body: ReasonBody) -> dict[str, Any]:
    """Note the reason; the job goes on with another blank."""
    with _writing() as (session, bench):
        return _job(session, services.spoil(session, bench, path.reference, body.reason))


@blueprint.post("/jobs/<reference>/cancel", summary="Give a job up", responses={200: JobAnswer})
def cancel(path: JobPath) -> dict[str, Any]:
    """Give a job up that has begun no card."""
    with _writing() as (session, bench):
        return _job(session, services.cancel(session, bench, path.reference))


@blueprint.post("/jobs/<reference>/handed-over", summary="The holder got the card",
                responses={200: JobAnswer})  # fmt: skip
def handed_over(path: JobPath) -> dict[str, Any]:
    """Let a card of a box count from now on."""
    with _writing() as (session, bench):
        return _job(session, services.hand_over(session, bench, path.reference))


@blueprint.get("/jobs/<reference>/transcript", summary="Show what was said to the card, masked",
               responses={200: TranscriptAnswer})  # fmt: skip
def transcript(path: JobPath) -> dict[str, Any]:
    """Return every exchange of a job, secrets overwritten."""
    bench = _bench()
    with current_runtime().database.reading() as session:
        return {
            "lines": sessions.transcript(session, services.find(session, bench, path.reference))
        }


@blueprint.post("/boxes", summary="Open a box of blank cards", responses={200: BoxAnswer})
def open_box(body: BoxBody) -> dict[str, Any]:
    """Open a box with its list; the same again gives the same box."""
    new = boxes.NewBox(body.name, body.received, body.numbers)
    with _writing() as (session, bench):
        return _box(session, boxes.open_box(session, bench, new))


@blueprint.get("/boxes/<int:box>", summary="Show a box", responses={200: BoxAnswer})
def box(path: BoxPath) -> dict[str, Any]:
    """Return the count and the tick list."""
    bench = _bench()
    with current_runtime().database.reading() as session:
        return _box(session, boxes.find(session, bench, path.box))


@blueprint.post("/boxes/<int:box>/next", summary="The next person of a box",
                responses={200: NextJobAnswer})  # fmt: skip
def next_of_box(path: BoxPath) -> dict[str, Any]:
    """Return the job of the first who waits; asked again, the same one."""
    with _writing() as (session, bench):
        job = services.next_of_box(session, bench, path.box)
        return {"job": None if job is None else _job(session, job)}


@blueprint.post("/boxes/<int:box>/close", summary="Count and close a box",
                responses={200: BoxAnswer})  # fmt: skip
def close_box(path: BoxPath, body: CountBody) -> dict[str, Any]:
    """Count what is left; a difference needs its reason."""
    with _writing() as (session, bench):
        boxes.close(session, bench, path.box, body.counted, body.reason)
        return _box(session, boxes.find(session, bench, path.box))


def _operator() -> Operator:
    """Return who works at the desk.

    Raises:
        Problem: 401 nobody is signed in; 403 somebody who may not.
    """
    ask: Callable[[], Operator] | None = current_app.extensions.get(OPERATOR)
    if ask is None:
        raise Problem(401, "not-signed-in", "请先登录", "sign in first")
    return ask()


def _bench() -> Bench:
    runtime = current_runtime()
    return Bench(runtime.store, runtime.clock.utc_ms(), _operator())


@contextmanager
def _writing() -> Iterator[tuple[Session, Bench]]:
    """Give a unit of work; a rule that says no becomes a problem document."""
    bench = _bench()
    try:
        with current_runtime().database.writing() as session:
            yield session, bench
            session.flush()
    except Refused as error:
        raise Problem(409, error.code, error.zh, error.en) from error


def _job(session: Session, job: DeskJob) -> dict[str, Any]:
    session.flush()
    return services.document(session, job)


def _box(session: Session, found: DeskBox) -> dict[str, Any]:
    session.flush()
    count = boxes.stock(session, found.id)
    ticks = [asdict(tick) for tick in boxes.tick_list(session, found.id)]
    for tick in ticks:
        del tick["number"], tick["volunteer_id"]
    return {
        "box": found.id, "name": found.name, "closed": found.closed_ms is not None,
        "stock": {**asdict(count), "left": count.left, "difference": count.difference},
        "lines": ticks,
    }  # fmt: skip


def register(app: OpenAPI) -> None:
    """Hang the routes of this feature on the application."""
    app.register_api(blueprint)
