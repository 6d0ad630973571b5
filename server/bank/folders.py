# SPDX-License-Identifier: Apache-2.0
"""Where files of partners are: what a partner sees, and what only the server sees.

`bank/CODE/in` is where a partner puts files, `bank/CODE/out` where it finds ours. The archive and
the place where files are unpacked stand beside, outside every partner's sight. A file gets its
name when it is whole and durable; its manifest comes after it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from server.bank.files.manifest import PARTIAL, SUFFIX

PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders below one data folder."""

    root: Path

    def home(self, code: str) -> Path:
        """Give what a partner sees as its root; `in` and `out` are made."""
        home = self.root / "bank" / code
        for name in ("in", "out"):
            (home / name).mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        return home

    def inbox(self, code: str) -> Path:
        """Give the folder where a partner puts its files."""
        return self.home(code) / "in"

    def outbox(self, code: str) -> Path:
        """Give the folder where a partner finds ours."""
        return self.home(code) / "out"

    def archive(self, code: str) -> Path:
        """Give the folder where files of both directions are kept as they travelled."""
        folder = self.root / "bank-archive" / code
        folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        return folder

    @contextmanager
    def work(self) -> Iterator[Path]:
        """Give a private folder for plain files; gone at the end."""
        parent = self.root / "bank-work"
        parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        with TemporaryDirectory(dir=parent) as folder:
            yield Path(folder)

    def waiting(self, code: str) -> list[Path]:
        """Name the files of a partner that are whole, by their manifests, lowest number first."""
        found = [path.with_suffix("") for path in self.inbox(code).glob("*" + SUFFIX)]
        return sorted(found, key=lambda path: (path.stem[-8:], path.name))


def publish(folder: Path, name: str, source: Path, manifest: bytes) -> None:
    """Put a file and then its manifest into a folder, each whole and durable under its name."""
    _place(folder / name, source)
    note = folder / (name + SUFFIX)
    draft = note.with_name(note.name + PARTIAL)
    with draft.open("wb") as file:
        file.write(manifest)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(note)
    _sync(folder)


def _place(target: Path, source: Path) -> None:
    draft = target.with_name(target.name + PARTIAL)
    with source.open("rb") as given, draft.open("wb") as file:
        shutil.copyfileobj(given, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)
    _sync(target.parent)


def keep(archive: Path, path: Path, manifest: bytes, wire_sha256: str) -> None:
    """Keep a received file as it came; its digest tells it from others of the same name."""
    kept = archive / f"in-{wire_sha256[:16]}-{path.name}"
    if path.exists() and not kept.exists():
        _place(kept, path)
        kept.with_name(kept.name + SUFFIX).write_bytes(manifest)


def remove(path: Path) -> None:
    """Take a received file and its manifest out of a partner's folder."""
    for part in (path.with_name(path.name + SUFFIX), path):
        part.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
