# SPDX-License-Identifier: Apache-2.0
"""A city on PostgreSQL: loaded by COPY, derived and posted whole, a night, a late batch.

    script/bench city                     14 000 volunteers, 168 000 taps
    script/bench city --size 1400000      the whole city: 1.4 million volunteers, 17 million taps

The whole is derived by the kernel over the archive in two local processes of Spark and brought
back by COPY; the nightly close is the server's own worker over the people of the last day.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from bench import city_world as world
from bench.line import Line, report
from server.archive import hours
from server.db import Database
from server.people.services import mark_dirty
from server.portal.services.hours import read_hours
from server.reconciliation.elsewhere import Elsewhere
from server.reconciliation.policy import warm_up
from server.schema import upgrade
from server.timebank.services import post_differences
from server.worker import derive_and_post, drain
from tests.integration.postgres import PostgresCluster

DEFAULT_PERSONS = 14_000
QUICK_PERSONS = 2_800
PAGES = 200
LATE_CARDS = 500
POSTED_AT_ONCE = 20_000
# Small beside the machine: others work on it too.
SETTINGS = (
    "-c listen_addresses='' -c shared_buffers=1GB -c work_mem=64MB -c maintenance_work_mem=256MB "
    "-c max_wal_size=4GB -F -c synchronous_commit=off -c full_page_writes=off"
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
            world.load_taps(connection, taps, self.stored, batch)
            self.stored[:] += np.bincount(taps.terminal, minlength=len(self.stored))
            world.note_ranges(connection, self.stored)


def run(quick: bool, size: int | None = None) -> Iterator[Line]:
    """Measure a city of `size` volunteers."""
    persons = size or (QUICK_PERSONS if quick else DEFAULT_PERSONS)
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
        city.bring(taps.chosen(~final_day & ~late), 1)
        with psycopg.connect(city.dsn, autocommit=True) as connection:
            connection.execute("analyze")

    yield timed("loaded by COPY, uploads included", load)
    yield report("city", "taps", len(taps), "taps")
    yield timed("everybody derived from the events", lambda: derive_all(city))
    yield timed("everybody posted to the ledger", lambda: post_all(city, persons))
    yield from night(city)
    yield report("city", "page of one volunteer, p95", page_p95_ms(city, persons), "ms")
    yield from late_batch(city)
    database.close()


def timed(case: str, job: Callable[[], None]) -> Line:
    """Report how long a job takes."""
    started_s = time.perf_counter()
    job()
    return report("city", case, round(time.perf_counter() - started_s, 2), "s")


def derive_all(city: City) -> None:
    """Derive everybody by the bulk way: the archive, the kernel over arrays, COPY back."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "archive").mkdir()
        asked = Elsewhere("local[2]", Path(folder) / "archive", Path(folder) / "work")
        with city.database.writing() as session:
            hours.reconcile(session, asked, world.NOW_MS)


def post_all(city: City, persons: int) -> None:
    """Post everybody, some at a time."""
    for low in range(1, persons + 1, POSTED_AT_ONCE):
        part = range(low, min(persons + 1, low + POSTED_AT_ONCE))
        with city.database.writing() as session:
            post_differences(session, part, world.NOW_MS)


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

    yield timed("nightly close", close)


def page_p95_ms(city: City, persons: int) -> float:
    """Return how long the facts of a volunteer's page take to read, 95th of a hundred."""
    chosen = np.random.default_rng(2).integers(1, persons + 1, PAGES).tolist()
    taken = []
    for person in chosen:
        started_s = time.perf_counter()
        read_hours(city.database, person, 1, world.NOW_MS)
        taken.append(1000 * (time.perf_counter() - started_s))
    return round(float(np.percentile(taken, 95)), 2)


def late_batch(city: City) -> Iterator[Line]:
    """Bring in tap-outs that come late, and time it until hours and ledger are right."""
    city.bring(city.late, 200_000_000)
    people = np.unique(city.late.person).tolist()
    yield report("city", "cards of the late batch", len(people), "cards")
    started_s = time.perf_counter()
    with city.database.writing() as session:
        derive_and_post(session, people, world.NOW_MS)
    elapsed_ms = round(1000 * (time.perf_counter() - started_s), 1)
    yield report("city", "late batch to updated hours", elapsed_ms, "ms")
