# SPDX-License-Identifier: Apache-2.0
"""An ESC/POS receipt printer at the end of a serial line: prints, and answers DLE EOT.

Known are the commands a receipt needs: ESC @, FS & and FS . (Chinese on and off), ESC a, ESC E,
GS !, GS ( k for QR codes, ESC d, GS V, LF. What is not known is counted in `unknown`. Without
paper, with the cover open or off line nothing is printed; what arrives is kept as a true printer
keeps it in its buffer, and the answers say so.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from hardware_mocks.serial_end import SerialEnd

DLE, EOT, ESC, FS, GS = 0x10, 0x04, 0x1B, 0x1C, 0x1D
# Every status byte has bits 1 and 4 set, bits 0 and 7 clear.
FIXED = 0x12
# How many bytes follow a command of two, besides those it states itself.
_PLAIN = {
    (ESC, 0x40): 0,  # @ initialise
    (ESC, 0x61): 1,  # a justify
    (ESC, 0x45): 1,  # E emphasise
    (ESC, 0x64): 1,  # d feed lines
    (FS, 0x26): 0,  # & Chinese on
    (FS, 0x2E): 0,  # . Chinese off
    (GS, 0x21): 1,  # ! size
}


@dataclass(slots=True)
class Paper:
    """One slip, from the last cut to the next: lines of text, and the QR codes on it."""

    lines: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)


class EscPosParser:
    """Turn the bytes for a printer into slips."""

    def __init__(self) -> None:
        self.slips: list[Paper] = []
        self.unknown = 0
        self._paper = Paper()
        self._text = bytearray()
        self._buffer = bytearray()
        self._stored = b""

    def feed(self, data: bytes) -> None:
        """Take bytes; a command that is not whole yet waits for the rest."""
        self._buffer += data
        while self._buffer and (used := self._step()):
            del self._buffer[:used]

    def _step(self) -> int:
        first = self._buffer[0]
        if first == 0x0A:
            self._paper.lines.append(self._text.decode("gb18030", "replace"))
            self._text.clear()
            return 1
        if first not in (ESC, FS, GS):
            if first >= 0x20:
                self._text.append(first)
            return 1
        if len(self._buffer) < 2:
            return 0
        return self._command(first, self._buffer[1])

    def _command(self, first: int, second: int) -> int:
        if (first, second) == (GS, 0x56):  # V: cut; from 65 on a feed follows
            if len(self._buffer) < 3:
                return 0
            whole = 4 if self._buffer[2] >= 65 else 3
            if len(self._buffer) >= whole:
                self._cut()
            return whole if len(self._buffer) >= whole else 0
        if (first, second) == (GS, 0x28):
            return self._extended()
        following = _PLAIN.get((first, second))
        if following is None:
            self.unknown += 1
            return 2
        return 2 + following if len(self._buffer) >= 2 + following else 0

    def _extended(self) -> int:
        """Read GS ( k: two bytes of length, then cn, fn and the rest."""
        if len(self._buffer) < 5:
            return 0
        length = self._buffer[3] + 256 * self._buffer[4]
        if len(self._buffer) < 5 + length:
            return 0
        body = bytes(self._buffer[5 : 5 + length])
        if body[:2] == b"1P":
            self._stored = body[3:]
        elif body[:2] == b"1Q":
            self._paper.codes.append(self._stored.decode("ascii", "replace"))
        return 5 + length

    def _cut(self) -> None:
        self.slips.append(self._paper)
        self._paper = Paper()


class ReceiptPrinter(SerialEnd):
    """The printer on a cable, with the troubles of printers."""

    def __init__(self, link: Path) -> None:
        self._news = threading.Condition()
        self.parser = EscPosParser()
        self.paper_out = False
        self.paper_low = False
        self.cover_open = False
        self.mute = False  # hangs: takes bytes, answers nothing
        self.garbled = False  # answers with bytes that are no status
        self._held = bytearray()
        self._request = bytearray()
        super().__init__(link)

    @property
    def slips(self) -> list[Paper]:
        """Return what lies in the tray."""
        with self._news:
            return list(self.parser.slips)

    def received(self, data: bytes) -> None:
        """Answer status requests at once, as printers do, and print the rest."""
        with self._news:
            for byte in data:
                self._one(byte)
            self._print()
            self._news.notify_all()

    def refill(self) -> None:
        """Put paper in and close the cover; what was held back is printed now."""
        with self._news:
            self.paper_out = self.cover_open = False
            self._print()
            self._news.notify_all()

    def wait(self, slips: int, timeout_s: float = 10.0) -> bool:
        """Wait until so many slips were cut; return whether they were."""
        limit = time.monotonic() + timeout_s
        with self._news:
            while len(self.parser.slips) < slips:
                left = limit - time.monotonic()
                if left <= 0:
                    return False
                self._news.wait(left)
            return True

    def status(self, which: int) -> int:
        """Return the answer to DLE EOT n: 1 printer, 2 off line, 3 error, 4 paper sensors."""
        stopped = self.paper_out or self.cover_open
        if which == 1:
            return FIXED | (0x08 if stopped else 0)
        if which == 2:
            return FIXED | (0x04 if self.cover_open else 0) | (0x20 if self.paper_out else 0)
        if which == 4:
            return FIXED | (0x0C if self.paper_low else 0) | (0x60 if self.paper_out else 0)
        return FIXED

    def _one(self, byte: int) -> None:
        request = self._request
        request.append(byte)
        if bytes(request[:2]) == bytes((DLE, EOT)) and len(request) == 3:
            if not self.mute:
                self.send(b"\xff" if self.garbled else bytes([self.status(byte)]))
            request.clear()
        elif not bytes((DLE, EOT)).startswith(bytes(request)) and len(request) < 3:
            self._held += request
            request.clear()

    def _print(self) -> None:
        if not (self.paper_out or self.cover_open):
            self.parser.feed(bytes(self._held))
            self._held.clear()
