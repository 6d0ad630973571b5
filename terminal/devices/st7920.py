# SPDX-License-Identifier: Apache-2.0
"""A 128×64 display with an ST7920 controller on its serial interface, in graphic mode.

The wire: 0xF8 before instructions and 0xFA before data, then every byte as its high and its low
nibble in the upper half of two bytes (Sitronix ST7920, serial interface). It goes to a spidev or to
a USB bridge that clocks out what it is sent; at 200 kHz and below the bus itself keeps the 72 µs
that the controller needs for each byte. Rows that differ are sent, and one more with each call.

The character ROM of the controller is not used: it has GB 2312 at the most, names have more.
"""

from __future__ import annotations

from terminal.devices.raster import PICTURE_SIZE, WIDTH, Raster
from terminal.screen import Screen
from terminal.serial_line import SerialLine

INSTRUCTION, DATA = 0xF8, 0xFA
ROW_BYTES = WIDTH // 8
HALF_ROWS = 32
ROWS = PICTURE_SIZE // ROW_BYTES
# Basic set, display on; extended set; extended set with graphic on.
START = (0x30, 0x0C, 0x34, 0x36)


def framed(start: int, data: bytes) -> bytes:
    """Return bytes as the serial interface wants them.

    >>> framed(0xF8, bytes([0x36])).hex()
    'f83060'
    """
    nibbles = bytearray([start])
    for byte in data:
        nibbles += bytes((byte & 0xF0, byte << 4 & 0xF0))
    return bytes(nibbles)


def start_up() -> bytes:
    """Return the instructions that switch the display to graphics."""
    return b"".join(framed(INSTRUCTION, bytes([code])) for code in START)


def row_update(row: int, left: bytes) -> bytes:
    """Return what writes one row of 16 bytes of the panel, rows counted from the top."""
    line, half = row % HALF_ROWS, row // HALF_ROWS
    address = bytes((0x80 | line, 0x80 | half * (ROW_BYTES // 2)))
    return framed(INSTRUCTION, address) + framed(DATA, left)


class BitmapDisplay:
    """Draw screens on the panel; what the line did not take is sent again."""

    def __init__(self, device: str, baud: int, raster: Raster) -> None:
        self._line = SerialLine(device, baud)
        self._raster = raster
        self._shown: bytearray | None = None  # what the panel's memory holds, if we know it
        self._wanted: Screen | None = None
        self._picture = b""
        self._again = 0

    def show(self, screen: Screen) -> None:
        """Send the rows that differ from what stands there."""
        if self._wanted is None or screen.lines != self._wanted.lines:
            self._picture = self._raster.picture(screen.lines)
        self._wanted = screen
        if not self._line.is_open:
            self._shown = None  # a panel that was away has forgotten everything
        if self._shown is None and not self._begin():
            return
        self._refresh()
        for row in range(ROWS):
            if not self._send(row):
                return

    def close(self) -> None:
        """Close the line."""
        self._line.close()

    def _refresh(self) -> None:
        """Send one row with every call though it has not changed, and the start every 64 calls.

        What a spark or a short loss of power did to the panel is mended within some seconds.
        """
        if self._shown is None:
            return
        if not self._again:
            self._line.write(start_up())
        start = self._again * ROW_BYTES
        self._shown[start] = self._picture[start] ^ 0xFF
        self._again = (self._again + 1) % ROWS

    def _begin(self) -> bool:
        if not self._line.write(start_up()):
            return False
        # Its memory is noise after power-on: every row differs from this one.
        self._shown = bytearray(byte ^ 0xFF for byte in self._picture)
        return True

    def _send(self, row: int) -> bool:
        """Send one row if it differs; return False if the line takes no more now."""
        span = slice(row * ROW_BYTES, (row + 1) * ROW_BYTES)
        if self._shown is None or self._shown[span] == self._picture[span]:
            return self._shown is not None
        if not self._line.write(row_update(row, self._picture[span])):
            # Half a row may have gone out; the next byte begins a new one anyway.
            self._shown[span] = bytes(byte ^ 0xFF for byte in self._picture[span])
            return False
        self._shown[span] = self._picture[span]
        return True
