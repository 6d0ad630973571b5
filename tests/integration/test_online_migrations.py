# SPDX-License-Identifier: Apache-2.0
"""Migrations of a populated PostgreSQL: which statements read a large table under a lock.

A statement that only changes the catalogue is over at once, whatever lock it takes. One that reads
the rows of a large table while nobody may write to it takes as long as the table is large: each
such statement stands here with its reason, and a new one fails the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event as sa_event

from server.db import BUSY_TIMEOUT_MS, Database
from server.schema import LARGE_TABLES, newest_revision, plan, upgrade
from tests.integration.postgres import PostgresCluster

# Steps before it refuse a database that holds people: it would be of no released version.
BASE = "0018"
ROWS = 300
# Locks under which nobody else can insert.
BLOCKING = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
# What is borne with, by revision and beginning of the statement, and why.
KNOWN: dict[tuple[str, str], str] = {
    ("0023", "CREATE UNIQUE INDEX ix_notification_once"): (
        "one pass over a column that is empty everywhere; uploads write no notification"
    ),
    ("0034", "CREATE INDEX ix_batch_first_seq"): (
        "one row an upload, not a tap: a second for a million of them, then uploads go on"
    ),
}
# Values of columns that a check looks at.
VALUES = {
    ("service_interval", "grade"): "'B'", ("correction", "grade"): "'B'",
    ("service_interval", "state"): "'credited'", ("recon_exception", "state"): "'open'",
    ("card", "state"): "'active'", ("volunteer", "secret_kind"): "'code'",
    ("account", "kind"): "'volunteer'", ("transfer", "kind"): "'service'",
    ("entry", "minutes"): "1", ("account", "owner"): "n", ("account", "minutes"): "0",
}  # fmt: skip
FILLED = {"integer": "n", "bigint": "n", "smallint": "1", "bytea": "'\\x00'::bytea",
          "boolean": "true", "date": "'2026-05-01'::date", "json": "'{}'::json"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """A statement that read a large table while it kept writers away from it."""

    revision: str
    table: str
    statement: str


@pytest.fixture
def populated(postgres_cluster: PostgresCluster) -> Iterator[Database]:
    """A PostgreSQL at an old revision with rows in every large table it has."""
    database = Database(postgres_cluster.create_database("yika_old"))
    try:
        upgrade(database, BASE)
        with database.engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            for table in LARGE_TABLES:
                if sa.inspect(connection).has_table(table):
                    connection.exec_driver_sql(_fill(connection, table))
        yield database
    finally:
        database.close()
        postgres_cluster.drop_database("yika_old")


def _fill(connection: sa.Connection, table: str) -> str:
    """Return what puts rows into a table; a column that may be empty is, unless a check asks."""
    query = sa.text(
        "SELECT column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = 'public' AND table_name = :table "
        "AND (is_nullable = 'NO' OR (table_name, column_name) = ('notification', 'person'))"
    )
    columns = connection.execute(query, {"table": table}).all()
    cells = [VALUES.get((table, name), FILLED.get(kind, "n::text")) for name, kind in columns]
    names = ", ".join(name for name, _ in columns)
    return (
        f"INSERT INTO {table} ({names}) SELECT {', '.join(cells)} FROM generate_series(1, {ROWS}) n"
    )


def watch(database: Database, revision: str) -> list[Seen]:
    """Run one migration; return what it did to large tables."""
    seen: list[Seen] = []
    large = ", ".join(f"'{table}'" for table in LARGE_TABLES)
    modes = ", ".join(f"'{mode}'" for mode in BLOCKING)
    locked = (
        "SELECT c.oid, c.relname FROM pg_locks JOIN pg_class c ON c.oid = relation "
        f"WHERE pid = pg_backend_pid() AND mode IN ({modes}) AND c.relname IN ({large})"
    )
    read = "SELECT pg_stat_get_xact_tuples_returned({})"
    before: dict[int, int] = {}
    busy = False

    def after(connection: sa.Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        nonlocal busy
        if busy:
            return
        busy = True
        for oid, name in connection.exec_driver_sql(locked).all():
            count = connection.exec_driver_sql(read.format(oid)).scalar() or 0
            if count - before.get(oid, 0) >= ROWS:
                seen.append(Seen(revision, name, " ".join(statement.split())))
            before[oid] = count
        busy = False

    sa_event.listen(database.engine, "after_cursor_execute", after)
    try:
        upgrade(database, revision)
    finally:
        sa_event.remove(database.engine, "after_cursor_execute", after)
    return seen


def test_no_migration_reads_a_large_table_under_a_lock(populated: Database) -> None:
    """From an old revision to the newest, what would stop uploads for long is known."""
    found = [seen for step in plan(populated) for seen in watch(populated, step.revision)]

    unknown = [
        seen
        for seen in found
        if not any(
            seen.revision == revision and seen.statement.startswith(beginning)
            for revision, beginning in KNOWN
        )
    ]
    assert unknown == []
    assert plan(populated) == []


def test_a_migration_does_not_wait_long_for_a_lock(populated: Database) -> None:
    """Every connection of the server gives a lock up after seconds, a migration's too."""
    with populated.engine.connect() as connection:
        waits = connection.exec_driver_sql("SHOW lock_timeout").scalar()
    assert waits == f"{BUSY_TIMEOUT_MS // 1000}s"


def test_the_plan_names_every_step(populated: Database) -> None:
    """What is to be run is listed in order with a line about each; nothing is run."""
    steps = plan(populated)

    assert [step.revision for step in steps] == sorted(step.revision for step in steps)
    assert steps[0].revision == "0019"
    assert steps[-1].revision == newest_revision()
    assert all(step.summary for step in steps)
    assert plan(populated) == steps
