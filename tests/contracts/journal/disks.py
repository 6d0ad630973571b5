# SPDX-License-Identifier: Apache-2.0
"""A storage in memory that can be full, fail to sync, and lose power at any byte."""

from __future__ import annotations

import io
from typing import BinaryIO

from terminal.errors import NotSaved

PAGE = 4096


class SimulatedDisk:
    """Keep what was appended and what of it is durable apart.

    `room` is how many bytes fit in all; `sync_fails` and `truncate_fails` make those calls raise.
    """

    def __init__(self, content: bytes, room: int | None = None) -> None:
        self.content = bytearray(content)
        self.durable = len(content)
        self.room = room
        self.sync_fails = False
        self.truncate_fails = False

    @property
    def size(self) -> int:
        """Return the length in bytes."""
        return len(self.content)

    def append(self, data: bytes) -> None:
        """Append all or nothing."""
        if self.room is not None and len(self.content) + len(data) > self.room:
            raise NotSaved("No space left on device", unknown_end=self.truncate_fails)
        self.content += data

    def sync(self) -> None:
        """Make everything durable."""
        if self.sync_fails:
            raise NotSaved("Input/output error", unknown_end=True)
        self.durable = len(self.content)

    def truncate(self, size: int) -> None:
        """Cut the end off."""
        if self.truncate_fails:
            raise NotSaved("Input/output error", unknown_end=True)
        del self.content[size:]
        self.durable = min(self.durable, size)

    def read_at(self, offset: int, length: int) -> bytes:
        """Return bytes of the middle."""
        return bytes(self.content[offset : offset + length])

    def stream(self) -> BinaryIO:
        """Return a reader from the beginning."""
        return io.BytesIO(bytes(self.content))

    def close(self) -> None:
        """Nothing to let go of."""

    def lose_power(self) -> SimulatedDisk:
        """Return the disk as it comes back: only what was synced."""
        return SimulatedDisk(bytes(self.content[: self.durable]), self.room)


def truncated(content: bytes, cut: int) -> bytes:
    """Return a file that ends at the cut."""
    return content[:cut]


def zero_page(content: bytes, cut: int) -> bytes:
    """Return a file whose page holds zeros from the cut on: length was written, data was not."""
    return content[:cut] + bytes(_page_end(cut) - cut)


def garbage_page(content: bytes, cut: int) -> bytes:
    """Return a file whose page holds old data from the cut on."""
    old = bytes((i * 167 + 13) % 256 for i in range(_page_end(cut) - cut))
    return content[:cut] + old


def _page_end(cut: int) -> int:
    return (cut // PAGE + 1) * PAGE
