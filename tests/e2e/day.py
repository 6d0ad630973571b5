# SPDX-License-Identifier: Apache-2.0
"""A demonstration day as a user starts it: one command, real programs, everything ends with it.

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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DAY_TIMEOUT_S = 400  # 45 s on two idle cores, and half a minute for what follows the day
STEP_TIMEOUT_S = 120
END_TIMEOUT_S = 60
LOOK_TIMEOUT_S = 20
PRIVATE = 'mkdir -p /run/pcscd && mount -t tmpfs none /run/pcscd && exec "$@"'


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


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def playing(folder: Path, *options: str) -> Iterator[Day]:
    """Play a day in a folder of its own; it is interrupted when the block is left."""
    if os.geteuid() != 0:
        pytest.skip("the virtual readers need root for a network namespace")
    port = free_port()
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


def assert_full_day(line: str, database: str) -> None:
    """Check the summary of a day that was played to its end."""
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


def look(day: Day, *arguments: str) -> str:
    """Run opensc-tool where the day's pcscd can be seen; a reader that is busy is asked again."""
    inside = ["nsenter", "-t", str(day.process.pid), "-m", "opensc-tool", *arguments]
    limit = time.monotonic() + LOOK_TIMEOUT_S
    while True:
        done = subprocess.run(inside, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout
        assert time.monotonic() < limit, done.stderr


def server_environment(day: Day) -> dict[str, str]:
    """Return the environment of the day's server, where its passphrase is and nowhere else."""
    mark = f"YIKA_DEMO_DIR={day.folder}"
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "environ").read_bytes().decode("utf-8", "replace").split("\0")
            if mark in words and any(word.startswith("YIKA_KEYS_PASSPHRASE=") for word in words):
                return dict(word.partition("=")[::2] for word in words)
    raise AssertionError("the day's server is not running")
