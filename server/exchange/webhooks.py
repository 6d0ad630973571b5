# SPDX-License-Identifier: Apache-2.0
"""Say to a partner that a topic has grown: one signed POST, again until it is confirmed.

The word says how far the topic goes, not what is new: who missed ten hears everything from the
eleventh, and hearing it twice does no harm. Signed with the key that receipts are signed with.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.identity import Identity
from server.db import Database
from server.errors import Refused
from server.exchange.lists import newest
from server.exchange.models import ServiceAccount, Webhook
from server.exchange.policy import Topic, retry_after_ms
from server.people import audit

CONTEXT = b"yika/webhook/1\0"
TIMEOUT_S = 10.0  # a receiver answers at once and works later
WEBHOOKS_MAX = 10  # of one account
ANSWER_BYTES_MAX = 4096
OUTCOME_MAX = 200
TURN_MAX = 100  # deliveries in one turn, so that one turn ends

Post = Callable[[str, bytes, dict[str, str]], int]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One word to one receiver."""

    webhook: int
    url: str
    topic: str
    up_to: int


def subscribe(
    session: Session, account: ServiceAccount, topic: Topic, url: str, now_ms: int
) -> Webhook:
    """Let a receiver hear of a topic from now on.

    Raises:
        Refused: too many, or an address that is not https on a public host.
    """
    check_url(url)
    held = session.scalar(
        sa.select(sa.func.count()).select_from(Webhook).where(Webhook.account_id == account.id)
    )
    if (held or 0) >= WEBHOOKS_MAX:
        raise Refused(
            "too-many", f"最多 {WEBHOOKS_MAX} 个", f"an account has at most {WEBHOOKS_MAX}"
        )
    made = Webhook(
        account_id=account.id, topic=topic, url=url, state="active", told=newest(session, topic),
        failures=0, due_ms=now_ms, outcome="", created_ms=now_ms,
    )  # fmt: skip
    session.add(made)
    session.flush()
    audit.record(
        session, now_ms, f"account:{account.name}", "webhook.created", f"webhook:{made.id}",
        topic=str(topic), host=urlsplit(url).hostname,
    )  # fmt: skip
    return made


def check_url(url: str) -> SplitResult:
    """Refuse an address that is not https to a named or public host, without user or fragment."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    plain = parts.scheme == "https" and parts.hostname and not parts.username and not parts.fragment
    if not plain or port == 0 or not url.isascii() or " " in url:
        raise Refused(
            "url", "地址须为 https://主机/路径", "an address is https://host/path, in ASCII"
        )
    with contextlib.suppress(ValueError):
        if not ipaddress.ip_address(parts.hostname or "").is_global:
            raise _inside(url)
    return parts


def due(session: Session, now_ms: int) -> list[Delivery]:
    """Give the words that are due: active receivers behind their topic, failing ones in turn."""
    found = session.scalars(
        sa.select(Webhook)
        .join(ServiceAccount, ServiceAccount.id == Webhook.account_id)
        .where(
            Webhook.state != "off",
            Webhook.due_ms <= now_ms,
            ServiceAccount.revoked_ms.is_(None),
            ServiceAccount.expires_ms > now_ms,
        )
        .order_by(Webhook.due_ms, Webhook.id)
        .limit(TURN_MAX)
    ).all()
    ends = {topic: newest(session, Topic(topic)) for topic in {row.topic for row in found}}
    return [
        Delivery(row.id, row.url, row.topic, ends[row.topic])
        for row in found
        if ends[row.topic] > row.told
    ]


def turn(database: Database, identity: Identity, now_ms: int, post: Post) -> int:
    """Deliver what is due; return how many were confirmed. The database is not held meanwhile."""
    with database.reading() as session:
        words = due(session, now_ms)
    confirmed = 0
    for word in words:
        outcome = _deliver(word, identity, now_ms, post)
        with database.writing() as session:
            confirmed += _note(session, word, outcome, now_ms)
    return confirmed


def signed(identity: Identity, body: bytes, now_ms: int) -> dict[str, str]:
    """Give the headers: time and signature over context ‖ time in decimal ‖ "." ‖ body."""
    stamp = str(now_ms)
    signature = identity.sign(CONTEXT, stamp.encode() + b"." + body)
    return {
        "Content-Type": "application/json",
        "Yika-Timestamp": stamp,
        "Yika-Signature": signature.hex(),
    }


def post_https(url: str, body: bytes, headers: dict[str, str]) -> int:
    """POST to a public host and return the status; redirects are not followed.

    The name is resolved once and that address is used, so that it cannot turn into an inner one
    between check and call.

    Raises:
        OSError: no connection, no TLS, no answer in time.
        Refused: the host is not on the public network.
    """
    parts = check_url(url)
    host, port = str(parts.hostname), parts.port or 443
    address = _public_address(host, port)
    raw = socket.create_connection((address, port), TIMEOUT_S)
    connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.sock = ssl.create_default_context().wrap_socket(raw, server_hostname=host)
        path = parts.path or "/"
        connection.request("POST", f"{path}?{parts.query}" if parts.query else path, body, headers)
        answer = connection.getresponse()
        answer.read(ANSWER_BYTES_MAX)
        return answer.status
    finally:
        raw.close()
        connection.close()


def _public_address(host: str, port: int) -> str:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, address in found:
        if ipaddress.ip_address(str(address[0])).is_global:
            return str(address[0])
    raise _inside(host)


def _inside(host: str) -> Refused:
    return Refused(
        "inner-address", "地址不在公网", f"{host} is not on the public network: not called"
    )


def _deliver(word: Delivery, identity: Identity, now_ms: int, post: Post) -> str:
    """Return "" when the receiver confirmed, else why not."""
    document = {"topic": word.topic, "up_to": word.up_to, "webhook": word.webhook}
    body = json.dumps(document, sort_keys=True).encode()
    try:
        status = post(word.url, body, signed(identity, body, now_ms))
    except Refused as refused:
        return refused.code
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    return "" if 200 <= status < 300 else f"HTTP {status}"


def _note(session: Session, word: Delivery, outcome: str, now_ms: int) -> bool:
    row = session.get(Webhook, word.webhook, with_for_update=True)
    if row is None:  # taken away meanwhile
        return False
    if not outcome:
        row.told, row.failures, row.state, row.outcome = word.up_to, 0, "active", "ok"
        row.due_ms = now_ms
        return True
    row.failures += 1
    row.outcome = outcome[:OUTCOME_MAX]
    wait_ms = retry_after_ms(row.failures)
    row.state = "off" if wait_ms is None else "failing"
    row.due_ms = now_ms + (wait_ms or 0)
    if wait_ms is None:
        audit.record(
            session, now_ms, audit.SYSTEM_ACTOR, "webhook.off", f"webhook:{row.id}",
            failures=row.failures, outcome=row.outcome,
        )  # fmt: skip
    return False
