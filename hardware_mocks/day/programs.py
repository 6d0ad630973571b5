# SPDX-License-Identifier: Apache-2.0
"""Start the day's programs and end every one of them, whatever happens."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

STOP_TIMEOUT_S = 8.0  # a terminal may be in the middle of an upload, a server in a transaction
LOG_TAIL_LINES = 15
PARENT = "DAY_PARENT"  # the starter's process number, so that a child can see that it died early
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class ProgramEnded(RuntimeError):
    """A program of the day ended by itself; carries the end of its log."""

    def __init__(self, name: str, status: int, log: Path) -> None:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n".join(f"    {line}" for line in lines[-LOG_TAIL_LINES:])
        super().__init__(f"{name} ended with status {status}; its log, {log}, ends:\n{tail}")
        self.name = name
        self.status = status
        self.log = log


@dataclass(slots=True)
class Program:
    """One running program and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise if the program has ended by itself."""
        status = self.process.poll()
        if status is not None:
            raise ProgramEnded(self.name, status, self.log)

    def kill(self) -> None:
        """Take the power away: SIGKILL, nothing is told to the program."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ask the program to end; insist after a while."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()


@dataclass(slots=True)
class Programs:
    """The programs of one day, each with a log in `folder`."""

    folder: Path
    started: list[Program] = field(default_factory=list)

    def start(
        self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None
    ) -> Program:
        """Start a program in a session of its own, so that Ctrl-C reaches only the day itself."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                argv,
                env={**os.environ, PARENT: str(os.getpid()), **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        program = Program(name, process, log)
        self.started.append(program)
        return program

    @contextlib.contextmanager
    def running(self) -> Iterator[Programs]:
        """End every program that is still running when the block is left, the youngest first."""
        try:
            yield self
        finally:
            for program in reversed(self.started):
                program.stop()


def end_with_parent() -> None:
    """Have the kernel end this program when the one that started it dies, even by SIGKILL."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if str(os.getppid()) != os.environ.get(PARENT):  # it died before we could ask
        raise SystemExit(1)
