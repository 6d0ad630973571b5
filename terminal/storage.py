# SPDX-License-Identifier: Apache-2.0
"""The one seam between the journal and a disk: append, make durable, read, cut."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Protocol

from terminal.errors import NotSaved


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
        """Return a new reader from the beginning."""

    def close(self) -> None:
        """Let go of the file."""


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
