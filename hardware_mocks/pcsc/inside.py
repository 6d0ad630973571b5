# SPDX-License-Identifier: Apache-2.0
"""Runs inside the namespace: brings up loopback, pcscd and the card host, and ends them.

It obeys single lines on standard input (`stop`, `kill`, `start`: what to do with pcscd) and
answers each with `ok` or `error …`. The end of standard input means that whoever started it is
gone: it then ends what it started, and nothing else.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

from hardware_mocks.pcsc.plan import (
    PID_FILE,
    SOCKET,
    START_TIMEOUT_S,
    STOP_TIMEOUT_S,
    Plan,
    listening,
)

POLL_S = 0.01

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1  # <linux/sockios.h>, <linux/if.h>
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class Failed(Exception):
    """Something did not come up; the text says what."""


def loopback_up() -> None:
    """Switch on the loopback interface of a fresh network namespace."""
    request = struct.Struct("16sh14x")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name = b"lo"
        answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request.pack(name, 0))
        flags = request.unpack(answer)[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request.pack(name, flags | _IFF_UP))


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Inside:
    """pcscd and the card host of one stack."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._pcscd: subprocess.Popen[bytes] | None = None
        self._cardhost: subprocess.Popen[bytes] | None = None

    def up(self) -> None:
        """Start everything and wait until clients can use it."""
        if self._plan.pcscd is not None:
            loopback_up()
            SOCKET.parent.mkdir(mode=0o755, exist_ok=True)
            if self._plan.private:
                mount = ["mount", "-t", "tmpfs", "none", str(SOCKET.parent)]
                subprocess.run(mount, check=True)
        self._cardhost = self._spawn(self._plan.cardhost, "cardhost")
        if self._plan.pcscd is not None:
            self.start_pcscd()
        self._await(self._cardhost, Path(self._plan.control), "cardhost")

    def down(self) -> None:
        """End what was started, the card host first."""
        for process in (self._cardhost, self._pcscd):
            if process:
                _end(process, signal.SIGTERM)

    def start_pcscd(self) -> None:
        """Start pcscd; socket and pid file of one that was killed are replaced."""
        if self._plan.pcscd is None or (self._pcscd and self._pcscd.poll() is None):
            message = "pcscd runs already"
            raise Failed(message)
        if not listening(SOCKET):
            SOCKET.unlink(missing_ok=True)
            PID_FILE.unlink(missing_ok=True)
        self._pcscd = self._spawn(self._plan.pcscd, "pcscd")
        self._await(self._pcscd, SOCKET, "pcscd")

    def end_pcscd(self, number: signal.Signals) -> None:
        """End pcscd alone; the cards stay in their slots and wait for the next one."""
        if self._pcscd is None or self._pcscd.poll() is not None:
            message = "pcscd does not run"
            raise Failed(message)
        _end(self._pcscd, number)

    def _spawn(self, argv: list[str], name: str) -> subprocess.Popen[bytes]:
        with (Path(self._plan.logs) / f"{name}.log").open("ab") as log:
            # preexec_fn is safe: this process has one thread.
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 (one thread)
            )

    def _await(self, process: subprocess.Popen[bytes], path: Path, name: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not listening(path):
            status = process.poll()
            if status is not None:
                message = f"{name} ended with status {status}"
                raise Failed(message)
            if time.monotonic() > deadline:
                message = f"{name} did not open {path} within {START_TIMEOUT_S:.0f} s"
                raise Failed(message)
            time.sleep(POLL_S)


def _end(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def obey(inside: Inside, lines: IO[str], answers: IO[str]) -> None:
    """Run the commands that come in until there is nobody left to give them."""
    for line in lines:
        try:
            if line == "start\n":
                inside.start_pcscd()
            elif line == "stop\n":
                inside.end_pcscd(signal.SIGTERM)
            elif line == "kill\n":
                inside.end_pcscd(signal.SIGKILL)
            else:
                message = f"unknown command {line.strip()!r}"
                raise Failed(message)
        except (Failed, OSError) as exc:
            print(f"error {exc}", file=answers, flush=True)
        else:
            print("ok", file=answers, flush=True)


def main() -> int:
    """Bring the stack up, say `ok` or `error …`, obey, and bring it down in any case."""
    raw: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    inside = Inside(Plan(**raw))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        inside.up()
        print("ok", flush=True)  # noqa: T201 (the protocol)
        obey(inside, sys.stdin, sys.stdout)
    except (Failed, OSError, subprocess.CalledProcessError) as exc:
        print(f"error {exc}", flush=True)  # noqa: T201 (the protocol)
        return 1
    finally:
        inside.down()
    return 0


if __name__ == "__main__":
    sys.exit(main())
