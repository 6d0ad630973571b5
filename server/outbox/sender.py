# SPDX-License-Identifier: Apache-2.0
"""The thread that sends messages; it waits for providers, so it is nobody else's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy.exc
import structlog
from sqlalchemy.orm import Session

from server.db import Database
from server.errors import ConfigError, Refused
from server.outbox import services, templates
from server.outbox.models import OutboxMessage
from server.outbox.policy import Quiet
from server.outbox.providers import Folder, Gateway, Parcel, Provider
from server.outbox.services import Answer
from server.runtime import Runtime

INTERVAL_S = 2.0
STOP_TIMEOUT_S = 12.0  # longer than one call to a provider
NO_ADDRESS = "no address"

# Where a message goes: a mobile number or a postal address, None when there is none.
Address = Callable[[Session, OutboxMessage], str | None]

log = structlog.get_logger("yika.outbox")


@dataclass(frozen=True, slots=True)
class Post:
    """A provider and the rules of a house."""

    provider: Provider
    quiet: Quiet
    address: Address


def post_of(runtime: Runtime, address: Address) -> Post | None:
    """Build what the configuration asks for; None when messages only wait.

    Raises:
        ConfigError: the provider's name or address is none.
    """
    section = runtime.config.outbox
    quiet = Quiet(section.quiet_from, section.quiet_until, section.zone_minutes)
    match section.provider:
        case "none":
            return None
        case "folder":
            folder = runtime.config.data.dir / section.folder
            return Post(Folder(folder), quiet, address)
        case "http":
            return Post(Gateway(section.url, section.token, section.repeatable), quiet, address)
    raise ConfigError("[outbox] provider: expected none, folder or http")


def turn(database: Database, post: Post, now_ms: int) -> int:
    """Send what is due; return how many went out. The database is not held during a call."""
    with database.writing() as session:
        services.recover(session, post.provider.repeatable, now_ms)
        taken = [
            (row.id, _parcel(session, row, post.address))
            for row in services.take(session, post.provider.name, post.quiet, now_ms)
        ]
    sent = 0
    for message_id, parcel in taken:
        answer = post.provider.send(parcel) if parcel else Answer(sent=False, outcome=NO_ADDRESS)
        with database.writing() as session:
            services.settle(session, message_id, answer, now_ms)
        sent += answer.sent
    return sent


def _parcel(session: Session, row: OutboxMessage, address: Address) -> Parcel | None:
    try:
        to = address(session, row)
    except Refused as refused:  # the person's data was erased meanwhile
        log.info("no_address", message=row.id, why=refused.code)
        return None
    if to is None:
        return None
    return Parcel(row.reference, row.channel, to, templates.text(row.kind, row.params))


class OutboxSender:
    """Send what is due every two seconds until stopped."""

    def __init__(self, runtime: Runtime, post: Post) -> None:
        self._runtime = runtime
        self._post = post
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the call under way."""
        self._ended.set()
        self._thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        while not self._ended.wait(INTERVAL_S):
            try:
                turn(self._runtime.database, self._post, self._runtime.clock.utc_ms())
            except sqlalchemy.exc.SQLAlchemyError as error:  # the database is away: later
                log.warning("outbox_waits", error=type(error).__name__)
