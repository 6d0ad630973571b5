# SPDX-License-Identifier: Apache-2.0
"""HTTP routes of the fleet: status of terminals, the release repository."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.openapi import OpenAPI
from pydantic import BaseModel, Field

from server.fleet import offering, replacement, services
from server.fleet.services import STATUS_SIZE_MAX, Told
from server.runtime import current_runtime
from server.terminals.views import PROBLEM, SignatureHex, TerminalPath
from swipe.requests import SUCCESSION_CONTEXT

blueprint = APIBlueprint("fleet", __name__, url_prefix="/api/v1/terminals")


class StatusBody(BaseModel):
    """How a terminal does: the text it signed, and the signature."""

    status: Annotated[str, Field(max_length=STATUS_SIZE_MAX)]
    signature: SignatureHex


class StatusAnswer(BaseModel):
    """That it was heard."""

    heard: bool


@blueprint.post(
    "/<int:terminal>/status",
    summary="Tell how a terminal is doing",
    responses={200: StatusAnswer, 401: PROBLEM, 422: PROBLEM},
)
def status(path: TerminalPath, body: StatusBody) -> Response | dict[str, bool]:
    """Keep the newest status of the terminal that signed it."""
    runtime = current_runtime()
    told = Told(path.terminal, body.status, bytes.fromhex(body.signature))
    with runtime.database.writing() as session:
        services.take_status(session, told, runtime.clock.utc_ms())
    return StatusAnswer(heard=True).model_dump()


class SuccessionBody(BaseModel):
    """The new box's signature over POST and this path."""

    signature: SignatureHex


class SuccessionAnswer(BaseModel):
    """Where a replaced terminal goes on, signed; all of it empty while nobody has approved."""

    approved: bool
    receipt: str = ""
    head: str = ""
    last_seq: int = 0
    boot: int = 0
    n_in: int = 0
    n_out: int = 0
    n_rej: int = 0
    signature: str = ""


@blueprint.post(
    "/<int:terminal>/succession",
    summary="Ask where the box that replaces a dead one goes on",
    responses={200: SuccessionAnswer, 401: PROBLEM, 404: PROBLEM, 409: PROBLEM},
)
def succession(path: TerminalPath, body: SuccessionBody) -> dict[str, Any]:
    """Return the last receipt and the running figures to the new box."""
    runtime = current_runtime()
    with runtime.database.reading() as session:
        found = replacement.succession(session, path.terminal, bytes.fromhex(body.signature))
    if found is None:
        return SuccessionAnswer(approved=False).model_dump()
    answer = SuccessionAnswer(
        approved=True,
        receipt=found.receipt.hex(),
        head=found.head.hex(),
        last_seq=found.last_seq,
        boot=found.boot,
        n_in=found.n_in,
        n_out=found.n_out,
        n_rej=found.n_rej,
        signature=runtime.identity.sign(SUCCESSION_CONTEXT, found.message).hex(),
    )
    return answer.model_dump()


def register(app: OpenAPI) -> None:
    """Hang the routes of this feature on the application."""
    app.register_api(blueprint)
    app.register_api(offering.blueprint)
