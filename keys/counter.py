# SPDX-License-Identifier: Apache-2.0
"""A number on disk that only rises, and survives a power cut at any moment.

Two slots of 16 bytes, written in turn and synced: value (4) ‖ errors (4) ‖ turn (4) ‖ CRC-32 (4).
The slot with the higher turn and a right CRC is the state. A cut while one slot is written leaves
the other, whose value was given out last.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

from keys.errors import KeyStoreDamaged, PsamBlocked
from keys.files import write_private

_SLOT = struct.Struct(">IIII")
VALUE_MAX = 0xFFFF_FFFF


def _pack(value: int, errors: int, turn: int) -> bytes:
    head = struct.pack(">III", value, errors, turn)
    return head + zlib.crc32(head).to_bytes(4)


class DurableCounter:
    """Keep a value that only rises and a count of errors in a row."""

    def __init__(self, handle: int, state: tuple[int, int, int]) -> None:
        self._handle = handle
        self.value, self.errors, self._turn = state

    @classmethod
    def create(cls, path: Path) -> None:
        """Write a new counter at zero; raise ``FileExistsError`` when there is one."""
        write_private(path, _pack(0, 0, 1) + bytes(_SLOT.size), replace=False)

    @classmethod
    def open(cls, path: Path) -> DurableCounter:
        """Open a counter; a missing or unreadable one never begins again at zero."""
        try:
            handle = os.open(path, os.O_RDWR)
        except FileNotFoundError as exc:
            raise KeyStoreDamaged(str(path), "the counter is missing") from exc
        blob = os.pread(handle, 2 * _SLOT.size, 0)
        states = [state for at in (0, _SLOT.size) if (state := _read(blob[at : at + _SLOT.size]))]
        if not states:
            os.close(handle)
            raise KeyStoreDamaged(str(path), "no readable slot in the counter")
        return cls(handle, max(states, key=lambda state: state[2]))

    def step(self) -> int:
        """Raise the value by one, make that durable, and give it."""
        if self.value >= VALUE_MAX:
            raise PsamBlocked("its transaction number is used up")
        self._write(self.value + 1, self.errors)
        return self.value

    def blame(self) -> int:
        """Count one more error in a row, durably, and give the count."""
        self._write(self.value, self.errors + 1)
        return self.errors

    def forgive(self) -> None:
        """Set the errors back to zero; costs nothing when they are."""
        if self.errors:
            self._write(self.value, 0)

    def close(self) -> None:
        """Close the file; the counter cannot step any more."""
        handle, self._handle = self._handle, -1  # the number may soon be another file's
        os.close(handle)

    def _write(self, value: int, errors: int) -> None:
        turn = self._turn + 1
        os.pwrite(self._handle, _pack(value, errors, turn), (turn - 1) % 2 * _SLOT.size)
        os.fdatasync(self._handle)
        self.value, self.errors, self._turn = value, errors, turn


def _read(slot: bytes) -> tuple[int, int, int] | None:
    if len(slot) != _SLOT.size:
        return None
    value, errors, turn, crc = _SLOT.unpack(slot)
    return (value, errors, turn) if turn and crc == zlib.crc32(slot[:-4]) else None
