# SPDX-License-Identifier: Apache-2.0
"""Derive everybody's hours on a cluster from the archive, and bring them back by COPY.

It holds the lock of derivations: what is uploaded meanwhile waits in the queue of hours and is
derived afterwards. Training is derived here, for the few who tapped in training mode.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from server.archive import columns, event_files, spark, tasks, topics, writing
from server.archive.event_files import EventFiles
from server.archive.manifest import Manifest
from server.archive.policy import Topic
from server.archive.spark import Cluster, Output
from server.archive.writing import SHARDS_DEFAULT, Wish
from server.ingest.models import StoredRange
from server.phone_cards.models import TokenUse
from server.phone_cards.proofs import later_uses
from server.reconciliation.arrays import History, Result
from server.reconciliation.codes import FLAG_TRAINING
from server.reconciliation.elsewhere import Elsewhere
from server.reconciliation.loading import Known, Loaded, load
from server.reconciliation.models import ReconException, ServiceInterval
from server.reconciliation.parameters import DEFAULT_POLICY, Policy
from server.reconciliation.rules_set import CLONE_RULE, list_clones
from server.reconciliation.services import DERIVING_LOCK, Summary
from server.reconciliation.storing import (
    EXCEPTION_FACTS,
    INTERVAL_FACTS,
    exception_rows,
    interval_rows,
    replace_current,
    store_training,
)
from server.reconciliation.training import list_training

Table = type[ServiceInterval] | type[ReconException]


@dataclass(frozen=True, slots=True)
class Place:
    """The archive, and an empty folder for what lies between; all workers reach both."""

    archive: Path
    work: Path


@dataclass(frozen=True)
class StoredFacts:
    """Makes the rows that the tables of hours hold."""

    terminals: NDArray[np.int64]
    sites: tuple[int | None, ...]

    def tables(
        self, history: History, result: Result, corrections: NDArray[np.intp]
    ) -> tuple[pa.Table, pa.Table]:
        """Return intervals and exceptions as the tables of the database have them."""
        sites = tuple(self.sites[row] for row in corrections.tolist())
        loaded = Loaded(history, self.terminals, sites)
        return (
            pa.Table.from_pylist(
                interval_rows(loaded, result), topics.schema_of(ServiceInterval, INTERVAL_FACTS)
            ),
            pa.Table.from_pylist(
                exception_rows(loaded, result), topics.schema_of(ReconException, EXCEPTION_FACTS)
            ),
        )


Runner = Callable[[EventFiles, StoredFacts, Path], Output]


def reconcile(
    session: Session, asked: Elsewhere, now_ms: int, policy: Policy = DEFAULT_POLICY
) -> Summary:
    """Derive everybody on a Spark cluster; what is stored is what the local engine would store.

    Raises:
        Refused: pyspark is not installed, or the archive contradicts the database.
    """

    def run(files: EventFiles, facts: StoredFacts, out: Path) -> Output:
        with spark.connect(Cluster(asked.master, asked.shards, dict(asked.settings))) as connected:
            return spark.derive(connected, files, now_ms, out, policy, facts)

    asked.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="reconcile-", dir=asked.work) as work:
        place = Place(asked.archive.resolve(), Path(work).resolve())
        return reconcile_by(session, place, asked.shards, now_ms, run, policy)


def reconcile_by(
    session: Session,
    place: Place,
    shards: int,
    now_ms: int,
    run: Runner,
    policy: Policy = DEFAULT_POLICY,
) -> Summary:
    """Derive everybody by whatever runs the tasks."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(DERIVING_LOCK)))
    files, facts = prepare(session, place, shards, now_ms)
    done = run(files, facts, place.work / "out")
    intervals, exceptions = done.folder / tasks.INTERVALS, done.folder / tasks.EXCEPTIONS
    new_intervals = bring_back(session, ServiceInterval, INTERVAL_FACTS, intervals, now_ms)
    new_exceptions = bring_back(session, ReconException, EXCEPTION_FACTS, exceptions, now_ms)
    _derive_training(session, files, policy, now_ms)
    fresh = sa.select(ReconException.id).where(
        ReconException.current,
        ReconException.rule == CLONE_RULE,
        ReconException.made_ms == now_ms,
    )
    if session.scalar(fresh.limit(1)) is not None:
        list_clones(session, now_ms)
    persons = len(files.history.persons)
    return Summary(persons, done.intervals, done.exceptions, new_intervals, new_exceptions)


def prepare(
    session: Session, place: Place, shards: int, now_ms: int
) -> tuple[EventFiles, StoredFacts]:
    """Archive what is not archived yet, and say where everything lies that a cluster needs."""
    before = Manifest.read(place.archive)
    wish = Wish(
        unfinished=True, topics=(Topic.EVENTS,), shards=before.shards if before else SHARDS_DEFAULT
    )
    manifest = writing.write(session, place.archive, wish, now_ms, lambda _line: None)
    event_files.write_uploads(session, place.work / "uploads", manifest.shards)
    known = Known.read(session, None)
    terminals = session.scalars(sa.select(StoredRange.terminal_id).distinct()).all()
    found = known.registers(session, None, terminals)
    used = session.scalars(sa.select(TokenUse.card_asn).distinct()).all()
    by_shard: dict[str, list[str]] = {}
    for file in manifest.files(Topic.EVENTS):
        by_shard.setdefault(Path(file).stem, []).append(str(place.archive / file))
    files = EventFiles(
        history=found.history,
        known=replace(known, people=[], cards=[tuple(row) for row in known.cards], corrections=[]),
        terminals=tuple(found.terminals.tolist()),
        later=frozenset(later_uses(session, used)) if used else frozenset(),
        files={name: tuple(paths) for name, paths in by_shard.items()},
        uploads=place.work / "uploads",
        shards=shards,
        events=sum(
            part.rows for name, part in manifest.months.items() if name.startswith("events")
        ),
    )
    return files, StoredFacts(found.terminals, found.sites)


def bring_back(
    session: Session, table: Table, facts: tuple[str, ...], folder: Path, now_ms: int
) -> int:
    """Make the rows of some files the current ones of everybody; return how many are new."""
    if session.get_bind().dialect.name == "postgresql":
        return _copy_back(session, table, facts, folder, now_ms)
    rows = [row for part in _read(folder) for row in part.to_pylist()]
    return replace_current(session, table, facts, rows, (None, now_ms))


def _read(folder: Path) -> Iterator[pa.Table]:
    for path in sorted(folder.glob("*.parquet")):
        yield columns.read(path)


def _copy_back(
    session: Session, table: Table, facts: tuple[str, ...], folder: Path, now_ms: int
) -> int:
    """COPY into a table beside, then change only what differs; equal rows count one by one."""
    name, listed = table.__tablename__, ", ".join(facts)
    connection = session.connection()
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE derived ON COMMIT DROP AS SELECT {listed} FROM {name} WHERE false"  # noqa: S608 - names of our own columns
    )
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY derived ({listed}) FROM STDIN") as copy:
        for part in _read(folder):
            cells: list[Sequence[Any]] = [part.column(fact).to_pylist() for fact in facts]
            for row in zip(*cells, strict=True):
                copy.write_row(row)
    names = {"table": name, "facts": listed, "now_ms": now_ms}
    for statement in (_TOLD, _STANDING, *_LOOKED_UP, _WITHDRAWN):
        connection.exec_driver_sql(statement.format(**names))
    done = connection.exec_driver_sql(_NEW.format(**names))
    for left in ("derived", "told", "standing"):
        connection.exec_driver_sql(f"DROP TABLE {left}")
    return int(done.rowcount)


# `said` is all facts of a row as text, `copy` tells equal rows apart.
_TOLD = (
    "CREATE TEMPORARY TABLE told ON COMMIT DROP AS SELECT *, ROW({facts})::text AS said, "
    "row_number() OVER (PARTITION BY ROW({facts})::text) AS copy FROM derived"
)
_STANDING = (
    "CREATE TEMPORARY TABLE standing ON COMMIT DROP AS SELECT id, ROW({facts})::text AS said, "
    "row_number() OVER (PARTITION BY ROW({facts})::text ORDER BY id) AS copy "
    "FROM {table} WHERE current"
)
_WITHDRAWN = (
    "UPDATE {table} SET current = false WHERE id IN (SELECT id FROM standing "
    "WHERE NOT EXISTS (SELECT FROM told WHERE told.said = standing.said "
    "AND told.copy = standing.copy))"
)
_NEW = (
    "INSERT INTO {table} ({facts}, made_ms, current) SELECT {facts}, {now_ms:d}, true FROM told "
    "WHERE NOT EXISTS (SELECT FROM standing WHERE standing.said = told.said "
    "AND standing.copy = told.copy)"
)
_LOOKED_UP = (
    "CREATE INDEX ON told (said, copy)",
    "CREATE INDEX ON standing (said, copy)",
    "ANALYZE told",
    "ANALYZE standing",
)


def _derive_training(session: Session, files: EventFiles, policy: Policy, now_ms: int) -> None:
    """Derive the training of everybody who tapped in training mode, from the database."""
    owner_of = {str(row[1]): int(row[3]) for row in files.known.cards}
    trained: set[int] = set()
    for paths in files.files.values():
        for path in paths:
            part = columns.read(Path(path)).select(["flags", "card_asn"])
            rows = np.flatnonzero(part.column("flags").to_numpy() & FLAG_TRAINING)
            asns = part.column("card_asn").take(rows).unique().to_pylist()
            trained |= {owner_of[asn] for asn in asns if asn in owner_of}
    if trained:
        loaded = load(session, trained)
        found = list_training(loaded.history, policy)
        store_training(session, loaded, found, trained, now_ms)
