# SPDX-License-Identifier: Apache-2.0
"""The public log as static files: tiles of 256 hashes, bundles of entries (C2SP tlog-tiles).

    checkpoint                 the signed tree head
    tile/<L>/<N>[.p/<W>]       256 (or W) subtree hashes of height 8·L
    tile/entries/<N>[.p/<W>]   256 (or W) entries, each behind its length (2, big-endian)

N is written in groups of three digits, x001/x234/067. Paths here are relative to the log's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

from swipe import merkle
from swipe.errors import BadLog
from swipe.merkle import HASH_SIZE

CHECKPOINT = "checkpoint"
ENTRIES = "entries"
HEIGHT = 8
WIDTH = 1 << HEIGHT
# 256^8 leaves are more than a 63-bit size can count.
LEVELS = 8
# Our entries are hashes of 32 bytes; a foreign log may hold up to what a length of 2 bytes says.
_LENGTH = 2
# A proof touches a few tiles of each level; these are 4 MB.
_TILES_KEPT = 512

# Gives the bytes of a file of the log by its path; raises ``BadLog`` when it has none.
Fetch = Callable[[str], bytes]


def tile_path(level: int | str, number: int, width: int = WIDTH) -> str:
    """Give the path of a tile; ``level`` is ``ENTRIES`` for a bundle of entries.

    >>> tile_path(0, 1234067), tile_path("entries", 0, 17)
    ('tile/0/x001/x234/067', 'tile/entries/000.p/17')
    """
    digits = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        digits.insert(0, f"x{number % 1000:03d}")
    partial = f".p/{width}" if width < WIDTH else ""
    return f"tile/{level}/{'/'.join(digits)}{partial}"


def tile_width(level: int, number: int, size: int) -> int:
    """Give how many hashes a tile has in a tree of some size; 0 when it has no such tile.

    >>> tile_width(0, 273, 70_000), tile_width(1, 1, 70_000), tile_width(2, 0, 70_000)
    (112, 17, 1)
    """
    return max(0, min(WIDTH, (size >> HEIGHT * level) - number * WIDTH))


def bundle(entries: list[bytes]) -> bytes:
    """Join entries to a bundle.

    >>> bundle([b"ab", b""]).hex()
    '000261620000'
    """
    return b"".join(len(entry).to_bytes(_LENGTH) + entry for entry in entries)


def unbundle(data: bytes, path: str) -> list[bytes]:
    """Take a bundle apart; raise ``BadLog`` when the lengths do not fit."""
    entries, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + _LENGTH])
        entry = data[at + _LENGTH : at + _LENGTH + length]
        if len(entry) != length or at + _LENGTH > len(data):
            raise BadLog(path, "a bundle of entries ends within an entry")
        entries.append(entry)
        at += _LENGTH + length
    return entries


def folder(path: Path) -> Fetch:
    """Read the files of a log from a local folder."""

    def fetch(name: str) -> bytes:
        try:
            return (path / name).read_bytes()
        except OSError as exc:
            raise BadLog(str(path / name), exc.strerror or "cannot be read") from exc

    return fetch


class Tiles:
    """The tree of the first ``size`` leaves, its hashes read from tiles when they are needed."""

    def __init__(self, size: int, fetch: Fetch) -> None:
        self.size = size
        self._fetch = fetch
        self._tile = lru_cache(_TILES_KEPT)(self._read)

    def node(self, level: int, index: int) -> bytes:
        """Give the hash over 2^level leaves from index·2^level on, as ``merkle.Nodes``."""
        up, inside = divmod(level, HEIGHT)
        first = index << inside
        tile = self._tile(up, first // WIDTH)
        at = first % WIDTH
        row = tile[at : at + (1 << inside)]
        if len(row) != 1 << inside:
            raise BadLog(tile_path(up, first // WIDTH), "the tile is shorter than the tree")
        while len(row) > 1:
            row = [merkle.node_hash(*row[i : i + 2]) for i in range(0, len(row), 2)]
        return row[0]

    def root(self) -> bytes:
        """Compute the root."""
        return merkle.root_of(self.size, self.node)

    def entries(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """Give the entries with their numbers, bundle by bundle."""
        for number in range(start // WIDTH, -(-self.size // WIDTH)):
            path, data = self._either(ENTRIES, number, tile_width(0, number, self.size))
            width = tile_width(0, number, self.size)
            found = unbundle(data, path)[:width]
            if len(found) != width:
                raise BadLog(path, f"{len(found)} entries, expected {width}")
            for index, entry in enumerate(found, number * WIDTH):
                if index >= start:
                    yield index, entry

    def _read(self, level: int, number: int) -> list[bytes]:
        width = tile_width(level, number, self.size)
        path, data = self._either(level, number, width)
        if len(data) < width * HASH_SIZE or len(data) % HASH_SIZE:
            raise BadLog(path, f"{len(data)} bytes, expected {width * HASH_SIZE}")
        return [data[at : at + HASH_SIZE] for at in range(0, width * HASH_SIZE, HASH_SIZE)]

    def _either(self, level: int | str, number: int, width: int) -> tuple[str, bytes]:
        """Read a tile; a partial one may have been removed when the full one came."""
        path = tile_path(level, number, width)
        try:
            return path, self._fetch(path)
        except BadLog:
            if width == WIDTH:
                raise
            full = tile_path(level, number)
            return full, self._fetch(full)
