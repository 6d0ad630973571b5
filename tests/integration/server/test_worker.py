# SPDX-License-Identifier: Apache-2.0
"""The background worker: the queue is worked off, and one bad person keeps nobody waiting."""

from __future__ import annotations

import threading
from collections.abc import Collection
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Database
from server.people import queue
from server.people.models import DirtyPerson
from server.people.services import mark_dirty, register_card
from server.reconciliation.models import ServiceInterval
from server.runtime import EXTENSION, Runtime
from server.timebank.services import balance
from server.worker import Drained, Worker, derive_and_post, drain
from swipe.event import Event
from tests.factories import CARD_ASN, UTC_S
from tests.integration.server.rig import NOW_MS, OWNER, Rig

POISON = 13


class Derivation:
    """A derivation that remembers whom it was asked for and fails for one person."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, session: Session, volunteer_ids: Collection[int], now_ms: int) -> None:
        """Derive, or fail if the poisonous person is among them."""
        if POISON in volunteer_ids:
            raise LookupError(POISON)
        self.seen += sorted(volunteer_ids)


def queued(database: Database) -> list[int]:
    """Return who waits."""
    with database.reading() as session:
        return list(session.scalars(sa.select(DirtyPerson.volunteer_id).order_by(DirtyPerson.id)))


def test_queue_is_worked_off(database: Database) -> None:
    """Everybody who waits is derived once and crossed out."""
    with database.writing() as session:
        mark_dirty(session, [1, 2])
        mark_dirty(session, [2, 3])
    derive = Derivation()

    assert drain(database, derive, NOW_MS) == Drained(done=3, failed=0)
    assert (derive.seen, queued(database)) == ([1, 2, 3], [])
    assert drain(database, derive, NOW_MS) == Drained(0, 0)


def test_one_failing_person_keeps_nobody_waiting(database: Database) -> None:
    """Whoever cannot be derived waits on; the others are done."""
    with database.writing() as session:
        mark_dirty(session, [1, POISON, 20])
    derive = Derivation()

    assert drain(database, derive, NOW_MS) == Drained(done=2, failed=1)
    assert (derive.seen, queued(database)) == ([1, 20], [POISON])


def test_rows_that_come_meanwhile_stay(sqlite_database: Database) -> None:
    """Crossing out removes what was taken, not what came since."""
    with sqlite_database.writing() as session:
        mark_dirty(session, [1])
    with sqlite_database.reading() as session:
        piece = queue.take(session, 0, 10)
    with sqlite_database.writing() as session:
        mark_dirty(session, [1])
    with sqlite_database.writing() as session:
        queue.cross_out(session, piece)
        assert queue.length(session) == 1


def test_pieces_cover_a_long_queue(sqlite_database: Database) -> None:
    """A queue longer than one piece is worked off in several."""
    with sqlite_database.writing() as session:
        mark_dirty(session, range(1, 8))
    derive = Derivation()

    assert drain(sqlite_database, derive, NOW_MS, piece_max=2).done == 7
    assert derive.seen == list(range(1, 8))


def test_busy_database_is_no_persons_fault(sqlite_database: Database) -> None:
    """When the database is locked the turn ends and everybody waits on."""
    with sqlite_database.writing() as session:
        mark_dirty(session, [1])

    def locked(session: Session, _people: Collection[int], _now_ms: int) -> None:
        raise sa.exc.OperationalError("x", {}, Exception("database is locked"))

    with pytest.raises(sa.exc.OperationalError):
        drain(sqlite_database, locked, NOW_MS)
    assert queued(sqlite_database) == [1]


def test_thread_derives_after_an_upload_and_ends(sqlite_rig: Rig, tmp_path: Path) -> None:
    """The thread notices queued people by itself and ends when told to."""
    runtime: Runtime = sqlite_rig.app(tmp_path).extensions[EXTENSION]
    done = threading.Event()

    def derive(_session: Session, volunteer_ids: Collection[int], _now_ms: int) -> None:
        assert volunteer_ids
        done.set()

    worker = Worker(runtime, derive)
    worker.start()
    sqlite_rig.upload(sqlite_rig.chain(1))

    assert done.wait(10)
    worker.stop()
    assert not worker.is_alive()
    assert queued(sqlite_rig.database) == []


def credited(database: Database) -> list[tuple[int, int]]:
    """Return credited minutes and ledger balance of everybody who has an interval."""
    with database.reading() as session:
        rows = session.execute(
            sa.select(ServiceInterval.person, ServiceInterval.credited_minutes).where(
                ServiceInterval.current
            )
        ).all()
        return [(row.credited_minutes, balance(session, row.person)) for row in rows]


def shift(rig: Rig, asn: bytes) -> list[Event]:
    """Return an IN and an OUT two hours later."""
    hours = {"utc_s": UTC_S + 7200, "up_s": 7260, "card_asn": asn}
    return rig.chain(2, changes=[{"card_asn": asn}, hours])


def test_upload_becomes_hours_in_the_ledger(rig: Rig) -> None:
    """IN and OUT two hours apart become 120 credited minutes, once."""
    rig.clock.now_ms += 7_200_000
    rig.upload(shift(rig, CARD_ASN))

    drain(rig.database, derive_and_post, rig.clock.now_ms)
    drain(rig.database, derive_and_post, rig.clock.now_ms)

    assert credited(rig.database) == [(120, 120)]


def test_taps_before_the_card_was_registered_count_afterwards(rig: Rig) -> None:
    """Taps stored as UNKNOWN_CARD are credited once somebody registers the card."""
    asn = bytes.fromhex("59490000000000000007")
    rig.clock.now_ms += 7_200_000
    rig.upload(shift(rig, asn))
    drain(rig.database, derive_and_post, rig.clock.now_ms)
    assert credited(rig.database) == []
    with rig.database.writing() as session:
        register_card(session, OWNER, asn.hex(), 1, "li", rig.clock.now_ms)

    drain(rig.database, derive_and_post, rig.clock.now_ms)

    assert credited(rig.database) == [(120, 120)]
