# SPDX-License-Identifier: Apache-2.0
"""A serial code scanner: one code a line, ended by CR, LF or both.

A code is printable ASCII. Anything else in a line is noise and spoils that line alone; a line
without an end is forgotten after a second. A scanner that goes on seeing the same code repeats it;
a repetition within two seconds is the same showing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from terminal.devices.protocols import DeviceState
from terminal.serial_line import SerialLine

CODE_MAX = 512  # our longest code has 145 characters; a QR code can hold 4 296
LINE_OPEN_S = 1.0  # at 9600 baud a code of 145 characters takes 0.15 s
SAME_S = 2.0
READ_MAX = 4_096  # of one call; a scanner that sends more in a tenth of a second is broken
CODES_MAX = 8  # of one call
GARBAGE_LINES = 3  # so many spoilt lines in a row, and the state says so
_ENDS = b"\r\n"
_PRINTABLE = frozenset(range(0x20, 0x7F))


class CodeParser:
    """Cut a scanner's bytes into codes; `spoilt` counts lines in a row that were no code."""

    def __init__(self) -> None:
        self.spoilt = 0
        self._line = bytearray()
        self._bad = False
        self._began_s = 0.0

    def feed(self, data: bytes, now_s: float) -> list[bytes]:
        """Take some bytes; return the codes they complete."""
        if self._line and now_s - self._began_s > LINE_OPEN_S:
            self._drop()
        codes = []
        for byte in data:
            if byte in _ENDS:
                code = self._end()
                if code:
                    codes.append(code)
                continue
            if not self._line:
                self._began_s = now_s
            if byte not in _PRINTABLE or len(self._line) >= CODE_MAX:
                self._bad = True
            if len(self._line) < CODE_MAX:
                self._line.append(byte)
        return codes

    def _end(self) -> bytes:
        line, bad = bytes(self._line), self._bad
        self._line.clear()
        self._bad = False
        if not line:
            return b""
        self.spoilt = self.spoilt + 1 if bad else 0
        return b"" if bad else line

    def _drop(self) -> None:
        self._line.clear()
        self._bad = False
        self.spoilt += 1


class SerialScanner:
    """Read codes from a serial line without ever waiting for one."""

    def __init__(self, device: str, baud: int, now: Callable[[], float] = time.monotonic) -> None:
        self._line = SerialLine(device, baud)
        self._now = now
        self._parser = CodeParser()
        self._last: tuple[bytes, float] = (b"", 0.0)

    @property
    def state(self) -> DeviceState:
        """Say whether the line is there and speaks codes."""
        if not self._line.is_open:
            return DeviceState.OFFLINE
        spoilt = self._parser.spoilt >= GARBAGE_LINES
        return DeviceState.GARBAGE if spoilt else DeviceState.OK

    def codes(self) -> list[bytes]:
        """Return the codes shown since the last call, a repeated one once."""
        now_s = self._now()
        found = self._parser.feed(self._line.read(READ_MAX), now_s)
        fresh = []
        for code in found[:CODES_MAX]:
            last, at_s = self._last
            if code != last or now_s - at_s > SAME_S:
                fresh.append(code)
            self._last = (code, now_s)
        return fresh

    def close(self) -> None:
        """Close the line."""
        self._line.close()
