# SPDX-License-Identifier: Apache-2.0
"""Fifty threads move minutes while server and database are killed: the ledger stays whole.

YIKA_STORM_ROUNDS=40 makes it a search of minutes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Database
from server.schema import upgrade
from server.timebank import orders
from server.timebank.checking import check
from server.timebank.models import HELD, VOLUNTEER, Account, Entry, Transfer
from server.timebank.orders import Order
from tests.integration.ledger_storm import FIRST_MINUTES, VOLUNTEERS
from tests.integration.postgres import DURABLE, PostgresCluster
from tests.integration.test_timebank import NOW_MS, add_person

ROUNDS = int(os.environ.get("YIKA_STORM_ROUNDS", "3"))
PROGRESS = 40  # transfers that must have been answered before somebody is killed
PATIENCE_S = 60.0
ROOT = Path(__file__).parents[2]


@pytest.fixture
def durable() -> Iterator[PostgresCluster]:
    """Return a cluster that flushes what it commits."""
    cluster = PostgresCluster(DURABLE)
    cluster.start()
    yield cluster
    cluster.stop()


def kill_cluster(cluster: PostgresCluster) -> None:
    """End every process of the cluster at once, as a power cut would."""
    master = int((cluster.folder / "data" / "postmaster.pid").read_text().split()[0])
    pids = [master]
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it ended meanwhile
        if int(fields[1]) == master:
            pids.append(int(status.parent.name))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_S
    while any(lives(pid) for pid in pids):
        assert time.monotonic() < deadline, "a killed process lives on"
        time.sleep(0.01)
    # The numbers in these files may still name processes that nobody has buried yet.
    for lock in (cluster.folder / "data" / "postmaster.pid", *cluster.folder.glob(".s.PGSQL*lock")):
        lock.unlink(missing_ok=True)


def lives(pid: int) -> bool:
    """Tell if a process is there and not only its tombstone."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def answered(path: Path) -> list[str]:
    """Return the whole lines written so far."""
    text = path.read_text() if path.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def wait_for(path: Path, count: int) -> None:
    """Wait until so many transfers were answered."""
    deadline = time.monotonic() + PATIENCE_S
    while len(answered(path)) < count:
        assert time.monotonic() < deadline, "the threads make no progress"
        time.sleep(0.02)


def storm(url: str, seed: int, path: Path) -> subprocess.Popen[str]:
    """Start the process of fifty threads."""
    command = [sys.executable, "-m", "tests.integration.ledger_storm", url, str(seed), str(path)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, text=True)


def open_accounts(session: Session) -> None:
    """Take in the volunteers and give each some minutes."""
    for number in range(1, VOLUNTEERS + 1):
        person = add_person(session, number)
        orders.transfer(
            session, "award", Order(f"first:{number}", 0, FIRST_MINUTES, person), NOW_MS, "test"
        )


def test_kills_of_server_and_database_lose_and_double_nothing(
    durable: PostgresCluster, tmp_path: Path
) -> None:
    """Sums are zero, no floor is broken, each answered uid stands once under its number."""
    url = durable.create_database("storm")
    database = Database(url)
    upgrade(database)
    with database.writing() as session:
        open_accounts(session)
    path = tmp_path / "answers"
    for number in range(ROUNDS):
        process = storm(url, number + 1, path)
        try:
            wait_for(path, len(answered(path)) + PROGRESS)
            if number % 2:
                kill_cluster(durable)
                durable.begin()
                wait_for(path, len(answered(path)) + PROGRESS)
        finally:
            process.kill()
            process.wait()
    database.engine.dispose()
    with database.reading() as session:
        assert_whole(session, answered(path))
    database.close()


def assert_whole(session: Session, lines: list[str]) -> None:
    """Hold the ledger against itself and against what was answered."""
    assert check(session).faults == []
    below = sa.select(Account.id).where(Account.kind.in_((VOLUNTEER, HELD)), Account.minutes < 0)
    assert session.scalars(below).all() == []
    stands = {uid: number for uid, number in session.execute(sa.select(Transfer.uid, Transfer.id))}  # noqa: C416 - a row is no pair for mypy
    for line in lines:
        uid, number = line.split()
        assert stands[uid] == int(number)
    ended = session.scalars(
        sa.select(Transfer.resolves).where(Transfer.resolves.is_not(None))
    ).all()
    assert max(Counter(ended).values(), default=0) <= 1
    held = sa.select(sa.func.sum(Account.minutes)).where(Account.kind == HELD)
    open_holds = (
        sa.select(sa.func.coalesce(sa.func.sum(Entry.minutes), 0))
        .join(Transfer, Transfer.id == Entry.transfer_id)
        .where(Transfer.kind == "hold", Entry.minutes > 0, Transfer.id.not_in(ended))
    )
    assert (session.scalar(held) or 0) == session.scalar(open_holds)
