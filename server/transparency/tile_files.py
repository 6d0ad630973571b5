# SPDX-License-Identifier: Apache-2.0
"""The folder of the published log: static files that any web server may hand out.

A file appears whole and durable, or not at all. Full tiles never change; partial ones go when the
full one is there; the checkpoint is replaced last, when all that it promises is on the disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from swipe import merkle, tiles
from swipe.errors import BadLog
from swipe.notes import Note
from swipe.tiles import CHECKPOINT, ENTRIES, WIDTH, Tiles, bundle, tile_path

# Public by nature, and often handed out by another user's web server.
FILE_MODE, FOLDER_MODE = 0o644, 0o755
LOCK = ".lock"


class LogFolder:
    """One folder of tiles, entries and a checkpoint."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._touched: set[Path] = set()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from growing the same folder."""
        self.path.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        handle = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, FILE_MODE)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def note(self) -> Note | None:
        """Return the published checkpoint, None before the first.

        Raises:
            BadNote: the file is no checkpoint.
        """
        try:
            text = (self.path / CHECKPOINT).read_text("utf-8")
        except FileNotFoundError:
            return None
        return Note.from_text(text)

    def publish(self, note: Note) -> None:
        """Replace the checkpoint."""
        self._write(CHECKPOINT, str(note).encode())
        self._sync()

    def tree(self, size: int) -> Tiles:
        """Return the tree of some size as the files hold it."""
        return Tiles(size, tiles.folder(self.path))

    def holds(self, size: int, root: bytes) -> bool:
        """Say whether the files give this root at this size."""
        try:
            return self.tree(size).root() == root
        except BadLog:
            return False

    def grow(self, old: int, pieces: Iterable[list[bytes]]) -> int:
        """Add leaves behind the first `old`, which the files hold; return the new size.

        The pieces begin at the last tile boundary at or before `old`.
        """
        at = old - old % WIDTH
        hashes: list[bytes] = []
        rest: list[bytes] = []
        for piece in pieces:
            rest += piece
            while len(rest) >= WIDTH:
                hashes.append(self._bottom(at, rest[:WIDTH]))
                rest, at = rest[WIDTH:], at + WIDTH
        if rest:
            self._bottom(at, rest)
        size = at + len(rest)
        self._upper(old, hashes)
        self._sync()
        return size

    def _bottom(self, at: int, leaves: list[bytes]) -> bytes:
        """Write one tile of leaf hashes and one bundle of entries; return the tile's root."""
        row = [merkle.leaf_hash(leaf) for leaf in leaves]
        self._tile(0, at // WIDTH, row)
        self._write(tile_path(ENTRIES, at // WIDTH, len(leaves)), bundle(leaves))
        self._drop_partial(ENTRIES, at // WIDTH, len(leaves))
        return merkle.root_of(len(row), _nodes(row))

    def _upper(self, old: int, hashes: list[bytes]) -> None:
        """Write the tiles above, of which `hashes` are the new entries of level 1."""
        before = self.tree(old)
        level, done = 1, old >> tiles.HEIGHT
        while hashes:
            start = done - done % WIDTH
            row = [before.node(tiles.HEIGHT * level, n) for n in range(start, done)] + hashes
            hashes = []
            for number in range(start // WIDTH, -(-(start + len(row)) // WIDTH)):
                part = row[number * WIDTH - start :][:WIDTH]
                self._tile(level, number, part)
                if len(part) == WIDTH:
                    hashes.append(merkle.root_of(WIDTH, _nodes(part)))
            level, done = level + 1, done >> tiles.HEIGHT

    def _tile(self, level: int, number: int, row: list[bytes]) -> None:
        self._write(tile_path(level, number, len(row)), b"".join(row))
        self._drop_partial(level, number, len(row))

    def _drop_partial(self, level: int | str, number: int, width: int) -> None:
        if width == WIDTH:
            partial = self.path / f"{tile_path(level, number)}.p"
            shutil.rmtree(partial, ignore_errors=True)
            self._touched.discard(partial)

    def _write(self, name: str, data: bytes) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        draft = path.with_name(f".{path.name}.new")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
        inside = (parent for parent in path.parents if parent.is_relative_to(self.path))
        self._touched.update(inside)

    def _sync(self) -> None:
        """Make the names of new files durable, before the checkpoint promises them."""
        for folder in sorted(self._touched):
            _sync_folder(folder)
        self._touched.clear()


def _nodes(row: list[bytes]) -> merkle.Nodes:
    def node(level: int, index: int) -> bytes:
        part = row[index << level : (index + 1) << level]
        while len(part) > 1:
            part = [merkle.node_hash(*part[i : i + 2]) for i in range(0, len(part), 2)]
        return part[0]

    return node


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
