# SPDX-License-Identifier: Apache-2.0
"""A server ready for uploads: one site, one approved terminal with its PSAM, one card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask_openapi.openapi import OpenAPI
from sqlalchemy.orm import Session

from keys.identity import Identity
from keys.store import FileKeyStore
from keys.usage import DPK_INDEX_PSAM
from server.app import build_app
from server.config import Config, DatabaseSection, DataSection
from server.db import Database
from server.ingest.models import EventFork, StoredEvent
from server.ingest.services import Answer, Intake, Upload, accept_batch
from server.ingest.verdicts import Verdict
from server.people.models import Volunteer
from server.people.policy import volunteer_number
from server.people.services import register_card
from server.runtime import Runtime
from server.terminals.models import Psam, Terminal, TerminalKey
from server.terminals.notices import Signer
from server.terminals.services import NewSite, add_site
from swipe.batch import BatchStamp, build_batch
from swipe.event import Event, event_hash, sign, tap_counts
from swipe.kinds import BatchKind
from swipe.receipt import Receipt
from swipe.requests import REQUEST_CONTEXT, request_message
from tests.factories import (
    CARD_ASN,
    KEY_ID,
    PSAM_NO,
    TERMINAL_ID,
    UTC_S,
    make_batch,
    make_chain,
    make_event,
    make_identity,
)

# The owner of the factories' card; far from the numbers that a test takes.
OWNER = volunteer_number(900_000_001)
NOW_MS = 1000 * UTC_S + 3_600_000


@dataclass
class FixedClock:
    """A clock that stands still until a test moves it."""

    now_ms: int = NOW_MS

    def utc_ms(self) -> int:
        """Return the set time."""
        return self.now_ms


@dataclass(frozen=True)
class Post:
    """A terminal as a test knows it."""

    terminal_id: int
    key_id: int
    psam_no: bytes
    identity: Identity

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that every event of this terminal has."""
        return {
            "terminal_id": self.terminal_id, "key_id": self.key_id, "psam_no": self.psam_no,
        }  # fmt: skip

    def chain(self, count: int, store: FileKeyStore, **kwargs: Any) -> list[Event]:
        """Make a chain of taps of this terminal."""
        given = kwargs.pop("changes", [{}] * count)
        changes = [self.fields | change for change in given]
        return make_chain(count, self.identity, store, changes=changes, **kwargs)

    def batch(self, events: Sequence[Event], batch_no: int = 1) -> bytes:
        """Make a signed batch of this terminal."""
        utc_ms = events[-1].utc_total_ms + 1000
        stamp = BatchStamp(BatchKind.LIVE, self.key_id, batch_no, utc_ms)
        return build_batch(stamp, [event.to_bytes() for event in events], self.identity)


@dataclass
class Rig:
    """An initialised database with what a first upload needs."""

    database: Database
    store: FileKeyStore
    terminal_identity: Identity = field(default_factory=make_identity)
    server_identity: Identity = field(default_factory=lambda: make_identity("server"))
    clock: FixedClock = field(default_factory=FixedClock)

    def populate(self) -> Rig:
        """Enter site, terminal, key, PSAM, volunteer and card."""
        with self.database.writing() as session:
            add_site(session, NewSite("一站", "Site one"), "li", NOW_MS)
            enrol(session, Post(TERMINAL_ID, KEY_ID, PSAM_NO, self.terminal_identity))
            session.add(volunteer(OWNER))
            session.flush()
            register_card(session, OWNER, CARD_ASN.hex(), 1, "li", NOW_MS)
        return self

    def add_post(self, number: int) -> Post:
        """Enrol another terminal with its own key and PSAM."""
        post = Post(
            terminal_id=1000 + number,
            key_id=1000 + number,
            psam_no=(0x8800_0000_1000 + number).to_bytes(6),
            identity=make_identity(f"terminal {number}"),
        )
        with self.database.writing() as session:
            enrol(session, post)
        return post

    @property
    def intake(self) -> Intake:
        """What taking uploads needs."""
        return Intake(self.database, self.store, Signer(self.server_identity, 1))

    def chain(self, count: int, **kwargs: Any) -> list[Event]:
        """Make a chain of taps with true proofs."""
        return make_chain(count, self.terminal_identity, self.store, **kwargs)

    def chain_after(self, before: Event, payload: bytes, **fields: Any) -> Event:
        """Make one event with a payload that follows another event."""
        n_in, n_out = tap_counts(before)
        values = {
            "seq": before.seq + 1, "prev": event_hash(before, self.terminal_identity.suite),
            "n_in": before.n_in + n_in, "n_out": before.n_out + n_out,
            "psam_no": bytes(6), "payload": payload,
        }  # fmt: skip
        return make_event(self.terminal_identity, **(values | fields))

    def batch(self, events: Sequence[Event], batch_no: int = 1, **kwargs: Any) -> bytes:
        """Make the signed batch of some events."""
        return make_batch(events, self.terminal_identity, batch_no=batch_no, **kwargs)

    def upload(self, events: Sequence[Event], batch_no: int = 1, **kwargs: Any) -> Answer:
        """Upload some events as one batch."""
        return self.put(self.batch(events, batch_no, **kwargs), batch_no)

    def put(self, body: bytes, batch_no: int = 1, terminal_id: int = TERMINAL_ID) -> Answer:
        """Upload a body as it is."""
        upload = Upload(terminal_id, batch_no, body, self.clock.now_ms)
        return accept_batch(self.intake, upload)

    def receipt(self, events: Sequence[Event], batch_no: int = 1) -> Receipt:
        """Upload some events and read the receipt."""
        answer = self.upload(events, batch_no)
        assert answer.problem is None, answer.problem
        return Receipt.from_bytes(answer.body)

    def verdicts(self) -> dict[int, Verdict]:
        """Return the stored verdict of each sequence number."""
        with self.database.reading() as session:
            rows = session.execute(sa.select(StoredEvent.seq, StoredEvent.verdict))
            return {seq: Verdict(verdict) for seq, verdict in rows}

    def stored(self) -> dict[int, bytes]:
        """Return the stored bytes of each sequence number."""
        with self.database.reading() as session:
            rows = session.execute(sa.select(StoredEvent.seq, StoredEvent.raw))
            return {seq: bytes(raw) for seq, raw in rows}

    def stored_of(self, terminal_ids: Sequence[int]) -> dict[tuple[int, int], bytes]:
        """Return the stored bytes by terminal and sequence number."""
        statement = sa.select(StoredEvent.terminal_id, StoredEvent.seq, StoredEvent.raw).where(
            StoredEvent.terminal_id.in_(terminal_ids)
        )
        with self.database.reading() as session:
            return {(row[0], row[1]): bytes(row[2]) for row in session.execute(statement)}

    def forks(self) -> list[tuple[int, str]]:
        """Return number and kind of the contradictions kept."""
        with self.database.reading() as session:
            rows = session.execute(sa.select(EventFork.seq, EventFork.kind))
            return sorted((seq, kind) for seq, kind in rows)

    def terminal(self) -> Terminal:
        """Return the terminal's row, detached."""
        with self.database.reading() as session:
            row = session.get_one(Terminal, TERMINAL_ID)
            session.expunge(row)
            return row

    def app(self, folder: Path) -> OpenAPI:
        """Build the web application on this database."""
        config = Config(
            data=DataSection(dir=folder),
            database=DatabaseSection(url=self.database.url.render_as_string(hide_password=False)),
        )
        runtime = Runtime(
            config=config,
            database=self.database,
            clock=self.clock,
            identity=self.server_identity,
            store=self.store,
            web_secret=b"a secret for tests only",
        )
        return build_app(runtime)


def enrol(session: Session, post: Post) -> None:
    """Enter an approved terminal with its key and hardware PSAM."""
    session.add(
        Terminal(
            id=post.terminal_id, name=f"pos-{post.terminal_id}", site_id=1, state="active",
            created_by="li", approved_by="wang", config_version=1, created_ms=NOW_MS,
        )
    )  # fmt: skip
    session.flush()
    session.add(
        TerminalKey(
            id=post.key_id, terminal_id=post.terminal_id, valid_from_ms=NOW_MS,
            suite=int(post.identity.suite), public_key=post.identity.public_key,
        )
    )  # fmt: skip
    session.add(psam(post.psam_no, post.terminal_id))


def psam(number: bytes, terminal_id: int, **changes: Any) -> Psam:
    """Return an approved hardware PSAM."""
    values = {
        "number": number, "terminal_id": terminal_id, "dpk_idx": DPK_INDEX_PSAM, "hardware": True,
        "from_seq": 1, "state": "active", "created_by": "li", "approved_by": "wang",
    }  # fmt: skip
    return Psam(**(values | changes))


def volunteer(number: str) -> Volunteer:
    """Return a volunteer without the costly parts: no true seal, no true secret."""
    return Volunteer(
        number=number, sealed_name=b"", sealed_birth=b"", masked_name="王**", created_ms=NOW_MS,
        secret_hash="", secret_kind="code",
    )  # fmt: skip


def resigned(event: Event, identity: Identity, **changes: Any) -> Event:
    """Return an event with some fields changed and signed again."""
    return sign(replace(event, **changes), identity)


def signed(identity: Identity, path: str, utc_ms: int = NOW_MS) -> dict[str, str]:
    """Return the headers of a terminal's signed GET."""
    data = request_message("GET", path, utc_ms)
    signature = identity.sign(REQUEST_CONTEXT, data).hex()
    return {"Authorization": f"Yika-Terminal {utc_ms}.{signature}"}
