# SPDX-License-Identifier: Apache-2.0
"""Find the memory stick that somebody has put in, for the menu's export."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

# Where Linux systems mount what is plugged in; one folder per user lies in between at some.
ROOTS = (Path("/media"), Path("/run/media"), Path("/mnt"))
LOOKED_AT_MAX = 64  # entries of one folder; a mount folder has a handful


def find_stick(
    roots: Iterable[Path] = ROOTS, is_mount: Callable[[Path], bool] = os.path.ismount
) -> Path | None:
    """Return the first mounted folder below the roots that can be written to."""
    for root in roots:
        for folder in (root, *_below(root)):
            if folder != root.parent and is_mount(folder) and os.access(folder, os.W_OK):
                return folder
    return None


def _below(root: Path) -> Iterator[Path]:
    """Yield the folders one and two levels below; links lead elsewhere and are left out."""
    for first in _folders(root):
        yield first
        yield from _folders(first)


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            found = [Path(e.path) for e in entries if e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(found)[:LOOKED_AT_MAX]
