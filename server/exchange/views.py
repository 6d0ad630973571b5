# SPDX-License-Identifier: Apache-2.0
"""HTTP routes for programs of partners: lists, exports, webhooks."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from flask import Response, request, stream_with_context
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.openapi import OpenAPI
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from server.errors import PROBLEM_TYPE, Problem, Refused
from server.exchange import accounts, exporting, lists, webhooks
from server.exchange.exporting import MEDIA_TYPES, Format
from server.exchange.lists import Window
from server.exchange.models import AnsweredRequest, ServiceAccount, Webhook
from server.exchange.policy import (
    CURSOR_LENGTH_MAX,
    ITEMS_DEFAULT,
    ITEMS_MAX,
    SCOPE_OF,
    Scope,
    Topic,
    cursor,
    place,
)
from server.runtime import current_runtime

MILLIS_MAX = 2**52
KEY_HEADER = "Idempotency-Key"
SPOOL_BYTES = 8 << 20  # a Parquet export beyond this waits on disk
CHUNK_BYTES = 1 << 16
KEY_LENGTH_MAX = 64

PROBLEM: dict[str, Any] = {
    "description": "Problem document, RFC 9457, Chinese and English",
    "content": {PROBLEM_TYPE: {"schema": {"type": "object"}}},
}
PROBLEMS: dict[str | int, Any] = dict.fromkeys((400, 401, 403, 404, 422, 503), PROBLEM)
SECURITY = [{"account": list[str]()}]

blueprint = APIBlueprint("exchange", __name__, url_prefix="/api/v1", abp_security=SECURITY)


class TopicPath(BaseModel):
    """The topic in the path."""

    topic: Topic


class ExportPath(TopicPath):
    """The topic and the form in the path."""

    form: Format


class WebhookPath(BaseModel):
    """The webhook in the path."""

    webhook: Annotated[int, Field(ge=1, le=2**53)]


class Span(BaseModel):
    """A span of time in ms UTC: of receipt for events, of start for intervals, of posting."""

    since_ms: Annotated[int, Field(ge=0, le=MILLIS_MAX)] | None = None
    until_ms: Annotated[int, Field(ge=0, le=MILLIS_MAX)] | None = None


class ListQuery(Span):
    """Where a list goes on, and how many items at most."""

    cursor: Annotated[str, Field(max_length=CURSOR_LENGTH_MAX)] | None = None
    limit: Annotated[int, Field(ge=1, le=ITEMS_MAX)] = ITEMS_DEFAULT


class ListAnswer(BaseModel):
    """Items, and the cursor for what comes after them; the same cursor again when nothing did."""

    items: list[dict[str, Any]]
    next: str
    more: bool


class WebhookBody(BaseModel):
    """What to tell, and where."""

    topic: Annotated[str, Field(pattern="^(events|transfers)$")]
    url: Annotated[str, Field(min_length=10, max_length=500)]


class WebhookAnswer(BaseModel):
    """One webhook: how far it was told, and how the last try ended."""

    id: int
    topic: str
    url: str
    state: str
    told: int
    failures: int
    outcome: str


class WebhookList(BaseModel):
    """All webhooks of the account."""

    items: list[WebhookAnswer]


@blueprint.get(
    "/lists/<topic>", summary="List items in their order", responses={200: ListAnswer, **PROBLEMS}
)
def get_list(path: TopicPath, query: ListQuery) -> dict[str, Any]:
    """Return items behind a cursor. Events and transfers only grow at their end; follow them."""
    with allowed_account(SCOPE_OF[path.topic]) as (session, account):
        after = _place(path.topic, query.cursor)
        part = accounts.reach_of(account)
        window = Window(after, query.since_ms, query.until_ms, part)
        found = lists.items(session, path.topic, window, query.limit)
    after = next(iter(found[-1].values())) if found else window.after
    return {
        "items": found,
        "next": cursor(path.topic, after),
        "more": len(found) >= query.limit,
    }


@blueprint.get(
    "/exports/<topic>.<form>",
    summary="Export a topic as CSV, JSON lines or Parquet",
    responses={200: {"description": "The file", "content": {
        kind.split(";")[0]: {"schema": {"type": "string", "format": "binary"}}
        for kind in MEDIA_TYPES.values()
    }}, **PROBLEMS},
)  # fmt: skip
def get_export(path: ExportPath, query: Span) -> Response:
    """Return everything of a topic, or of a span of time, as one file."""
    runtime = current_runtime()
    with allowed_account(SCOPE_OF[path.topic]) as (_, account):
        part = accounts.reach_of(account)  # who may not, hears so before the first byte
    window = Window(0, query.since_ms, query.until_ms, part)

    def pieces() -> Iterator[list[dict[str, Any]]]:
        with runtime.database.reading() as session:
            yield from lists.stream(session, path.topic, window)

    if path.form is Format.PARQUET:
        content = _spooled(path.topic, pieces())
    else:
        content = exporting.lines(path.topic, path.form, pieces())
    name = f'attachment; filename="yika-{path.topic}.{path.form}"'
    return Response(
        stream_with_context(content),
        content_type=MEDIA_TYPES[path.form],
        headers={"Content-Disposition": name},
    )


@blueprint.post(
    "/webhooks", summary="Hear of a topic", responses={201: WebhookAnswer, 409: PROBLEM, **PROBLEMS}
)
def post_webhook(body: WebhookBody) -> tuple[dict[str, Any], int]:
    """Let a receiver hear of a topic. The same Idempotency-Key with the same body: the same one."""
    key = idempotency_key()
    digest = hashlib.sha256(f"{body.topic}\0{body.url}".encode()).digest()
    with allowed_account(Scope.WEBHOOKS) as (session, account):
        before = answered(session, account, key, digest)
        if before is not None:
            return before, 201
        now_ms = current_runtime().clock.utc_ms()
        try:
            made = webhooks.subscribe(session, account, Topic(body.topic), body.url, now_ms)
        except Refused as refused:
            raise Problem(422, refused.code, refused.zh, refused.en, fields=["url"]) from refused
        answer = _shown(made)
        remember(session, account, key, (digest, answer, now_ms))
    return answer, 201


@blueprint.get("/webhooks", summary="My webhooks", responses={200: WebhookList, **PROBLEMS})
def get_webhooks() -> dict[str, Any]:
    """Return all webhooks of the account."""
    with allowed_account(Scope.WEBHOOKS) as (session, account):
        rows = session.query(Webhook).filter_by(account_id=account.id).order_by(Webhook.id)
        return {"items": [_shown(row) for row in rows]}


@blueprint.delete(
    "/webhooks/<int:webhook>", summary="Hear no more", responses={204: None, **PROBLEMS}
)
def delete_webhook(path: WebhookPath) -> tuple[str, int]:
    """Take a webhook away."""
    with allowed_account(Scope.WEBHOOKS) as (session, account):
        row = session.get(Webhook, path.webhook)
        if row is None or row.account_id != account.id:
            raise Problem(404, "unknown-webhook", "没有这个订阅", "no such webhook")
        session.delete(row)
    return "", 204


def register(app: OpenAPI) -> None:
    """Hang the routes of this feature on the application."""
    app.register_api(blueprint)


@contextmanager
def allowed_account(scope: Scope) -> Iterator[tuple[Session, ServiceAccount]]:
    """Open a unit of work for an account that has the scope."""
    runtime = current_runtime()
    with runtime.database.writing() as session:
        header = request.headers.get("Authorization")
        yield session, accounts.authenticate(session, header, scope, runtime.clock.utc_ms())


def _place(topic: Topic, text: str | None) -> int:
    if text is None:
        return 0
    found = place(topic, text)
    if found is None:
        raise Problem(
            400, "cursor", "游标不是本列表给出的", "this cursor is not of this list",
            pointer="/query/cursor",
        )  # fmt: skip
    return found


def idempotency_key() -> str | None:
    """Return the request's idempotency key, None when it has none.

    Raises:
        Problem: 400, the key is no key.
    """
    key = request.headers.get(KEY_HEADER)
    if key is not None and not (
        0 < len(key) <= KEY_LENGTH_MAX and key.isascii() and key.isprintable()
    ):
        raise Problem(
            400, "idempotency-key", f"幂等键为 1 至 {KEY_LENGTH_MAX} 个可见字符",
            f"an Idempotency-Key has 1 to {KEY_LENGTH_MAX} printable ASCII characters",
        )  # fmt: skip
    return key


def answered(
    session: Session, account: ServiceAccount, key: str | None, digest: bytes
) -> dict[str, Any] | None:
    """Return the answer that this key was given before, None when it is new.

    Raises:
        Problem: 422, the key was used for another request.
    """
    before = session.get(AnsweredRequest, (account.id, key)) if key else None
    if before is None:
        return None
    if before.request_sha256 != digest:
        raise Problem(
            422, "idempotency-key", "此幂等键已用于另一请求",
            "this Idempotency-Key was used for another request",
        )  # fmt: skip
    return before.answer


def remember(
    session: Session,
    account: ServiceAccount,
    key: str | None,
    made: tuple[bytes, dict[str, Any], int],
) -> None:
    """Keep the answer to a request with a key: digest of the request, answer, instant."""
    if key:
        digest, answer, now_ms = made
        session.add(
            AnsweredRequest(
                account_id=account.id, key=key, request_sha256=digest, answer=answer,
                made_ms=now_ms,
            )
        )  # fmt: skip


def _spooled(topic: Topic, pieces: Iterator[list[dict[str, Any]]]) -> Iterator[bytes]:
    """Write a Parquet file aside, then give it in chunks."""
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as file:
        exporting.parquet(topic, pieces, file)
        file.seek(0)
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _shown(row: Webhook) -> dict[str, Any]:
    return {
        "id": row.id,
        "topic": row.topic,
        "url": row.url,
        "state": row.state,
        "told": row.told,
        "failures": row.failures,
        "outcome": row.outcome,
    }
