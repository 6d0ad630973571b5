# SPDX-License-Identifier: Apache-2.0
"""The process that owns the printer: slips come in on standard input, the state goes out.

It may wait for the printer as long as it likes; nobody waits for it. One JSON object a line comes
in, `{"lines": […], "event": "hex"}`; what goes out is one word a line: a state of
`DeviceState`, `done` after a slip, `late` for one that nobody waits for any more.

The printer is asked with DLE EOT n, which it answers at once, also with the paper gone: 1 for the
printer, 2 for the reason it is off line, 4 for its paper. No answer in time means off line.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections import deque
from dataclasses import dataclass, field

from swipe.errors import SwipeError
from terminal.devices.protocols import DeviceState, Slip
from terminal.devices.slip_bytes import slip_bytes
from terminal.serial_line import SerialLine

ANSWER_S = 0.5  # printers answer a status request within some milliseconds
ASK_EVERY_S = 0.5
WRITE_S = 20.0  # a slip of 2 000 bytes takes two seconds at 9600 baud; a full buffer stops it
SLIP_LIFE_S = 120.0  # whoever waited longer has left, and the paper would lie about
PIECE = 64  # bytes between two looks at the clock
LINE_MAX = 8_192
REQUEST = b"\x10\x04"
FIXED_MASK, FIXED = 0x93, 0x12  # the bits that every status byte has
_OFFLINE_CAUSES = 2
_PAPER = 4


@dataclass(slots=True)
class PrintLine:
    """The printer as this process knows it."""

    line: SerialLine
    columns: int
    waiting: deque[tuple[float, Slip]] = field(default_factory=deque)
    state: DeviceState = DeviceState.OFFLINE
    asked_s: float = -ASK_EVERY_S

    def turn(self, now_s: float) -> list[str]:
        """Ask for the state when it is time, print what can be printed; return what to tell."""
        told: list[str] = []
        if now_s - self.asked_s >= ASK_EVERY_S or self.waiting:
            self.asked_s = now_s
            state = read_state(self.line)
            if state is not self.state:
                told.append(str(state))
            self.state = state
        while self.waiting and now_s - self.waiting[0][0] > SLIP_LIFE_S:
            self.waiting.popleft()
            told.append("late")
        if self.waiting and self.state in (DeviceState.OK, DeviceState.PAPER_LOW):
            told.append(self._print(self.waiting.popleft()[1]))
        return told

    def _print(self, slip: Slip) -> str:
        try:
            data = slip_bytes(slip, self.columns)
        except SwipeError:
            return "late"
        return "done" if write_all(self.line, data) else "late"


def read_state(line: SerialLine) -> DeviceState:
    """Ask the printer how it is."""
    line.read(LINE_MAX)  # what it said unasked answers no question
    if not line.write(REQUEST + b"\x01"):
        return DeviceState.OFFLINE
    answer = _answer(line)
    if answer is None:
        return DeviceState.OFFLINE
    causes, paper = _ask(line, _OFFLINE_CAUSES), _ask(line, _PAPER)
    return judged(answer, causes, paper)


def judged(printer: int, causes: int | None, paper: int | None) -> DeviceState:
    """Read three status bytes of DLE EOT 1, 2 and 4 (ESC/POS); None is an answer that did not come.

    >>> [str(judged(*b)) for b in ((18, 18, 18), (0x1A, 0x32, 0x72), (0x1A, 0x16, 18))]
    ['ok', 'paper-out', 'cover-open']
    """
    if causes is None or paper is None:
        return DeviceState.OFFLINE
    if any(byte & FIXED_MASK != FIXED for byte in (printer, causes, paper)):
        return DeviceState.GARBAGE
    checks = (
        (causes & 0x04, DeviceState.COVER_OPEN),
        (causes & 0x20 or paper & 0x60, DeviceState.PAPER_OUT),
        (causes & 0x40, DeviceState.FAULT),
        (printer & 0x08, DeviceState.OFFLINE),
        (paper & 0x0C, DeviceState.PAPER_LOW),
    )
    return next((state for bits, state in checks if bits), DeviceState.OK)


def write_all(line: SerialLine, data: bytes) -> bool:
    """Write piece by piece while the line takes it; return whether all went out in time."""
    limit, at = time.monotonic() + WRITE_S, 0
    while at < len(data):
        sent = line.write_some(data[at : at + PIECE])
        at += sent
        if not sent:
            if not line.is_open or time.monotonic() > limit:
                return False
            time.sleep(0.01)
    return True


def _ask(line: SerialLine, which: int) -> int | None:
    return _answer(line) if line.write(REQUEST + bytes([which])) else None


def _answer(line: SerialLine) -> int | None:
    limit = time.monotonic() + ANSWER_S
    while time.monotonic() < limit:
        data = line.read(1)
        if data:
            return data[0]
        if not line.is_open:
            return None
        time.sleep(0.005)
    return None


def read_slip_line(text: bytes) -> Slip | None:
    """Read one line of standard input; None for what is no slip."""
    try:
        document = json.loads(text)
        lines = tuple(str(line) for line in document["lines"])
        return Slip(lines, bytes.fromhex(document["event"]))
    except (ValueError, KeyError, TypeError):
        return None


def main() -> None:
    """Serve until standard input ends."""
    device, baud, columns = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    printer = PrintLine(SerialLine(device, baud), columns)
    buffer = b""
    while True:
        ready, _, _ = select.select([sys.stdin.fileno()], [], [], 0.2)
        now_s = time.monotonic()
        if ready:
            data = os.read(sys.stdin.fileno(), LINE_MAX)
            if not data:
                return
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                slip = read_slip_line(line)
                if slip is not None:
                    printer.waiting.append((now_s, slip))
        for word in printer.turn(now_s):
            sys.stdout.write(word + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
