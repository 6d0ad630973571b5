# SPDX-License-Identifier: Apache-2.0
"""A city on PostgreSQL: loaded by COPY, derived and posted whole, a night, a page, a late batch.

    script/bench city                     14 000 volunteers, 168 000 taps
    script/bench city --size 1400000      the whole city: 1.4 million volunteers, 17 million taps

Everybody is derived and posted by the calls of `yika-server reconcile --all` and of the server's
worker, slab by slab, while triggers and foreign keys rest, as in a restore: that is how the city
comes to be. What is measured for its own sake runs with all of them: the nightly close (the worker
over the people of the last day), the page, the late batch. Progress goes to standard error.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bench import city_world as world
from bench.city_page import page_p95_ms
from bench.line import Line, report
from server.db import Database
from server.people.services import mark_dirty
from server.reconciliation.policy import warm_up
from server.reconciliation.services import next_slab, reconcile_slab
from server.schema import upgrade
from server.telemetry import configure_logging
from server.timebank.services import post_differences
from server.worker import derive_and_post, drain
from tests.integration.postgres import PostgresCluster

DEFAULT_PERSONS = 14_000
QUICK_PERSONS = 2_800
LATE_CARDS = 500
# Small beside the machine: others work on it too.
SETTINGS = (
    "-c listen_addresses='' -c shared_buffers=1GB -c work_mem=64MB -c maintenance_work_mem=256MB "
    "-c max_wal_size=8GB -c checkpoint_timeout=30min -c wal_level=minimal -c max_wal_senders=0 "
    "-F -c synchronous_commit=off -c full_page_writes=off"
)


@dataclass(frozen=True)
class City:
    """The database and what is still to come: taps of the last day, taps that come late."""

    database: Database
    dsn: str
    last_day: world.Taps
    late: world.Taps
    stored: Any

    def bring(self, taps: world.Taps, batch: int) -> None:
        """Bring in more taps."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            self.store(connection, taps, batch)

    def store(self, connection: Any, taps: world.Taps, batch: int) -> None:
        """Store taps on a connection; `batch` is the number of the first upload."""
        world.load_taps(connection, taps, self.stored, batch)
        self.stored[:] += np.bincount(taps.terminal, minlength=len(self.stored))
        world.note_ranges(connection, self.stored)


def run(quick: bool, size: int | None = None) -> Iterator[Line]:
    """Measure a city of `size` volunteers."""
    persons = size or (QUICK_PERSONS if quick else DEFAULT_PERSONS)
    configure_logging("WARNING")
    warm_up()
    cluster = PostgresCluster(SETTINGS)
    cluster.start()
    try:
        yield report("city", "volunteers", persons, "volunteers")
        yield from measure(cluster, persons)
    finally:
        cluster.stop()


def measure(cluster: PostgresCluster, persons: int) -> Iterator[Line]:
    """Measure one step after the other."""
    database = Database(cluster.create_database("city"))
    upgrade(database)
    taps = world.make_taps(persons)
    last = taps.utc_ms >= world.NOW_MS - 30 * world.DAY_MS
    final_day = taps.utc_ms >= taps.utc_ms[last].max() - world.DAY_MS
    late = np.zeros(len(taps), bool)
    outs = np.flatnonzero(taps.out & ~final_day & last)
    late[outs[:LATE_CARDS]] = True
    city = City(
        database, cluster.dsn("city"), taps.chosen(final_day & ~late), taps.chosen(late),
        np.zeros(world.terminals_of(persons) + 1, np.int64),
    )  # fmt: skip

    def load() -> None:
        with psycopg.connect(city.dsn, autocommit=True) as connection:
            world.load_registers(connection, persons)
            with world.loading_at_once(connection):
                city.store(connection, taps.chosen(~final_day & ~late), 1)
            connection.execute("vacuum analyze")

    yield from timed("loaded by COPY, uploads included", load)
    yield report("city", "taps", len(taps), "taps")
    yield from timed("everybody derived from the events", lambda: derive_all(city, persons))
    yield from timed("everybody posted to the ledger", lambda: post_all(city, persons))
    with psycopg.connect(city.dsn, autocommit=True) as connection:
        connection.execute("vacuum analyze")  # as the database does by itself, in time
    yield from night(city)
    say("pages")
    page_ms = page_p95_ms(database, persons, world.NOW_MS)
    yield report("city", "page of one volunteer, p95", page_ms, "ms")
    yield from late_batch(city)
    database.close()


def timed(case: str, job: Callable[[], None]) -> Iterator[Line]:
    """Report how long a job takes, and how much of it this process computed."""
    say(case)
    started_s, busy_s = time.perf_counter(), time.process_time()
    job()
    taken_s, busy_s = time.perf_counter() - started_s, time.process_time() - busy_s
    yield report("city", case, round(taken_s, 2), "s")
    yield report("city", f"{case}: processor time of the server", round(busy_s, 2), "s")


def say(text: str) -> None:
    """Tell how far it is."""
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"city: {time.strftime('%H:%M:%S')} {text} (peak {peak_mb} MB)", file=sys.stderr, flush=True
    )


@contextmanager
def resting(city: City) -> Iterator[Session]:
    """Open a unit of work in which no trigger runs."""
    with city.database.writing() as session:
        session.execute(sa.text("set local session_replication_role = replica"))
        yield session


def derive_all(city: City, persons: int) -> None:
    """Derive everybody, a slab in each unit of work, as `yika-server reconcile --all` does."""
    after = 0
    while after < persons:
        with resting(city) as session:
            _summary, slab = reconcile_slab(session, after, world.NOW_MS)
        after = slab[-1]
        say(f"derived {after} of {persons}")


def post_all(city: City, persons: int) -> None:
    """Post everybody, a slab in each unit of work."""
    after = 0
    while after < persons:
        with resting(city) as session:
            slab = next_slab(session, after)
            post_differences(session, slab, world.NOW_MS)
        after = slab[-1]
        say(f"posted {after} of {persons}")


def night(city: City) -> Iterator[Line]:
    """Bring in the last day and close it: derive and post all who tapped, as the worker does."""
    city.bring(city.last_day, 100_000_000)
    people = np.unique(city.last_day.person).tolist()
    with city.database.writing() as session:
        mark_dirty(session, people)
    yield report("city", "people of the last day", len(people), "volunteers")

    def close() -> None:
        done = drain(city.database, derive_and_post, world.NOW_MS)
        if done.failed or done.done < len(people):
            message = f"the night derived {done.done} of {len(people)}, {done.failed} failed"
            raise RuntimeError(message)

    yield from timed("nightly close", close)


def late_batch(city: City) -> Iterator[Line]:
    """Bring in tap-outs that come late, and time it until hours and ledger are right."""
    city.bring(city.late, 200_000_000)
    people = np.unique(city.late.person).tolist()
    yield report("city", "cards of the late batch", len(people), "cards")
    started_s, busy_s = time.perf_counter(), time.process_time()
    with city.database.writing() as session:
        derive_and_post(session, people, world.NOW_MS)
    elapsed_ms = round(1000 * (time.perf_counter() - started_s), 1)
    busy_ms = round(1000 * (time.process_time() - busy_s), 1)
    yield report("city", "late batch to updated hours", elapsed_ms, "ms")
    yield report("city", "late batch: processor time of the server", busy_ms, "ms")
