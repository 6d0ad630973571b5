# SPDX-License-Identifier: Apache-2.0
"""Names of the files in a terminal's data folder, and the lock that lets one program write."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from terminal.errors import AlreadyRunning, NotProvisioned

JOURNAL = "journal.yika"
JOURNAL_DRAFT = ".journal.yika.new"  # until it is whole
KEPT_JOURNAL = "journal.former-{}.yika"  # of a key that the box has lost
CHECKPOINT = "journal.mark"
IDENTITY = "identity.pem"
PASSPORT = "terminal.json"
NEXT_IDENTITY = "identity.next.pem"  # a key shown to the server, not in force yet
NEXT_PASSPORT = "terminal.next.json"
OUTBOX = "outbox"
STICK = "stick"  # headers of the newest and the farthest batch that ever went on a memory stick
HIGH_WATER = "last-receipt"
HOTLIST = "hotlist"
CONFIG = "config"
LOCK = "lock"
FILE_MODE = 0o600  # everything here is the terminal's own business


def sync_directory(path: Path) -> None:
    """Make a new name in this folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, data: bytes) -> None:
    """Replace a small file: after a power cut it is the old one or the new one, never a part."""
    draft = path.with_name(f".{path.name}.new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    sync_directory(path.parent)


@contextmanager
def sole_writer(data_dir: Path) -> Iterator[None]:
    """Hold the data folder for one process; the lock goes with the process, however it ends.

    Raises:
        NotProvisioned: There is no such folder.
        AlreadyRunning: Another process holds it.
    """
    try:
        handle = os.open(data_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except FileNotFoundError as exc:
        raise NotProvisioned(str(data_dir)) from exc
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise AlreadyRunning(str(data_dir)) from exc
        yield
    finally:
        os.close(handle)
