# SPDX-License-Identifier: Apache-2.0
"""The route by which a terminal asks what a card's holder has."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from flask import request
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.openapi import OpenAPI
from pydantic import BaseModel, Field

from server.inquiry import services
from server.runtime import current_runtime
from server.terminals import requests
from server.terminals.views import PROBLEM, TerminalPath

blueprint = APIBlueprint("inquiry", __name__, url_prefix="/api/v1/terminals")


class AskedPath(TerminalPath):
    """A terminal and the card laid on its reader."""

    asn: Annotated[str, Field(pattern=r"^[0-9]{20}$")]


class SummaryAnswer(BaseModel):
    """Whole minutes, stars, coins as text, the card's state."""

    today_min: int
    total_min: int
    level: int
    coins: str
    state: str


@blueprint.get(
    "/<int:terminal>/cards/<asn>/summary",
    summary="What a card's holder has: minutes, level, coins",
    responses={200: SummaryAnswer, 401: PROBLEM, 404: PROBLEM},
)
def summary(path: AskedPath) -> dict[str, Any]:
    """Sum up the holder of a card for the terminal that signed the request."""
    runtime = current_runtime()
    now_ms = runtime.clock.utc_ms()
    signed = requests.SignedRequest(
        request.method, request.path, request.headers.get("Authorization")
    )
    with runtime.database.writing() as session:
        terminal = requests.authenticate(session, path.terminal, signed, now_ms)
        found = services.summarise(session, terminal, path.asn, now_ms)
    return SummaryAnswer(**asdict(found)).model_dump()


def register(app: OpenAPI) -> None:
    """Hang the route on the application."""
    app.register_api(blueprint)
