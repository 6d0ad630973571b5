# SPDX-License-Identifier: Apache-2.0
"""A receipt printer behind a process of its own: a tap hands over a slip and goes on.

The other process waits for paper, cover and line; this side only ever writes to a pipe that takes
the whole slip or nothing, and reads what has been told. A process that ended is started again.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from terminal.devices.protocols import SLIP_LINES_MAX, DeviceState, Slip

QUEUE_MAX = 8  # slips not printed yet; more people than that do not wait at one printer
MESSAGE_MAX = select.PIPE_BUF  # a pipe takes so much in one piece or not at all
READ_MAX = 4_096
RESTART_S = 5.0
END_S = 2.0
_STATES = {str(state): state for state in DeviceState}


class ProcessPrinter:
    """Hand slips to the printing process; nothing here waits."""

    def __init__(
        self,
        device: str,
        baud: int,
        columns: int,
        now: Callable[[], float] = time.monotonic,
        command: Sequence[str] = (sys.executable, "-m", "terminal.devices.print_process"),
    ) -> None:
        self._command = [*command, device, str(baud), str(columns)]
        self._now = now
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = -RESTART_S
        self._told = DeviceState.OFFLINE
        self._owed = 0
        self._buffer = b""
        self._start()

    @property
    def state(self) -> DeviceState:
        """Say how the printer is, as far as its process has told."""
        self._listen()
        if self._process is None:
            return DeviceState.FAULT
        busy = self._owed >= QUEUE_MAX and self._told is DeviceState.OK
        return DeviceState.BUSY if busy else self._told

    def print(self, slip: Slip) -> bool:
        """Queue a slip; return False if it will not be printed."""
        self._listen()
        process = self._process
        message = _message(slip)
        usable = self._told in (DeviceState.OK, DeviceState.PAPER_LOW)
        if process is None or process.stdin is None or not usable:
            return False
        if self._owed >= QUEUE_MAX or len(message) > MESSAGE_MAX:
            return False
        try:
            sent = os.write(process.stdin.fileno(), message) == len(message)
        except (BlockingIOError, BrokenPipeError):
            return False
        self._owed += sent
        return sent

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def _start(self) -> None:
        self._started_s = self._now()
        self._told, self._owed, self._buffer = DeviceState.OFFLINE, 0, b""
        try:
            process = subprocess.Popen(  # noqa: S603 - our own module with checked values
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
            )
        except OSError:
            self._process = None
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
        self._process = process

    def _listen(self) -> None:
        """Take what the process has told; start it again if it ended, but not at once."""
        process = self._process
        if process is not None and process.poll() is not None:
            self.close()
            process = None
        if process is None:
            if self._now() - self._started_s >= RESTART_S:
                self._start()
            return
        if process.stdout is None:
            return
        try:
            data = os.read(process.stdout.fileno(), READ_MAX)
        except BlockingIOError:
            return
        *words, self._buffer = (self._buffer + data).split(b"\n")
        self._buffer = self._buffer[:READ_MAX]
        for word in words:
            self._hear(word.decode("ascii", "replace"))

    def _hear(self, word: str) -> None:
        if word in ("done", "late"):
            self._owed = max(0, self._owed - 1)
        elif word in _STATES:
            self._told = _STATES[word]


def _message(slip: Slip) -> bytes:
    document = {"lines": slip.lines[:SLIP_LINES_MAX], "event": slip.event.hex()}
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"
