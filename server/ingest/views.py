# SPDX-License-Identifier: Apache-2.0
"""HTTP route of ingest: PUT one batch, get one signed receipt."""

from __future__ import annotations

import time
from typing import Annotated, Any

from flask import Response, request
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.request_body import RequestBody
from flask_openapi.openapi import OpenAPI
from pydantic import BaseModel, Field
from werkzeug.exceptions import RequestEntityTooLarge

from server.errors import Problem
from server.ingest import settlement
from server.ingest.checks import too_large
from server.ingest.services import Answer, Intake, Upload, accept_batch
from server.runtime import Runtime, current_runtime
from server.telemetry import Metrics
from server.terminals import requests
from server.terminals.views import BINARY, NOTICE_TYPE, PROBLEM, signer_of, unsent_header
from swipe.batch import MAX_BATCH_SIZE

UPLOAD: dict[str, Any] = {
    "description": "Batch header (192 bytes) and 1 to 1000 events of 224 bytes",
    "content": {NOTICE_TYPE: {"schema": {"type": "string", "format": "binary"}}},
}

blueprint = APIBlueprint("ingest", __name__, url_prefix="/api/v1/terminals")


class BatchPath(BaseModel):
    """Terminal and batch number in the path."""

    terminal: Annotated[int, Field(ge=1, le=2**63 - 1)]
    number: Annotated[int, Field(ge=0, le=2**32 - 1)]


class SettlementPath(BaseModel):
    """Terminal and the number of its CLOSE in the path."""

    terminal: Annotated[int, Field(ge=1, le=2**63 - 1)]
    close_seq: Annotated[int, Field(ge=1, le=2**32 - 1)]


class SaidTotals(BaseModel):
    """The totals in the CLOSE, null while it is not stored."""

    n_in: int | None
    n_out: int | None
    n_rej: int | None


class SettlementAnswer(BaseModel):
    """How a CLOSE compares with what is stored; spans are [first, last]."""

    state: str
    equal: bool
    day: int
    n_in: int
    n_out: int
    n_rej: int
    said: SaidTotals
    missing: list[list[int]]
    unequal: list[list[int]]


@blueprint.put(
    "/<int:terminal>/batches/<int:number>",
    summary="Upload one batch of signed events",
    request_body=RequestBody.model_validate(UPLOAD),
    responses={
        200: BINARY,
        401: PROBLEM,
        409: PROBLEM,
        413: PROBLEM,
        422: PROBLEM,
        429: PROBLEM,
        503: PROBLEM,
    },
)
def put_batch(path: BatchPath) -> Response:
    """Store a batch and answer with its receipt; a replay gets the same receipt again."""
    runtime = current_runtime()
    body = _body()
    started = time.perf_counter()
    upload = Upload(path.terminal, path.number, body, runtime.clock.utc_ms(), unsent_header())
    answer = accept_batch(intake_of(runtime), upload)
    _count(runtime.metrics, answer, time.perf_counter() - started)
    if answer.problem is not None:
        raise answer.problem
    return Response(answer.body, content_type=NOTICE_TYPE)


@blueprint.get(
    "/<int:terminal>/settlements/<int:close_seq>",
    summary="Compare the totals of a CLOSE with what is stored",
    responses={200: SettlementAnswer, 401: PROBLEM},
)
def get_settlement(path: SettlementPath) -> dict[str, Any]:
    """Tell the terminal that signed the request whether its totals and the server's are equal."""
    runtime = current_runtime()
    now_ms = runtime.clock.utc_ms()
    signed = requests.SignedRequest(
        request.method, request.path, request.headers.get("Authorization")
    )
    with runtime.database.writing() as session:
        requests.authenticate(session, path.terminal, signed, now_ms)
        return settlement.check(session, path.terminal, path.close_seq, now_ms).as_json()


def _body() -> bytes:
    """Read the body, but only one byte more than a batch can have, which tells it is too long."""
    request.max_content_length = MAX_BATCH_SIZE + 1
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge as error:
        raise too_large(request.content_length or MAX_BATCH_SIZE + 1) from error


def intake_of(runtime: Runtime) -> Intake:
    """Return what taking uploads needs."""
    return Intake(
        database=runtime.database,
        store=runtime.store,
        signer=signer_of(runtime),
        clock_uncertainty_ms=runtime.config.identity.clock_uncertainty_ms,
    )


def _count(metrics: Metrics, answer: Answer, seconds: float) -> None:
    kind = "replay" if answer.replay else "stored"
    if isinstance(answer.problem, Problem):
        kind = answer.problem.kind
    metrics.uploads.labels(answer.status, kind).inc()
    metrics.upload_seconds.observe(seconds)
    for verdict, count in answer.stored.items():
        metrics.events.labels(verdict.name).inc(count)
    if answer.log_size is not None:
        metrics.log_size.set(answer.log_size)


def register(app: OpenAPI) -> None:
    """Hang the routes of this feature on the application."""
    app.register_api(blueprint)
