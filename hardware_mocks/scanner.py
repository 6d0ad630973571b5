# SPDX-License-Identifier: Apache-2.0
"""A serial code scanner: what it reads it sends, with CR at the end, and sometimes worse."""

from __future__ import annotations

from hardware_mocks.serial_end import SerialEnd


class CodeScanner(SerialEnd):
    """A scanner on a cable."""

    def scan(self, code: bytes, end: bytes = b"\r") -> None:
        """Read a code."""
        self.send(code + end)

    def half(self, code: bytes) -> None:
        """Read a code and lose the rest of the line."""
        self.send(code[: len(code) // 2])

    def noise(self) -> None:
        """Send what a loose plug sends."""
        self.send(b"\x00\xff\xfe\x80\x1b\r")
