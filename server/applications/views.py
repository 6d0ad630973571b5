# SPDX-License-Identifier: Apache-2.0
"""HTTP routes of applications, for the programs of apps, terminals and call centres.

The same use case as on the pages: the same checks, the same record, with the channel it came by.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any, Literal

from flask import request
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.openapi import OpenAPI
from pydantic import BaseModel, Field

from server.applications import listing, rate, services
from server.applications.checking import Form
from server.applications.documents import DocumentKind
from server.applications.errors import Duplicate, Faulty, Unmet
from server.applications.listing import ITEMS_MAX, Sought
from server.applications.photos import BYTES_MAX
from server.applications.policy import (
    OPEN_STATES,
    PROGRAM_TRIES_MAX,
    Agreement,
    Carrier,
    Channel,
    Fault,
    State,
)
from server.applications.services import Submission, Via
from server.errors import Problem, Refused
from server.exchange.policy import Scope
from server.exchange.views import (
    PROBLEM,
    PROBLEMS,
    SECURITY,
    allowed_account,
    answered,
    idempotency_key,
    remember,
)
from server.runtime import current_runtime

NUMBER_MAX = 2**53
# Base64 is a third longer; the form beside it is small.
BODY_BYTES_MAX = BYTES_MAX * 4 // 3 + 64 * 1024
TEXT = Field(default="", max_length=300)
blueprint = APIBlueprint("applications", __name__, url_prefix="/api/v1", abp_security=SECURITY)


class ApplicationBody(BaseModel):
    """An application: fields as typed, the photo's JPEG in Base64, accepted versions by kind."""

    name: Annotated[str, TEXT] = ""
    birth: Annotated[str, TEXT] = ""
    document_kind: DocumentKind = DocumentKind.MAINLAND_ID
    document_number: Annotated[str, TEXT] = ""
    mobile: Annotated[str, TEXT] = ""
    address: Annotated[str, TEXT] = ""
    emergency_name: Annotated[str, TEXT] = ""
    emergency_mobile: Annotated[str, TEXT] = ""
    guardian_number: Annotated[str, TEXT] = ""
    carrier: Carrier = Carrier.DEBIT
    branch_code: Annotated[str, Field(max_length=16)] = ""
    organisation_id: Annotated[int, Field(ge=1, le=NUMBER_MAX)] | None = None
    channel: Literal["online", "app", "terminal", "call"] = "app"
    photo: Annotated[str, Field(max_length=BYTES_MAX * 4 // 3 + 4)] = ""
    accepted: dict[Agreement, int] = Field(default_factory=dict)


class DecisionBody(BaseModel):
    """A decision and why."""

    decision: Literal["approve", "reject"]
    reason: Annotated[str, Field(max_length=200)] = ""


class ApplicationPath(BaseModel):
    """The application in the path."""

    application: Annotated[int, Field(ge=1, le=NUMBER_MAX)]


class ApplicationsQuery(BaseModel):
    """Which applications, and where the list goes on: the newest first."""

    state: State | None = None
    cursor: Annotated[int, Field(ge=1, le=NUMBER_MAX)] | None = None
    limit: Annotated[int, Field(ge=1, le=ITEMS_MAX)] = ITEMS_MAX


class SubmittedAnswer(BaseModel):
    """The new application: its number, the preliminary number, and what staff should look at."""

    id: int
    number: str
    state: str
    warnings: list[str]


class ItemAnswer(BaseModel):
    """One application, masked, with its conditions."""

    id: int
    number: str
    masked_name: str
    state: str
    conditions: list[dict[str, Any]]


class ListAnswer(BaseModel):
    """Applications, masked, and the cursor for older ones; null at the end."""

    items: list[dict[str, Any]]
    next: int | None


class TextsAnswer(BaseModel):
    """What applicants accept, in its present versions."""

    items: list[dict[str, Any]]


class DecidedAnswer(BaseModel):
    """The state after a decision; an approval gives the official number."""

    state: str
    number: str


@blueprint.before_request
def limit_body() -> None:
    """Take no body larger than an application with the largest photo."""
    request.max_content_length = BODY_BYTES_MAX


@blueprint.get("/agreements", summary="What to accept", responses={200: TextsAnswer, **PROBLEMS})
def get_agreements() -> dict[str, Any]:
    """Return the present versions of everything that applicants accept or declare."""
    with allowed_account(Scope.APPLICATIONS_WRITE) as (session, _):
        names = ("kind", "version", "title_zh", "title_en", "text_zh", "text_en")
        rows = services.current_texts(session)
        return {"items": [{name: getattr(row, name) for name in names} for row in rows]}


@blueprint.post(
    "/applications",
    summary="Hand an application in",
    responses={201: SubmittedAnswer, 409: PROBLEM, 413: PROBLEM, 429: PROBLEM, **PROBLEMS},
)
def post_application(body: ApplicationBody) -> tuple[dict[str, Any], int]:
    """Take an application in. The same Idempotency-Key with the same body: the same answer.

    The person signs in with a one-time code that the service desk gives. An address that hands in
    too many within a quarter of an hour hears 429, with the time to wait.
    """
    runtime, key = current_runtime(), idempotency_key()
    source = rate.address_key(runtime.web_secret, "program", request.remote_addr or "")
    rate.admit(runtime.database, source, PROGRAM_TRIES_MAX, runtime.clock.utc_ms())
    digest = hashlib.sha256(b"application\0" + body.model_dump_json().encode()).digest()
    fields = body.model_dump(
        exclude={"photo", "accepted", "organisation_id", "channel"}, mode="json"
    )
    given = Submission(Form(**fields), _photo(body.photo), body.accepted, body.organisation_id)
    with _told(), allowed_account(Scope.APPLICATIONS_WRITE) as (session, account):
        if (before := answered(session, account, key, digest)) is not None:
            return before, 201
        via = Via(Channel(body.channel), f"account:{account.name}", with_code=False)
        now_ms = runtime.clock.utc_ms()
        made = services.submit(session, runtime.store, given, via, now_ms)
        answer = {
            "id": made.application_id,
            "number": made.number,
            "state": State.SUBMITTED.value,
            "warnings": [one.code for one in made.warnings if one.code != "namesake"],
        }
        remember(session, account, key, (digest, answer, now_ms))
    return answer, 201


@blueprint.get(
    "/applications", summary="List applications", responses={200: ListAnswer, **PROBLEMS}
)
def get_applications(query: ApplicationsQuery) -> dict[str, Any]:
    """Return applications, masked, the newest first."""
    states = (query.state,) if query.state else OPEN_STATES
    with allowed_account(Scope.APPLICATIONS_READ) as (session, _):
        rows = listing.list_applications(session, Sought(states), query.cursor, query.limit)
    return {
        "items": [asdict(row) for row in rows],
        "next": rows[-1].id if len(rows) == query.limit else None,
    }


@blueprint.get(
    "/applications/<int:application>",
    summary="One application and its conditions",
    responses={200: ItemAnswer, **PROBLEMS},
)
def get_application(path: ApplicationPath) -> dict[str, Any]:
    """Return one application, masked, with every condition, met or not."""
    runtime = current_runtime()
    with _told(), allowed_account(Scope.APPLICATIONS_READ) as (session, _):
        full = listing.full(session, path.application, runtime.clock.utc_ms())
    return {
        "id": full.item.id,
        "number": full.item.number,
        "masked_name": full.item.masked_name,
        "state": full.item.state,
        "conditions": [asdict(one) for one in full.conditions],
    }


@blueprint.post(
    "/applications/<int:application>/decision",
    summary="Decide on an application",
    responses={200: DecidedAnswer, 409: PROBLEM, **PROBLEMS},
)
def post_decision(path: ApplicationPath, body: DecisionBody) -> dict[str, Any]:
    """Approve or reject; unmet conditions are 409 and listed. The same key: the same answer."""
    runtime, key = current_runtime(), idempotency_key()
    told = f"decision\0{path.application}\0{body.decision}\0{body.reason}"
    digest = hashlib.sha256(told.encode()).digest()
    with _told(), allowed_account(Scope.APPLICATIONS_DECIDE) as (session, account):
        if (before := answered(session, account, key, digest)) is not None:
            return before
        actor, now_ms = f"account:{account.name}", runtime.clock.utc_ms()
        if body.decision == "approve":
            number = services.approve(
                session, runtime.store, path.application, actor, now_ms, body.reason
            )
            answer = {"state": State.APPROVED.value, "number": number}
        else:
            services.reject(session, path.application, actor, now_ms, body.reason)
            item = listing.find(session, path.application)
            answer = {"state": State.REJECTED.value, "number": item.number}
        remember(session, account, key, (digest, answer, now_ms))
    return answer


def register(app: OpenAPI) -> None:
    """Hang the routes of this feature on the application."""
    app.register_api(blueprint)


@contextmanager
def _told() -> Iterator[None]:
    """Turn refusals into problem documents; the unit of work inside is rolled back."""
    try:
        yield
    except Faulty as wrong:
        raise Problem(
            422, "application-faulty", wrong.zh, wrong.en,
            faults=[asdict(fault) for fault in wrong.faults],
        ) from wrong  # fmt: skip
    except Duplicate as known:
        raise Problem(409, known.code, known.zh, known.en, number=known.masked) from known
    except Unmet as unmet:
        conditions = [asdict(one) for one in unmet.unmet]
        raise Problem(409, unmet.code, unmet.zh, unmet.en, unmet=conditions) from unmet
    except Refused as refused:
        status = 404 if refused.code.startswith("unknown-") else 409
        raise Problem(status, refused.code, refused.zh, refused.en) from refused


def _photo(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        wrong = Fault("photo", "photo-base64", "照片须为 Base64", "the photo must be Base64")
        raise Problem(
            422, "application-faulty", wrong.zh, wrong.en, faults=[asdict(wrong)]
        ) from error
