# SPDX-License-Identifier: Apache-2.0
"""A 128×64 display with an ST7920 controller, at the end of its serial interface.

Bytes come as the controller's data sheet has them: 11111 RW RS 0, then each byte as its high and
its low nibble in the upper half of two bytes. Known are: basic and extended set, display on,
clear, graphic on, and the address of the graphic RAM, first the row, then the word.
The panel's 64 rows are two halves of 32: words 0 to 7 are the upper one, 8 to 15 the lower.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from hardware_mocks.serial_end import SerialEnd

WIDTH, HEIGHT = 128, 64
ROWS, WORDS = 32, 16
_SYNC, _SYNC_MASK = 0xF8, 0xF9


class St7920:
    """The controller: bytes in, a picture out; `faults` counts what is not its protocol."""

    def __init__(self) -> None:
        self.faults = 0
        self.ram = bytearray(ROWS * WORDS * 2)
        self.on = False
        self.graphic = False
        self._extended = False
        self._row = 0
        self._column = 0  # in bytes
        self._wants_column = False
        self._data = False
        self._high: int | None = None
        self._synced = False

    def feed(self, data: bytes) -> None:
        """Take bytes from the wire."""
        for byte in data:
            if byte & _SYNC_MASK == _SYNC:
                self.faults += self._high is not None
                self._data, self._synced, self._high = bool(byte & 0x02), True, None
            elif byte & 0x0F or not self._synced:
                self.faults += 1
                self._high, self._synced = None, False
            elif self._high is None:
                self._high = byte
            else:
                whole, self._high = self._high | byte >> 4, None
                if self._data:
                    self._write(whole)
                else:
                    self._instruct(whole)

    def pixel(self, x: int, y: int) -> bool:
        """Say whether a pixel of the panel is dark; (0, 0) is at the upper left."""
        row, lower = y % ROWS, y // ROWS
        byte = self.ram[row * WORDS * 2 + lower * WORDS + x // 8]
        return bool(byte >> (7 - x % 8) & 1)

    def picture(self) -> bytes:
        """Return the panel row by row, 16 bytes a row, the left pixel in the highest bit."""
        if not (self.on and self.graphic):
            return bytes(WIDTH * HEIGHT // 8)
        upper = b"".join(self._half(row, 0) for row in range(ROWS))
        return upper + b"".join(self._half(row, 1) for row in range(ROWS))

    def _half(self, row: int, half: int) -> bytes:
        start = row * WORDS * 2 + half * WORDS
        return bytes(self.ram[start : start + WORDS])

    def _write(self, byte: int) -> None:
        if not (self._extended and self.graphic):
            return
        self.ram[self._row * WORDS * 2 + self._column] = byte
        self._column = (self._column + 1) % (WORDS * 2)

    def _instruct(self, code: int) -> None:
        if code & 0xE0 == 0x20:  # function set
            self._extended = bool(code & 0x04)
            if self._extended:
                self.graphic = bool(code & 0x02)
        elif code & 0x80 and self._extended:
            self._address(code & 0x7F)
        elif code & 0xF8 == 0x08 and not self._extended:
            self.on = bool(code & 0x04)
        elif (code == 0x01 and not self._extended) or code & 0xFC == 0x04:
            pass  # clear of the text RAM, entry mode
        else:
            self.faults += 1

    def _address(self, value: int) -> None:
        if not self._wants_column:
            self._row = value % 64 % ROWS
        else:
            self._column = value % WORDS * 2
        self._wants_column = not self._wants_column


class BitmapPanel(SerialEnd):
    """The display on a cable; a watcher waits for the picture it wants."""

    def __init__(self, link: Path) -> None:
        self._news = threading.Condition()
        self.controller = St7920()
        super().__init__(link)

    def received(self, data: bytes) -> None:
        """Let the controller work."""
        with self._news:
            self.controller.feed(data)
            self._news.notify_all()

    def wait(self, wanted: bytes, timeout_s: float = 10.0) -> bool:
        """Wait until the panel shows these 1 024 bytes; return whether it did."""
        limit = time.monotonic() + timeout_s
        with self._news:
            while self.controller.picture() != wanted:
                left = limit - time.monotonic()
                if left <= 0:
                    return False
                self._news.wait(left)
            return True
