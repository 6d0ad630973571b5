# SPDX-License-Identifier: Apache-2.0
"""HTTP routes by which terminals ask for updates of cards and carry them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from flask import request
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.openapi import OpenAPI
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from server.runtime import Runtime, current_runtime
from server.terminals import requests
from server.terminals.views import PROBLEM, TerminalPath
from server.updates import services
from server.updates.services import ASKED_MAX, Answered, Bench

AsnHex = Annotated[str, Field(pattern=r"^[0-9]{20}$")]

blueprint = APIBlueprint("updates", __name__, url_prefix="/api/v1/terminals")


class AskedBody(BaseModel):
    """Cards that tapped lately."""

    cards: Annotated[list[AsnHex], Field(max_length=ASKED_MAX)]


class WaitingAnswer(BaseModel):
    """Those of them an update waits for."""

    cards: list[str]


class CardPath(TerminalPath):
    """A terminal and the card on its reader."""

    asn: AsnHex


class SessionPath(TerminalPath):
    """A terminal and its session."""

    session: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class AnswerBody(BaseModel):
    """The card's answer to the command of a step: data and status word."""

    step: Annotated[int, Field(ge=0, le=1_000)]
    answer: Annotated[str, Field(pattern=r"^([0-9a-fA-F]{2}){2,300}$")]


class LogEntry(BaseModel):
    """One entry of a card's log, read with MACs: its place (1 is the newest) and its bytes."""

    index: int
    record: str


class CarryAnswer(BaseModel):
    """The next command in hex; without one the session is over."""

    session: str
    step: int
    command: str | None
    state: str | None
    text_zh: str
    text_en: str
    log: list[LogEntry] = []


@blueprint.post(
    "/<int:terminal>/updates/waiting",
    summary="Ask which cards have an update waiting",
    responses={200: WaitingAnswer, 401: PROBLEM},
)
def waiting(path: TerminalPath, body: AskedBody) -> dict[str, Any]:
    """Return those of the named cards that an update waits for."""
    runtime = current_runtime()
    with runtime.database.writing() as session:
        _authenticate(session, runtime, path.terminal)
        found = services.waiting(session, body.cards)
    return WaitingAnswer(cards=found).model_dump()


@blueprint.post(
    "/<int:terminal>/updates/cards/<asn>",
    summary="Begin to carry a card's update",
    responses={200: CarryAnswer, 401: PROBLEM, 404: PROBLEM},
)
def begin(path: CardPath) -> dict[str, Any]:
    """Open a session for the card on the reader and return its first command."""
    runtime = current_runtime()
    with runtime.database.writing() as session:
        _authenticate(session, runtime, path.terminal)
        answered = services.begin(session, _bench(runtime), path.asn, path.terminal)
    return _told(answered)


@blueprint.post(
    "/<int:terminal>/updates/sessions/<session>",
    summary="Bring the card's answer, get the next command",
    responses={200: CarryAnswer, 401: PROBLEM, 404: PROBLEM, 409: PROBLEM, 413: PROBLEM},
)
def go_on(path: SessionPath, body: AnswerBody) -> dict[str, Any]:
    """Take one answer of the card and return the next command, or how the update ended."""
    runtime = current_runtime()
    with runtime.database.writing() as session:
        _authenticate(session, runtime, path.terminal)
        key = (path.terminal, path.session)
        answer = bytes.fromhex(body.answer)
        answered = services.go_on(session, _bench(runtime), key, body.step, answer)
    return _told(answered)


def _authenticate(session: Session, runtime: Runtime, terminal_id: int) -> None:
    signed = requests.SignedRequest(
        request.method, request.path, request.headers.get("Authorization"), request.get_data()
    )
    requests.authenticate(session, terminal_id, signed, runtime.clock.utc_ms())


def _bench(runtime: Runtime) -> Bench:
    return Bench(runtime.store, runtime.clock.utc_ms())


def _told(answered: Answered) -> dict[str, Any]:
    return CarryAnswer.model_validate(asdict(answered)).model_dump()


def register(app: OpenAPI) -> None:
    """Hang the routes of this feature on the application."""
    app.register_api(blueprint)
