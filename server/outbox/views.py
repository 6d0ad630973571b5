# SPDX-License-Identifier: Apache-2.0
"""Where a provider reports what it delivered."""

from __future__ import annotations

import hmac
from typing import Any, Literal

from flask import Response, request
from flask_openapi.models.tag import Tag
from flask_openapi.openapi import OpenAPI
from pydantic import BaseModel, Field

from server.errors import PROBLEM_TYPE, Problem
from server.outbox import services
from server.runtime import current_runtime

TAG = Tag(name="outbox", description="消息回执 · delivery reports of message providers")
PROBLEM: dict[str, Any] = {
    "description": "Problem document, RFC 9457, Chinese and English",
    "content": {PROBLEM_TYPE: {"schema": {"type": "object"}}},
}
PROBLEMS: dict[str | int, Any] = dict.fromkeys((400, 401, 404, 422, 503), PROBLEM)


class Report(BaseModel):
    """One report; `reference` is the one the message was handed over with."""

    reference: str = Field(pattern="^[0-9a-f]{32}$")
    state: Literal["delivered", "failed"]
    detail: str = Field(default="", max_length=services.OUTCOME_MAX)


def register(app: OpenAPI) -> None:
    """Hang the route on the application."""

    @app.post(
        "/api/v1/outbox/reports", tags=[TAG], security=[{"account": list[str]()}],
        responses=PROBLEMS,
    )  # fmt: skip
    def take_report(body: Report) -> Response:
        """Note that a message was delivered, or was not."""
        runtime = current_runtime()
        _check_token(runtime.config.outbox.report_token)
        with runtime.database.writing() as session:
            known = services.report(
                session, body.reference, body.state == "delivered", body.detail,
                runtime.clock.utc_ms(),
            )  # fmt: skip
        if not known:
            raise Problem(404, "unknown-message", "没有这条消息", "no message of this reference")
        return Response(status=204)


def _check_token(wanted: str) -> None:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
    if not wanted or not hmac.compare_digest(given, wanted.encode()):
        raise Problem(
            401, "not-authorised", "未授权", "the token of [outbox] report_token is needed"
        )
