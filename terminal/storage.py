# SPDX-License-Identifier: Apache-2.0
"""The one seam between a terminal and its disk: the journal's file, and small files by name.

Everything a terminal keeps goes through a `Disk`. On the device that is `Folder`; a simulator
gives its own, and the whole station runs without touching a real one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Protocol

from terminal.errors import NotSaved
from terminal.files import FILE_MODE, sync_directory, write_whole


class Storage(Protocol):
    """A file that grows at its end. `append` and `sync` raise NotSaved; nothing else writes."""

    @property
    def size(self) -> int:
        """Return the length in bytes."""

    def append(self, data: bytes) -> None:
        """Write at the end, whole or not at all; not durable before `sync`."""

    def sync(self) -> None:
        """Make everything appended so far durable."""

    def truncate(self, size: int) -> None:
        """Cut off everything from `size` on, durably."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Return bytes of the middle; fewer only at the end."""

    def stream(self) -> BinaryIO:
        """Return a new reader from the beginning; its reads raise OSError at a bad sector."""

    def skip(self, size: int) -> None:
        """Let the next append begin at `size`, beyond an end that cannot be read."""

    def close(self) -> None:
        """Let go of the file."""


class Disk(Protocol):
    """The durable files of one terminal, by name.

    `open` gives the growing file of the journal; the other calls are for small files, which are
    replaced whole: after a power cut there is the old one or the new one, never a part. All may
    raise OSError where the disk refuses, and `open` NotSaved.
    """

    def open(self, name: str) -> Storage:
        """Open a growing file; raise FileNotFoundError if there is none."""

    def create(self, name: str, data: bytes) -> None:
        """Make a new file, durably; raise FileExistsError if there is one."""

    def read(self, name: str, limit: int = -1) -> bytes | None:
        """Return the first `limit` bytes of a file (all of it: -1), or None if there is none."""

    def write_whole(self, name: str, data: bytes) -> None:
        """Replace a small file, durably."""

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, durably, in place of one that has it."""

    def remove(self, name: str) -> None:
        """Delete a file; if there is none, nothing happens."""


class Folder:
    """A folder of a real disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"Folder({str(self.path)!r})"

    def __str__(self) -> str:
        return str(self.path)

    def open(self, name: str) -> FileStorage:
        """Open a growing file."""
        path = self.path / name
        if not path.exists():
            raise FileNotFoundError(str(path))
        return FileStorage(path)

    def create(self, name: str, data: bytes) -> None:
        """Make a new file, durably; an existing one is never touched."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        handle = os.open(self.path / name, flags, FILE_MODE)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        sync_directory(self.path)

    def read(self, name: str, limit: int = -1) -> bytes | None:
        """Return the first bytes of a file, or None if there is none."""
        try:
            with (self.path / name).open("rb") as file:
                return file.read(limit)
        except FileNotFoundError:
            return None

    def write_whole(self, name: str, data: bytes) -> None:
        """Replace a small file, durably."""
        write_whole(self.path / name, data)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, durably."""
        (self.path / old).replace(self.path / new)
        sync_directory(self.path)

    def remove(self, name: str) -> None:
        """Delete a file, if there is one."""
        (self.path / name).unlink(missing_ok=True)


def disk_of(place: Disk | Path) -> Disk:
    """Return the disk meant by a place: a folder's path, or a disk of any other make.

    >>> disk_of(Path("/var/lib/yika-terminal"))
    Folder('/var/lib/yika-terminal')
    """
    return Folder(place) if isinstance(place, Path) else place


class FileStorage:
    """A file in a folder, written with `write` and `fdatasync`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as exc:
            raise NotSaved(_cause(exc), unknown_end=True) from exc
        self._size = os.fstat(self._handle).st_size

    @property
    def size(self) -> int:
        """Return the length in bytes."""
        return self._size

    def append(self, data: bytes) -> None:
        """Write all bytes at the end; after an error the file is as long as before."""
        written = 0
        try:
            while written < len(data):
                written += os.pwrite(self._handle, data[written:], self._size + written)
        except OSError as exc:
            raise NotSaved(_cause(exc), unknown_end=not self._cut_back()) from exc
        self._size += written

    def sync(self) -> None:
        """Call fdatasync: data and length reach the disk."""
        try:
            os.fdatasync(self._handle)
        except OSError as exc:
            # The kernel may have dropped the pages: only reading them again tells what is there.
            raise NotSaved(_cause(exc), unknown_end=True) from exc

    def truncate(self, size: int) -> None:
        """Cut the file and sync that."""
        try:
            os.ftruncate(self._handle, size)
            os.fdatasync(self._handle)
        except OSError as exc:
            raise NotSaved(_cause(exc), unknown_end=True) from exc
        self._size = size

    def read_at(self, offset: int, length: int) -> bytes:
        """Read without moving anything: safe from another thread."""
        return os.pread(self._handle, length, offset)

    def stream(self) -> BinaryIO:
        """Open the file once more for reading through."""
        return self._path.open("rb")

    def skip(self, size: int) -> None:
        """Leave a hole up to `size`: the pages before it are neither read nor written."""
        self._size = max(self._size, size)

    def close(self) -> None:
        """Close the handle; twice is fine."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _cut_back(self) -> bool:
        """Remove what was half written, so that the next record stands after the last good one."""
        try:
            os.ftruncate(self._handle, self._size)
        except OSError:
            return False
        return True


def _cause(exc: OSError) -> str:
    return exc.strerror or str(exc)
