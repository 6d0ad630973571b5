# SPDX-License-Identifier: Apache-2.0
"""How much a tap weighs once it is stored, derived and posted, and what that makes of a year.

Real uploads go through the server into PostgreSQL; every table is weighed with its indices and
divided by taps. The years are arithmetic on that and on the load model of docs/sizing.md.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from bench.ingest_world import (
    BATCH_EVENTS,
    CARDS,
    NOW_MS,
    World,
    durable_postgres,
    fresh_database,
    serial,
)
from bench.line import Line, report, significant
from keys.identity import Identity
from server.db import Database
from server.ingest.services import Intake, Upload, accept_batch
from server.operations import copying
from server.reconciliation.services import reconcile
from server.terminals.notices import Signer
from server.timebank.services import post_differences
from swipe.kinds import EventType
from tests import factories

FULL_EVENTS, QUICK_EVENTS = 20_000, 4_000
# docs/sizing.md: 12 hours a year, 2 a service, 2 taps a service, a peak day 50 times the mean.
TAPS_A_YEAR, PEAK = 12, 50
SECONDS_A_YEAR = 365 * 86_400
GB = 1e9
DERIVED = frozenset({"service_interval", "recon_exception", "transfer", "entry", "account"})


@dataclass(frozen=True, slots=True)
class Profile:
    """A place by its number of volunteers."""

    name: str
    volunteers: int

    @property
    def taps(self) -> int:
        """Taps in a year."""
        return self.volunteers * TAPS_A_YEAR


SERVICE_S, APART_S = 2 * 3600, 10

PROFILES = (
    Profile("Shenzhen", 200_000),
    Profile("Qingdao", 1_400_000),
    Profile("nation", 230_000_000),
)


def run(quick: bool) -> Iterator[Line]:
    """Weigh taps in PostgreSQL, and tell what a year of each place comes to."""
    count = QUICK_EVENTS if quick else FULL_EVENTS
    with tempfile.TemporaryDirectory() as name, durable_postgres() as cluster:
        folder = Path(name)
        world = services_of(folder, count)
        database = fresh_database(cluster.create_database("sizing"), world)
        empty = weights(database)
        started = time.perf_counter()
        for number, body in enumerate(world.batches, 1):
            intake = Intake(database, world.store, Signer(Identity.generate(), 1))
            answer = accept_batch(intake, Upload(factories.TERMINAL_ID, number, body, NOW_MS))
            assert answer.status == 200, answer.problem
        uploaded = time.perf_counter() - started
        with database.writing() as session:
            reconcile(session, None, NOW_MS)
            session.flush()
            post_differences(session, None, NOW_MS)
        derived = time.perf_counter() - started - uploaded
        grown = {table: size - empty.get(table, 0) for table, size in weights(database).items()}
        dump_started = time.perf_counter()
        copying.copy_out(database, folder)
        dumped = time.perf_counter() - dump_started
        dump_bytes = (folder / copying.POSTGRES_COPY).stat().st_size
        database.close()
    yield from _per_tap(grown, count)
    yield report("sizing", "backup per tap", significant(dump_bytes / count), "B")
    yield report("sizing", "backup", significant(count / dumped), "taps/s")
    yield report("sizing", "stored and verified", significant(count / uploaded), "taps/s")
    yield report("sizing", "derived and posted", significant(count / derived), "taps/s")
    heavy = sum(grown.values()) / count
    for profile in PROFILES:
        yield from _year(profile, heavy, count / uploaded)
    shutil.rmtree(name, ignore_errors=True)


def services_of(folder: Path, count: int) -> World:
    """Make services of two hours: all cards tap in one after the other, then all tap out."""
    store = factories.make_store(folder / "keys")
    terminal = factories.make_identity()
    changes = [
        {
            "type": EventType.OUT if (i // CARDS) % 2 else EventType.IN,
            "card_asn": serial(i % CARDS),
            "card_ctr": i // CARDS,
            "utc_s": factories.UTC_S + i // CARDS * SERVICE_S + i % CARDS * APART_S,
            "up_s": 60 + i // CARDS * SERVICE_S + i % CARDS * APART_S,
        }
        for i in range(count)
    ]
    return World(store, terminal, factories.make_chain(count, terminal, store, changes=changes))


def weights(database: Database) -> dict[str, int]:
    """Return the bytes of every table with its indices, as they lie after a VACUUM."""
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
        rows = connection.execute(
            sa.text("SELECT relname, pg_total_relation_size(relid) FROM pg_stat_user_tables")
        )
        return {str(table): int(size) for table, size in rows}


def _per_tap(grown: dict[str, int], count: int) -> Iterator[Line]:
    for table, size in sorted(grown.items(), key=lambda item: -item[1]):
        if size / count >= 1:
            yield report("sizing", f"{table} per tap", significant(size / count), "B")
    evidence = sum(size for table, size in grown.items() if table not in DERIVED)
    yield report("sizing", "evidence per tap", significant(evidence / count), "B")
    derived = sum(size for table, size in grown.items() if table in DERIVED)
    yield report("sizing", "derived per tap", significant(derived / count), "B")


def _year(profile: Profile, bytes_per_tap: float, stored_per_s: float) -> Iterator[Line]:
    mean = profile.taps / SECONDS_A_YEAR
    peak = mean * PEAK
    place = f"{profile.name} ({profile.volunteers} volunteers)"
    yield report("sizing", f"{place}: a year", significant(profile.taps * bytes_per_tap / GB), "GB")
    yield report("sizing", f"{place}: mean", significant(mean), "taps/s")
    yield report("sizing", f"{place}: peak day", significant(peak), "taps/s")
    batches = significant(peak / BATCH_EVENTS)
    yield report("sizing", f"{place}: peak day, batches of {BATCH_EVENTS}", batches, "batches/s")
    share = significant(peak / stored_per_s)
    yield report("sizing", f"{place}: peak day, of one such machine", share, "machines")
