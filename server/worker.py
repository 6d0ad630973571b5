# SPDX-License-Identifier: Apache-2.0
"""The background worker: derive the hours of queued people and post what changed.

Uploads only queue people. One thread takes them piece by piece, each piece in one unit of work:
derive, post the differences, cross out. If it fails, the piece stays in the queue; whoever stops
the server during a nightly close finds the rest of the queue derived after the next start.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

import sqlalchemy.exc
import structlog
from sqlalchemy.orm import Session

from server.applications import services as applications
from server.db import Database
from server.ingest import affected
from server.issuing import bulk, dues, search
from server.people import queue
from server.people.queue import Piece
from server.people.services import mark_dirty
from server.reconciliation import boot_clocks, outages, reminders, rules_set
from server.reconciliation import services as reconciliation
from server.reconciliation.corrections import Signer
from server.reconciliation.policy import warm_up
from server.runtime import Runtime
from server.timebank import orders
from server.timebank import services as timebank

# Rows taken at once: short enough not to keep an upload waiting on SQLite; where uploads do not
# wait, as many as a derivation takes at once.
PIECE_MAX, PIECE_MAX_POSTGRESQL = 500, reconciliation.SLAB
# From so many people on, a piece is told in the log.
TOLD_FROM = 1_000
# The first wait after a failure; it doubles up to the last.
RETRY_FIRST_S, RETRY_LAST_S = 1.0, 60.0
STOP_TIMEOUT_S = 10.0
# A missing tap-out is due half an hour after the plan: a minute more hurts nobody.
LOOK_MS = 60_000
CLOCK_ACTOR = "clock"

# Derives the hours of some people at an instant (ms) and posts the differences.
Derive = Callable[[Session, Collection[int], int], None]

log = structlog.get_logger("yika.worker")


@dataclass(frozen=True, slots=True)
class Drained:
    """How many people were derived, and how many could not be and wait on."""

    done: int
    failed: int


def drain(database: Database, derive: Derive, now_ms: int, piece_max: int = 0) -> Drained:
    """Go through the queue once, at most `piece_max` rows at a time (0: what the database takes).

    A person whose derivation fails is logged, waits on, and keeps nobody else waiting.
    """
    piece_max = piece_max or (PIECE_MAX_POSTGRESQL if database.is_postgresql else PIECE_MAX)
    _expand(database, piece_max)
    done = failed = after = 0
    while True:
        with database.reading() as session:
            piece = queue.take(session, after, piece_max)
        if not piece.rows:
            return Drained(done, failed)
        after = piece.last
        good = _derived(database, derive, piece, now_ms)
        done += good
        failed += len(piece.people) - good
        if len(piece.people) >= TOLD_FROM:
            log.info("people_derived", done=done, failed=failed)


def _expand(database: Database, piece_max: int) -> None:
    """Queue the people of the boots that uploads have noted."""
    while True:
        with database.reading() as session:
            if not queue.boots_wait(session):
                return
        with database.writing() as session:
            reconciliation.hold(session)
            boots = queue.take_boots(session, piece_max)
            named = ((terminal, boot) for terminal, those in boots.items() for boot in those)
            boot_clocks.forget(session, named)
            mark_dirty(session, affected.people_of_boots(session, boots))


def _derived(database: Database, derive: Derive, piece: Piece, now_ms: int) -> int:
    """Derive a piece as a whole or, if that fails, in halves; return how many were derived."""
    try:
        with database.writing() as session:
            derive(session, piece.people, now_ms)
            queue.cross_out(session, piece)
    except sqlalchemy.exc.OperationalError:
        raise  # the database is busy or gone: no person's fault
    except Exception:  # one person's data must not keep the others waiting
        if len(piece.people) > 1:
            ordered = sorted(piece.people)
            half = ordered[len(ordered) // 2]
            parts = (piece.only(range(half)), piece.only(range(half, ordered[-1] + 1)))
            return sum(_derived(database, derive, part, now_ms) for part in parts)
        log.exception("derivation_failed", volunteer_id=min(piece.people))
        return 0
    return len(piece.people)


class Worker(threading.Thread):
    """The thread that drains the queue while the server runs."""

    def __init__(self, runtime: Runtime, derive: Derive | None = None) -> None:
        super().__init__(name="yika-worker", daemon=True)
        self._runtime = runtime
        self._derive = derive or partial(derive_and_post, cap=runtime.config.timebank.cap)
        self._ended = threading.Event()
        self._retry_s = RETRY_FIRST_S
        self._looked_ms = 0

    def run(self) -> None:
        """Drain, wait, again, until stopped."""
        worker = self._runtime.config.worker
        interval_s = worker.interval_ms / 1000
        if worker.compile:  # beside the first pieces, which need not wait for it
            threading.Thread(target=warm_up, name="yika-warm-up", daemon=True).start()
        while not self._ended.wait(interval_s):
            self._turn()

    def stop(self) -> None:
        """End after the piece in hand."""
        self._ended.set()
        self.join(STOP_TIMEOUT_S)

    def _turn(self) -> None:
        runtime = self._runtime
        try:
            self._look_at_the_clock(runtime)
            drained = drain(runtime.database, self._derive, runtime.clock.utc_ms())
        except sqlalchemy.exc.OperationalError as error:
            log.warning("database_busy", error=type(error.orig).__name__)
            self._failed("busy")
        except Exception:  # the main loop of this thread must not end silently
            log.exception("worker_failed")
            self._failed("failed")
        else:
            runtime.metrics.worker_people.labels("done").inc(drained.done)
            runtime.metrics.worker_people.labels("failed").inc(drained.failed)
            if drained.failed:
                self._pause()
            else:
                self._retry_s = RETRY_FIRST_S

    def _look_at_the_clock(self, runtime: Runtime) -> None:
        """Once a minute do what is due: missing tap-outs, lapsed holds, cards, bulk actions."""
        now_ms = runtime.clock.utc_ms()
        if abs(now_ms - self._looked_ms) < LOOK_MS:
            return
        with runtime.database.writing() as session:
            rules_set.queue_overdue(session, now_ms)
            reminders.remind(session, now_ms)
            orders.lapse(session, now_ms, CLOCK_ACTOR)
            bulk.run(session, now_ms)
            signer = Signer(runtime.identity, runtime.config.identity.key_id)
            outages.run(session, now_ms, signer)
            search.index_new(session, runtime.store, now_ms)
        dues.work(runtime.database, now_ms)
        self._looked_ms = now_ms

    def _failed(self, outcome: str) -> None:
        self._runtime.metrics.worker_failures.labels(outcome).inc()
        self._pause()

    def _pause(self) -> None:
        self._ended.wait(self._retry_s)
        self._retry_s = min(2 * self._retry_s, RETRY_LAST_S)


def derive_and_post(
    session: Session, volunteer_ids: Collection[int], now_ms: int, *, cap: int | None = None
) -> None:
    """Derive the hours of some people, post the differences, move applicants who are ready."""
    reconciliation.reconcile(session, volunteer_ids, now_ms)
    timebank.post_differences(session, volunteer_ids, now_ms, cap=cap)
    applications.refresh(session, volunteer_ids, now_ms)
