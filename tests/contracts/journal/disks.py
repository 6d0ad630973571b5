# SPDX-License-Identifier: Apache-2.0
"""A storage in memory that can be full, fail to sync, and lose power at any byte."""

from __future__ import annotations

import errno
import io
from typing import BinaryIO

from terminal.errors import NotSaved

PAGE = 4096


class SimulatedDisk:
    """Keep what was appended and what of it is durable apart.

    `room` is how many bytes fit in all; `sync_fails` and `truncate_fails` make those calls raise;
    pages whose numbers are in `bad` cannot be read.
    """

    def __init__(self, content: bytes, room: int | None = None) -> None:
        self.content = bytearray(content)
        self.durable = len(content)
        self.room = room
        self.sync_fails = False
        self.truncate_fails = False
        self.bad: set[int] = set()

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
        end = min(offset + length, len(self.content))
        if offset < end and self.bad.intersection(range(offset // PAGE, (end - 1) // PAGE + 1)):
            raise OSError(errno.EIO, "Input/output error")
        return bytes(self.content[offset:end])

    def skip(self, size: int) -> None:
        """Let the next append begin at `size`."""
        self.content += bytes(size - len(self.content))

    def stream(self) -> BinaryIO:
        """Return a reader from the beginning."""
        return io.BytesIO(bytes(self.content))

    def close(self) -> None:
        """Nothing to let go of."""

    def lose_power(self) -> SimulatedDisk:
        """Return the disk as it comes back: only what was synced."""
        return SimulatedDisk(bytes(self.content[: self.durable]), self.room)


class MemoryDisk:
    """The files of a terminal in memory, for `open_station(…, disk=…)`."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.growing: dict[str, SimulatedDisk] = {}

    def open(self, name: str) -> SimulatedDisk:
        """Open a growing file."""
        if name not in self.growing:
            if name not in self.files:
                raise FileNotFoundError(name)
            self.growing[name] = SimulatedDisk(self.files.pop(name))
        return self.growing[name]

    def create(self, name: str, data: bytes) -> None:
        """Make a new file."""
        if name in self.files or name in self.growing:
            raise FileExistsError(name)
        self.files[name] = data

    def read(self, name: str, limit: int = -1) -> bytes | None:
        """Return the first bytes of a file."""
        if name in self.growing:
            held = bytes(self.growing[name].content)
        elif name in self.files:
            held = self.files[name]
        else:
            return None
        return held if limit < 0 else held[:limit]

    def write_whole(self, name: str, data: bytes) -> None:
        """Replace a small file."""
        self.files[name] = data

    def rename(self, old: str, new: str) -> None:
        """Give a file another name."""
        self.files[new] = self.files.pop(old)

    def remove(self, name: str) -> None:
        """Delete a file."""
        self.files.pop(name, None)


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
