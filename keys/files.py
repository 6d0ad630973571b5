# SPDX-License-Identifier: Apache-2.0
"""Write files that hold secrets: private, whole or not at all, and on the disk."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

PRIVATE_MODE = 0o600


class Disk:
    """Do what a safe write is made of, one operation at a time; a test may cut between any two."""

    def create(self, path: Path) -> int:
        """Make a new, private file and give its handle."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE)

    def write(self, handle: int, data: bytes) -> None:
        """Write all the bytes."""
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]

    def sync(self, handle: int) -> None:
        """Make the bytes durable."""
        os.fsync(handle)

    def rename(self, draft: Path, path: Path) -> None:
        """Give the draft the name, in place of what had it."""
        draft.replace(path)

    def link(self, draft: Path, path: Path) -> None:
        """Give the draft a second name; raise ``FileExistsError`` when it is taken."""
        os.link(draft, path)

    def unlink(self, path: Path) -> None:
        """Remove a name, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            path.unlink()

    def sync_directory(self, path: Path) -> None:
        """Make a rename or a new file in this directory durable."""
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


DISK = Disk()


def write_private(path: Path, data: bytes, *, replace: bool, disk: Disk = DISK) -> None:
    """Write a file that only its owner may read, atomically and durably.

    The bytes go to a neighbour first, are synced, and take the name in one step, so that a power
    cut leaves the old file or the new one. Without ``replace`` an existing file raises
    ``FileExistsError`` and is left alone.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    disk.unlink(draft)
    handle = disk.create(draft)
    try:
        try:
            disk.write(handle, data)
            disk.sync(handle)
        finally:
            os.close(handle)
        if replace:
            disk.rename(draft, path)
        else:
            disk.link(draft, path)
    finally:
        disk.unlink(draft)
    disk.sync_directory(path.parent)


def remove_drafts(path: Path, disk: Disk = DISK) -> None:
    """Remove what writers of this file left when they were cut off; hold its lock meanwhile."""
    for draft in path.parent.glob(f".{path.name}.*.new"):
        disk.unlink(draft)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file that is replaced as a whole; programs take turns."""
    handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, PRIVATE_MODE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
