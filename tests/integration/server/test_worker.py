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
from server.people.services import mark_dirty
from server.runtime import EXTENSION, Runtime
from server.worker import Drained, Worker, drain
from tests.integration.server.rig import NOW_MS, Rig

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
