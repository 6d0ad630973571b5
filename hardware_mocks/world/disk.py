# SPDX-License-Identifier: Apache-2.0
"""A disk that keeps what was synced, and of the rest whatever it likes.

What `sync` has returned for survives every cut. Of what came after, a cut leaves all, nothing, a
prefix, or a prefix with zeros or old data behind it. A small file that was replaced is the old one
or the new one until its folder is synced.
"""

from __future__ import annotations

import io
import random
from dataclasses import dataclass, field
from typing import BinaryIO

from hardware_mocks.world.faults import Fuse
from terminal.errors import NotSaved


@dataclass(frozen=True, slots=True)
class Image:
    """A copy of everything on a disk, as somebody with a card reader takes it."""

    grown: dict[str, bytes]
    small: dict[str, bytes]


@dataclass(slots=True)
class Grown:
    """A growing file: its bytes, and how many of them are safe."""

    content: bytearray
    durable: int


@dataclass(slots=True)
class WorldDisk:
    """The durable files of one terminal, in memory, with a fuse between every two steps.

    `room` is how many bytes a growing file may have; `broken_syncs` so many syncs fail.
    """

    fuse: Fuse
    grown: dict[str, Grown] = field(default_factory=dict)
    small: dict[str, bytes] = field(default_factory=dict)
    room: int | None = None
    broken_syncs: int = 0
    keeps_unsynced: bool = True
    # What small files were before a change that no sync of the folder has made sure of yet.
    _unsure: dict[str, bytes | None] = field(default_factory=dict)
    _unsure_name: tuple[str, str] | None = None  # of a growing file: the old and the new one

    def __str__(self) -> str:
        return "the world's disk"

    def open(self, name: str) -> WorldStorage:
        """Open a growing file."""
        if name not in self.grown:
            raise FileNotFoundError(name)
        return WorldStorage(self, self.grown[name])

    def create(self, name: str, data: bytes) -> None:
        """Make a new file; a cut leaves any part of it until its sync has returned."""
        if name in self.grown or name in self.small:
            raise FileExistsError(name)
        self.fuse.moment()
        self.grown[name] = file = Grown(bytearray(data), 0)
        self.fuse.moment()
        file.durable = len(data)
        self.fuse.moment()

    def read(self, name: str, limit: int = -1) -> bytes | None:
        """Return the first bytes of a file, or None if there is none."""
        found = self.small.get(name)
        if found is None and name in self.grown:
            found = bytes(self.grown[name].content)
        return found if found is None or limit < 0 else found[:limit]

    def write_whole(self, name: str, data: bytes) -> None:
        """Replace a small file, durably: draft, rename, folder."""
        self.fuse.moment()
        if self.room is not None:
            raise OSError(28, "No space left on device")
        self._replace(name, data)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name: after a cut it has one of them, never both."""
        self.fuse.moment()
        if old in self.grown:
            self._unsure_name = (old, new)
            self.grown[new] = self.grown.pop(old)
        else:
            data = self.small.pop(old)
            self._unsure = {old: data, new: self.small.get(new)}
            self.small[new] = data
        self._sync_folder()

    def remove(self, name: str) -> None:
        """Delete a file, if there is one."""
        self.fuse.moment()
        self.small.pop(name, None)
        self.grown.pop(name, None)

    def _replace(self, name: str, data: bytes) -> None:
        self.fuse.moment()
        self._unsure = {name: self.small.get(name)}
        self.small[name] = data
        self._sync_folder()

    def _sync_folder(self) -> None:
        self.fuse.moment()
        self._unsure, self._unsure_name = {}, None
        self.fuse.moment()

    def lose_power(self, dice: random.Random) -> None:
        """Become what the next start finds."""
        if self._unsure and dice.random() < 0.5:
            for name, before in self._unsure.items():
                if before is None:
                    self.small.pop(name, None)
                else:
                    self.small[name] = before
        if self._unsure_name is not None and dice.random() < 0.5:
            old, new = self._unsure_name
            self.grown[old] = self.grown.pop(new)
        self._unsure, self._unsure_name = {}, None
        for file in self.grown.values():
            file.content[file.durable :] = left_over(bytes(file.content[file.durable :]), dice)
            file.durable = len(file.content)

    def image(self) -> Image:
        """Return a copy of what is durable now."""
        grown = {name: bytes(file.content[: file.durable]) for name, file in self.grown.items()}
        return Image(grown, dict(self.small))

    def put_back(self, image: Image, names: frozenset[str] | None = None) -> None:
        """Replace everything, or the named files only, by an older image."""
        for name, data in image.grown.items():
            if names is None or name in names:
                self.grown[name] = Grown(bytearray(data), len(data))
        if names is None:
            self.small = dict(image.small)
            return
        for name in names - set(image.grown):
            self.small.pop(name, None)
            if name in image.small:
                self.small[name] = image.small[name]


def left_over(pending: bytes, dice: random.Random) -> bytes:
    """Return what a cut leaves of bytes that were written and not synced.

    >>> left_over(b"", random.Random(1))
    b''
    """
    fate = dice.randrange(5)
    if not pending or fate == 0:
        return b""
    if fate == 1:
        return pending
    cut = dice.randrange(len(pending) + 1)
    rest = len(pending) - cut
    tail = (b"", bytes(rest), dice.randbytes(rest))[fate - 2]
    return pending[:cut] + tail


class WorldStorage:
    """The growing file of a journal."""

    def __init__(self, disk: WorldDisk, file: Grown) -> None:
        self._disk = disk
        self._file = file

    @property
    def size(self) -> int:
        """Return the length in bytes."""
        return len(self._file.content)

    def append(self, data: bytes) -> None:
        """Write at the end, whole or not at all."""
        disk = self._disk
        disk.fuse.moment()
        if disk.room is not None and len(data) > disk.room:
            raise NotSaved("No space left on device")
        if disk.room is not None:
            disk.room -= len(data)
        self._file.content += data
        disk.fuse.moment()

    def sync(self) -> None:
        """Make everything durable, unless the disk refuses."""
        disk, file = self._disk, self._file
        disk.fuse.moment()
        if disk.broken_syncs:
            disk.broken_syncs -= 1
            if not disk.keeps_unsynced:
                del file.content[file.durable :]
            raise NotSaved("Input/output error", unknown_end=True)
        file.durable = len(file.content)
        disk.fuse.moment()

    def truncate(self, size: int) -> None:
        """Cut the end off, durably."""
        self._disk.fuse.moment()
        del self._file.content[size:]
        self._file.durable = len(self._file.content)
        self._disk.fuse.moment()

    def skip(self, size: int) -> None:
        """Leave a hole of zeros up to `size`."""
        self._file.content += bytes(max(0, size - len(self._file.content)))

    def read_at(self, offset: int, length: int) -> bytes:
        """Return bytes of the middle."""
        return bytes(self._file.content[offset : offset + length])

    def stream(self) -> BinaryIO:
        """Return a reader from the beginning."""
        return io.BytesIO(bytes(self._file.content))

    def close(self) -> None:
        """Nothing to let go of."""
