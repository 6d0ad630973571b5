# SPDX-License-Identifier: Apache-2.0
"""What the ingest benchmark needs: a durable PostgreSQL, an enrolled terminal, real tap events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keys.identity import Identity
from keys.store import FileKeyStore
from keys.usage import DPK_INDEX_PSAM
from server.db import Database
from server.people.models import Card, Volunteer
from server.schema import upgrade
from server.terminals.models import Psam, Site, Terminal, TerminalKey
from swipe.batch import MAX_BATCH_EVENTS
from swipe.event import Event
from swipe.kinds import BatchFlag
from tests import factories
from tests.integration.postgres import DURABLE, PostgresCluster

CARDS = 500
BATCH_EVENTS = MAX_BATCH_EVENTS  # what a terminal sends as long as more waits
NOW_MS = 1000 * (factories.UTC_S + 10 * 365 * 86_400)


@dataclass(frozen=True, slots=True)
class World:
    """Keys and events that every measured variant gets."""

    store: FileKeyStore
    terminal: Identity
    events: list[Event]

    @property
    def batches(self) -> list[bytes]:
        """Give the signed uploads, `BATCH_EVENTS` events each."""
        parts = [
            self.events[low : low + BATCH_EVENTS]
            for low in range(0, len(self.events), BATCH_EVENTS)
        ]
        return [
            factories.make_batch(
                part,
                self.terminal,
                batch_no=number,
                flags=0 if part is parts[-1] else BatchFlag.MORE,
            )
            for number, part in enumerate(parts, 1)
        ]


def make_world(folder: Path, count: int) -> World:
    """Make `count` chained taps of `CARDS` cards with true proofs."""
    store = factories.make_store(folder / "keys")
    terminal = factories.make_identity()
    changes = [
        {"card_asn": serial(i % CARDS), "card_ctr": i // CARDS, "utc_s": factories.UTC_S + i}
        for i in range(count)
    ]
    return World(store, terminal, factories.make_chain(count, terminal, store, changes=changes))


def serial(card: int) -> bytes:
    """Give the 10-byte application serial of a card of this world."""
    return bytes.fromhex(f"{0x5949:08x}{card:012d}")


@contextmanager
def durable_postgres() -> Iterator[PostgresCluster]:
    """Run a throw-away cluster that really flushes (fsync and synchronous_commit on)."""
    cluster = PostgresCluster(DURABLE)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


def fresh_database(url: str, world: World) -> Database:
    """Make a migrated database in which the world's terminal, PSAM and cards are known."""
    database = Database(url)
    upgrade(database)
    with database.writing() as session:
        session.add(
            Site(id=factories.SITE, name_zh="试点", name_en="site", tz_q=32, config_version=1)
        )
        session.flush()
        session.add(
            Terminal(
                id=factories.TERMINAL_ID,
                name="bench",
                site_id=factories.SITE,
                state="active",
                created_by="a",
                approved_by="b",
                created_ms=0,
                config_version=1,
                bad_proofs=0,
            )
        )
        session.flush()
        session.add(
            TerminalKey(
                id=factories.KEY_ID,
                terminal_id=factories.TERMINAL_ID,
                suite=1,
                public_key=world.terminal.public_key,
                valid_from_ms=0,
            )
        )
        session.add(
            Psam(
                number=factories.PSAM_NO,
                terminal_id=factories.TERMINAL_ID,
                hardware=True,
                dpk_idx=DPK_INDEX_PSAM,
                from_seq=1,
                state="active",
                created_by="a",
                approved_by="b",
            )
        )
        for card in range(CARDS):
            person = Volunteer(
                id=card + 1,
                number=f"{card:010d}",
                sealed_name=b"",
                sealed_birth=b"",
                masked_name="*",
                created_ms=0,
                secret_hash="",
                secret_kind="code",
            )
            session.add(person)
            session.flush()
            session.add(
                Card(
                    asn=serial(card).hex(),
                    volunteer_id=person.id,
                    state="active",
                    key_version=1,
                    issued_ms=0,
                )
            )
    return database
