# SPDX-License-Identifier: Apache-2.0
"""Rehearse a restore to a moment: a base copy, archived WAL, a mistake, and back to just before it.

Runs on throw-away PostgreSQL clusters with the server's own schema and real uploads; nothing it
touches outlives it. `script/rehearse-restore` prints what it found.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from server.db import Database
from server.operations.figures import Figures, figures
from server.reconciliation.services import reconcile
from server.schema import upgrade
from server.timebank.services import post_differences
from tests.factories import UTC_S, make_store
from tests.integration.postgres import DURABLE, PostgresCluster
from tests.integration.server.rig import NOW_MS, Rig

NAME = "city"
LATER_MS = NOW_MS + 40 * 86_400_000
ARCHIVE_TIMEOUT_S = 60.0
POLL_S = 0.05
BEFORE_BASE, AFTER_BASE = 4, 10  # events before the base copy, and in all
APART_S = 350  # long enough to be credited, and all of them before the server's now
APART = [{"utc_s": UTC_S + APART_S * i, "up_s": APART_S * (i + 1)} for i in range(AFTER_BASE)]


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """The figures at the moment, those that came back, and how long coming back took."""

    expected: Figures
    found: Figures
    restore_s: float

    @property
    def differences(self) -> list[str]:
        """Name what did not come back."""
        return self.expected.differences(self.found)


def rehearse(folder: Path) -> Rehearsed:
    """Go the whole way once, in a folder that PostgreSQL's user can reach."""
    archive = folder / "archive"
    with _running(archive) as cluster:
        url = cluster.create_database(NAME)
        database = Database(url)
        upgrade(database)
        rig = Rig(database, make_store(folder / "keys")).populate()
        events = rig.chain(AFTER_BASE, changes=APART)
        rig.receipt(events[:BEFORE_BASE])
        _derive(database)
        cluster._run("pg_basebackup", "-h", cluster.folder, "-U", "postgres",
                     "-D", cluster.folder / "base", "-X", "none", "-c", "fast")  # fmt: skip
        rig.receipt(events[BEFORE_BASE:], 2)
        _derive(database)
        with database.reading() as session:
            expected = figures(session)
        moment = _mistake(database)
        database.close()
        _archived(url)
        started = time.monotonic()
        with _recovered(cluster, archive, moment) as found_url:
            copy = Database(found_url)
            with copy.reading() as session:
                found = figures(session)
            copy.close()
        return Rehearsed(expected, found, time.monotonic() - started)


def _derive(database: Database) -> None:
    with database.writing() as session:
        reconcile(session, None, LATER_MS)
        session.flush()
        post_differences(session, None, LATER_MS)


def _mistake(database: Database) -> str:
    """Empty a table as somebody with too many rights might; return the moment just before."""
    with database.engine.begin() as connection:
        moment = str(connection.scalar(sa.text("SELECT clock_timestamp()")))
    with database.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE event DISABLE TRIGGER USER"))
        connection.execute(sa.text("DELETE FROM event"))
    return moment


def _archived(url: str) -> None:
    """Wait until the WAL with the mistake is in the archive."""
    database = Database(url)
    with database.engine.connect() as connection:
        wanted = connection.scalar(sa.text("SELECT pg_walfile_name(pg_switch_wal())"))
        deadline = time.monotonic() + ARCHIVE_TIMEOUT_S
        query = sa.text("SELECT last_archived_wal FROM pg_stat_archiver")
        while (connection.scalar(query) or "") < str(wanted):
            connection.rollback()
            assert time.monotonic() < deadline, f"{wanted} was not archived"
            time.sleep(POLL_S)
    database.close()


@contextmanager
def _running(archive: Path) -> Iterator[PostgresCluster]:
    """Run a cluster that archives its WAL."""
    cluster = PostgresCluster(DURABLE)
    archive.mkdir()
    if cluster.user:
        shutil.chown(archive, cluster.user)
    cluster.start()
    try:
        for setting in ("archive_mode = on", f"archive_command = 'cp %p {archive}/%f'"):
            cluster.run_sql(f"ALTER SYSTEM SET {setting}")
        cluster.restart()
        yield cluster
    finally:
        cluster.stop()


@contextmanager
def _recovered(source: PostgresCluster, archive: Path, moment: str) -> Iterator[str]:
    """Bring the base copy up to a moment in a cluster of its own; give the database's URL."""
    copy = PostgresCluster(DURABLE)
    base = source.folder / "base"
    with (base / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
        settings.write(
            f"archive_mode = off\nrestore_command = 'cp {archive}/%f %p'\n"
            f"recovery_target_time = '{moment}'\nrecovery_target_action = 'promote'\n"
        )
    (base / "recovery.signal").touch()
    if copy.user:
        shutil.chown(base / "recovery.signal", copy.user)
    base.rename(copy.folder / "data")
    copy.begin()
    try:
        yield copy.url(NAME)
    finally:
        copy.stop()


def main() -> int:
    """Rehearse once and print what came back."""
    with tempfile.TemporaryDirectory(prefix="yika-pitr-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        done = rehearse(folder)
    document = {
        "rehearsal": "restore to a moment",
        "events": done.found.rows["event"],
        "credited_minutes": done.found.credited_minutes,
        "restore_s": round(done.restore_s, 2),
        "differences": done.differences,
    }
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    return 1 if done.differences else 0


if __name__ == "__main__":
    sys.exit(main())
