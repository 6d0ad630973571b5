# SPDX-License-Identifier: Apache-2.0
"""Write files that hold secrets: private, whole or not at all, and on the disk."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

PRIVATE_MODE = 0o600


def sync_directory(path: Path) -> None:
    """Make a rename or a new file in this directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_private(path: Path, data: bytes, *, replace: bool) -> None:
    """Write a file that only its owner may read, atomically and durably.

    The bytes go to a neighbour first, are synced, and take the name in one step, so that a power
    cut leaves the old file or the new one. Without ``replace`` an existing file raises
    ``FileExistsError`` and is left alone.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    handle = os.open(draft, flags, PRIVATE_MODE)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            os.link(draft, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
    sync_directory(path.parent)
