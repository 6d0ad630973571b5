# SPDX-License-Identifier: Apache-2.0
"""The demonstration day, as a user plays it: one command, real programs, everything ends with it.

Each run has a folder and a port of its own and, in place of the machine's /run/pcscd, an empty one,
so that a demonstration which somebody is looking at stays undisturbed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from keys.audit import AuditLog
from tests.e2e.day_secrets import day_secrets
from tests.e2e.leaks import forms, leaks
from tests.integration.postgres import PostgresCluster

ROOT = Path(__file__).parents[2]
DAY_TIMEOUT_S = 300  # 45 s on two idle cores
STEP_TIMEOUT_S = 120
END_TIMEOUT_S = 60
LOOK_TIMEOUT_S = 20
PRIVATE = 'mkdir -p /run/pcscd && mount -t tmpfs none /run/pcscd && exec "$@"'
SELECT = "00A4040006F059494B4101"
READ_0015 = "00B095001E"

pytestmark = [pytest.mark.pcsc, pytest.mark.slow]


@dataclass
class Day:
    """A running demonstration, its folder, port and what it has said so far."""

    process: subprocess.Popen[str]
    folder: Path
    port: int
    said: Path

    def wait_for(self, words: str, timeout_s: float) -> None:
        """Wait until the run has said something."""
        limit = time.monotonic() + timeout_s
        while words not in self.said.read_text(encoding="utf-8"):
            assert self.process.poll() is None, self.said.read_text(encoding="utf-8")
            assert time.monotonic() < limit, self.said.read_text(encoding="utf-8")
            time.sleep(0.1)

    def survivors(self) -> list[str]:
        """Return the command lines of all processes that belong to this day."""
        mark = f"YIKA_DEMO_DIR={self.folder}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _playing(folder: Path, *options: str) -> Iterator[Day]:
    if os.geteuid() != 0:
        pytest.skip("the virtual readers need root for a network namespace")
    port = _free_port()
    said = folder / f"said-{port}.txt"
    command = ["unshare", "-m", "--propagation", "private", "bash", "-c", PRIVATE, "day"]
    with said.open("w") as errors:
        process = subprocess.Popen(
            [*command, str(ROOT / "script" / "run"), "--port", str(port), *options],
            env={**os.environ, "YIKA_DEMO_DIR": str(folder / "demo")},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    day = Day(process, folder / "demo", port, said)
    try:
        yield day
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=END_TIMEOUT_S)


def _assert_full_day(line: str, database: str) -> None:
    document: dict[str, Any] = json.loads(line)
    counts = {document[f"events_{what}"] for what in ("journaled", "acknowledged", "stored")}

    assert document["expectations_met"] is True
    assert len(counts) == 1
    assert document["ledger_sum"] == 0
    assert document["cards_issued"] >= 24
    assert document["taps"] >= 60
    assert document["replays_identical"] >= 1
    assert len(document["exceptions"]) >= 5
    assert "Yika POS A 00 00" in document["readers"]
    assert document["database"].startswith(database)


def _look(day: Day, *arguments: str) -> str:
    """Run opensc-tool where the day's pcscd can be seen; a reader that is busy is asked again."""
    inside = ["nsenter", "-t", str(day.process.pid), "-m", "opensc-tool", *arguments]
    limit = time.monotonic() + LOOK_TIMEOUT_S
    while True:
        done = subprocess.run(inside, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout
        assert time.monotonic() < limit, done.stderr


def _server_environment(day: Day) -> dict[str, str]:
    """Return the environment of the day's server, where its passphrase is and nowhere else."""
    mark = f"YIKA_DEMO_DIR={day.folder}"
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "environ").read_bytes().decode("utf-8", "replace").split("\0")
            if mark in words and any(word.startswith("YIKA_KEYS_PASSPHRASE=") for word in words):
                return dict(word.partition("=")[::2] for word in words)
    raise AssertionError("the day's server is not running")


def _assert_nothing_secret_told(day: Day, output: str, passphrase: str) -> None:
    """No secret of the day stands anywhere but at home, and one that is planted is found."""
    answer = day.folder / "answer.json"
    answer.write_text(output, "utf-8")
    secrets = day_secrets(day.folder, day.said, passphrase)
    files = [day.said, *(path for path in day.folder.rglob("*") if path.is_file())]

    assert leaks(files, secrets) == []
    # 11 masters; 27 cards with 8 keys, two of them not in use by the name of another; 66 taps.
    assert len(secrets) > 400
    assert {"server.log", "pos-a.log", "yika.db", "journal.yika", "keys.audit"} <= {
        path.name for path in files
    }
    log = day.folder / "logs" / "server.log"
    for secret in (secrets[0], secrets[1], secrets[-1], secrets[len(secrets) // 2]):
        before = log.read_bytes()
        log.write_bytes(before + b"{" + sorted(forms(secret.content))[0] + b"}")
        assert leaks([log], [secret]) == [f"{secret.name} in {log}"]
        log.write_bytes(before)


def test_day_comes_out_as_its_page_says_and_stays_until_interrupted(tmp_path: Path) -> None:
    """The day meets its page, stays, leaves no process behind, and no secret in any file."""
    with _playing(tmp_path, "--json") as day:
        day.wait_for("Ctrl-C", DAY_TIMEOUT_S)
        with urllib.request.urlopen(f"http://127.0.0.1:{day.port}/") as page:
            shown = page.read().decode("utf-8")
        readers = _look(day, "--list-readers")
        card = _look(day, "--send-apdu", SELECT, "--send-apdu", READ_0015)
        passphrase = _server_environment(day)["YIKA_KEYS_PASSPHRASE"]
        day.process.send_signal(signal.SIGINT)
        output, _ = day.process.communicate(timeout=END_TIMEOUT_S)

    _assert_full_day(output.splitlines()[-1], "sqlite:///")
    assert "义" in shown
    assert "Yika Desk 00 00" in readers
    assert card.count("SW1=0x90, SW2=0x00") == 2
    assert day.survivors() == []
    _assert_nothing_secret_told(day, output, passphrase)


def test_day_is_the_same_on_postgresql_and_a_token(
    tmp_path: Path, postgres_cluster: PostgresCluster
) -> None:
    """On PostgreSQL and a SoftHSM2 token the same day meets the same page; --exit ends with 0."""
    url = postgres_cluster.create_database("demo_day")
    options = ("--exit", "--json", "--database", url, "--keys", "pkcs11")
    with _playing(tmp_path, *options) as day:
        output, _ = day.process.communicate(timeout=DAY_TIMEOUT_S)

    assert day.process.returncode == 0, day.said.read_text(encoding="utf-8")
    _assert_full_day(output, "postgresql+psycopg://")
    assert list((day.folder / "hsm" / "tokens").glob("*/*.object"))
    assert not (day.folder / "keys.yks").exists()
    for log in (day.folder / "keys.audit", day.folder / "server" / "keys.audit"):
        assert AuditLog(log).verify().lines > 50
    assert day.survivors() == []


def test_stopped_day_leaves_nothing_behind(tmp_path: Path) -> None:
    """SIGTERM in the middle ends server, terminals, pcscd and cards."""
    with _playing(tmp_path, "--exit") as day:
        day.wait_for("08:54:10", STEP_TIMEOUT_S)
        running = day.survivors()
        day.process.send_signal(signal.SIGTERM)
        day.process.communicate(timeout=END_TIMEOUT_S)

    assert any("pcscd" in command for command in running)
    assert day.process.returncode == 130
    assert day.survivors() == []


def test_demonstration_that_runs_is_not_disturbed(tmp_path: Path) -> None:
    """A second run in the same folder is refused in words, and the first plays on."""
    with _playing(tmp_path, "--exit") as first:
        first.wait_for("数据库", STEP_TIMEOUT_S)
        with _playing(tmp_path, "--exit") as second:
            second.process.communicate(timeout=STEP_TIMEOUT_S)
            words = second.said.read_text(encoding="utf-8")
        assert first.process.poll() is None

    assert second.process.returncode == 1
    assert "another demonstration" in words
