# SPDX-License-Identifier: Apache-2.0
"""Rehearse a restore: bring a backup back beside the server, and derive everything again.

A backup that was never restored is a hope. The rehearsal ends with the same figures twice: as the
copy holds them, and as its events give them when all hours are derived anew.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from server.config import Config
from server.db import Database
from server.operations import backup, copying
from server.operations.figures import figures, hours
from server.reconciliation.services import reconcile
from server.timebank import checking
from server.timebank.services import post_differences

SCRATCH = "yika_rehearsal_"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What came out; the backup is sound when nothing is named in `faults`."""

    events: int
    people: int
    credited_minutes: int
    faults: list[str]


def rehearse(folder: Path, config: Config, now_ms: int, key: bytes | None = None) -> Rehearsal:
    """Restore into a scratch place of the same kind of database, compare, derive again, compare.

    On PostgreSQL a database of its own is made on the configured server and dropped at the end; the
    role needs CREATEDB.

    Raises:
        Refused: the backup does not check or cannot be restored.
    """
    manifest = backup.check(folder, key)
    with _scratch(manifest, config) as place:
        backup.restore(folder, place, key)
        database = Database(place.database_url)
        try:
            return _compare(database, manifest, now_ms)
        finally:
            database.close()


def _compare(database: Database, manifest: backup.Manifest, now_ms: int) -> Rehearsal:
    with database.reading() as session:
        found = figures(session)
    faults = [f"restored copy: {text}" for text in manifest.figures.differences(found)]
    with database.writing() as session:
        derived = reconcile(session, None, now_ms)
        session.flush()
        minutes, digest = hours(session)
        if (minutes, digest) != (found.credited_minutes, found.hours):
            faults.append(
                f"derived again: {minutes} credited minutes in {derived.intervals} intervals, "
                f"the copy has {found.credited_minutes}; {derived.new_intervals} differ"
            )
        posted = post_differences(session, None, now_ms).posted
        if posted:
            faults.append(f"derived again: the ledger lacks {posted} transfers")
        faults += [f"ledger: {text}" for text in checking.check(session).faults]
    return Rehearsal(found.rows["event"], derived.persons, minutes, faults)


@contextmanager
def _scratch(manifest: backup.Manifest, config: Config) -> Iterator[Config]:
    """Give a configuration with an empty folder and an empty database, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="yika-rehearsal-") as folder:
        place = replace(
            config,
            data=replace(config.data, dir=Path(folder)),
            keys=replace(config.keys, store=""),
            database=replace(config.database, url=""),
        )
        if manifest.database == copying.SQLITE_COPY:
            yield place
            return
        name = SCRATCH + secrets.token_hex(4)
        server = make_url(config.database_url)
        with _database(config.database_url, name):
            url = server.set(database=name).render_as_string(hide_password=False)
            yield replace(place, database=replace(config.database, url=url))


@contextmanager
def _database(url: str, name: str) -> Iterator[None]:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", hide_parameters=True)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE template0')
            try:
                yield
            finally:
                connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        engine.dispose()
