# SPDX-License-Identifier: Apache-2.0
"""Two real processes on two network namespaces, and a link that is cut while they talk.

`YIKA_LINK_CUTS=50` cuts as often as the acceptance asks; the suite cuts some times.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from keys.suite import Suite
from keys.tls import make_certificate, pin_of_pem
from server.db import Database
from server.ingest.models import StoredEvent
from swipe.event import Event
from swipe.frames import FILE_HEADER_SIZE, FrameKind, FrameReader
from terminal.files import JOURNAL
from tests.factories import PASSPHRASE
from tests.integration.server.test_suites import Post, make_post
from tests.integration.terminal.bench import keys_in

CUTS = int(os.environ.get("YIKA_LINK_CUTS", "6"))
SERVER_IP, TERMINAL_IP, PORT = "10.77.31.1", "10.77.31.2", 8443
START_S = 60.0
END_S = 60.0
# After a cut at most so long until the next, whether or not anything went through.
PROGRESS_S = 2.0
DOWN_S = (0.03, 0.3)
ROOT = Path(__file__).parents[3]


class Cable:
    """Two namespaces with a pair of virtual cards between them."""

    def __init__(self) -> None:
        self._number = os.getpid()
        self.server, self.terminal = f"yika-{self._number}-s", f"yika-{self._number}-t"

    @contextmanager
    def laid(self) -> Iterator[Cable]:
        """Lay the cable while the block runs."""
        ends = {self.server: ("ys0", SERVER_IP), self.terminal: ("yt0", TERMINAL_IP)}
        try:
            for name in ends:
                ip("netns", "add", name)
            ip("link", "add", "ys0", "netns", self.server, "type", "veth",
               "peer", "name", "yt0", "netns", self.terminal)  # fmt: skip
            for name, (card, address) in ends.items():
                ip("-n", name, "link", "set", "lo", "up")
                ip("-n", name, "addr", "add", f"{address}/24", "dev", card)
                ip("-n", name, "link", "set", card, "up")
            yield self
        finally:
            for name in ends:
                subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def cut(self, *, at_server: bool) -> None:
        """Pull the cable at one of its ends."""
        self._set(at_server, "down")

    def mend(self, *, at_server: bool) -> None:
        """Put it back."""
        self._set(at_server, "up")

    def _set(self, at_server: bool, state: str) -> None:
        name, card = (self.server, "ys0") if at_server else (self.terminal, "yt0")
        ip("-n", name, "link", "set", card, state)


def ip(*arguments: str) -> None:
    """Run one command of iproute2."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextmanager
def process(namespace: str, *arguments: str, **environment: str) -> Iterator[None]:
    """Run a Python module in a namespace until the block is left, then end it with SIGTERM."""
    command = ["ip", "netns", "exec", namespace, sys.executable, "-m", *arguments]
    running = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment)
    try:
        yield
        assert running.poll() is None, f"{arguments[0]} ended by itself"
    finally:
        running.terminate()
        try:
            running.wait(END_S)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Wait until something holds; say whether it did in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return False


def prepare(post: Post, folder: Path, store_path: Path) -> tuple[dict[str, str], Path]:
    """Give the server its files and its environment, the terminal its configuration."""
    data = folder / "server"
    data.mkdir(exist_ok=True)
    post.rig.server_identity.save(data / "server-identity.pem")
    certificate, key = make_certificate([SERVER_IP], dt.datetime.now(dt.UTC))
    (data / "tls.crt").write_bytes(certificate)
    (data / "tls.key").write_bytes(key)
    environment = {
        "YIKA_DATA_DIR": str(data),
        "YIKA_DATABASE_URL": post.rig.database.url.render_as_string(),
        "YIKA_KEYS_STORE": str(store_path),
        "YIKA_KEYS_PASSPHRASE": PASSPHRASE,
        "YIKA_KEYS_ALLOW_TEST_KEYS": "true",
        "YIKA_HTTP_HOST": SERVER_IP,
        "YIKA_HTTP_PORT": str(PORT),
        "YIKA_HTTP_CERTIFICATE": str(data / "tls.crt"),
        "YIKA_HTTP_KEY": str(data / "tls.key"),
        "YIKA_LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-m", "server", "init"]
    subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=True)
    config = folder / "gate.toml"
    config.write_text(
        f'[terminal]\ndata_dir = "{post.folder}"\n'
        f'[server]\nurl = "https://{SERVER_IP}:{PORT}"\npin = "{pin_of_pem(certificate)}"\n'
        f'timeout_s = 1\n[reader]\npsam = "soft:{folder / "psam"}"\n',
        encoding="utf-8",
    )
    return environment, config


def stored(database: Database, terminal_id: int) -> dict[int, bytes]:
    """Return what the server stores of a terminal, by number."""
    statement = sa.select(StoredEvent.seq, StoredEvent.raw).where(
        StoredEvent.terminal_id == terminal_id
    )
    with database.reading() as session:
        rows = session.execute(statement).all()
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: bytes(row[1]) for row in rows}


def journal(path: Path) -> dict[int, bytes]:
    """Return the events of a journal, by number."""
    with path.open("rb") as file:
        file.seek(FILE_HEADER_SIZE)
        bodies = [item.body for item in FrameReader(file) if item.kind == FrameKind.EVENT]
    return {Event.from_bytes(body).seq: body for body in bodies}


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_when_the_link_is_cut(
    tmp_path: Path, sqlite_database: Database
) -> None:
    """Under load the link is cut again and again; in the end both sides hold the same events."""
    store_path = tmp_path / "keys.yika"
    post = make_post(tmp_path, sqlite_database, keys_in(tmp_path))
    post.enrol(Suite.ED25519)
    environment, config = prepare(post, tmp_path, store_path)
    dice = random.Random(20261122)

    def count() -> int:
        return len(stored(sqlite_database, post.terminal_id))

    with Cable().laid() as cable, process(cable.server, "server", "run", **environment):
        tapping = ("tests.integration.terminal.tapping", config, tmp_path / "psam", store_path)
        with process(cable.terminal, *map(str, tapping)):
            assert until(lambda: count() > 0, START_S), "nothing arrived"
            for number in range(CUTS):
                before = count()
                until(lambda before=before: count() > before, PROGRESS_S)
                time.sleep(dice.uniform(0, 0.05))  # so that cuts fall at any point of an upload
                at_server = bool(number % 2)
                cable.cut(at_server=at_server)
                time.sleep(dice.uniform(*DOWN_S))
                cable.mend(at_server=at_server)
        final = settle(cable, config)

    mine = journal(post.folder / JOURNAL)
    assert stored(sqlite_database, post.terminal_id) == mine
    assert len(mine) > 20 * CUTS
    assert final["unsent"] == 0


def settle(cable: Cable, config: Path) -> dict[str, int]:
    """Close the day over the mended link, as often as it takes, and return the figures."""
    command = ["ip", "netns", "exec", cable.terminal, sys.executable, "-m", "terminal",
               "--config", str(config), "sync", "--final", "--json"]  # fmt: skip
    done = None
    for _ in range(10):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            found: dict[str, int] = json.loads(done.stdout)
            return found
    assert done is not None
    raise AssertionError(done.stderr)
