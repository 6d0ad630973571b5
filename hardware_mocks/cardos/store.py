# SPDX-License-Identifier: Apache-2.0
"""Where a card's state lives: every commit leaves the old state or the new one, never a mix.

A commit writes the whole image to a second file, forces it to disk and renames it over the
first. Between those steps a hook is called, so that a test can cut the power exactly there.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from hardware_mocks.cardos.errors import ImageDamaged
from hardware_mocks.cardos.state import NotAnImage

T = TypeVar("T")

# A card of the 32 KB class writes about 70 KB of text; a larger file is not a card image.
IMAGE_BYTES_MAX = 1 << 20


class WriteStep(enum.Enum):
    """The moments of one commit, in their order."""

    BEGUN = "nothing of the new image is on disk yet"
    HALF_WRITTEN = "half of the new image is on disk"
    WRITTEN = "the new image is on disk, the old one still counts"
    RENAMED = "the new image counts"


Hook = Callable[[WriteStep], None]


class Store(Protocol):
    """Keeps one byte string; `save` may be left by an exception of the hook at any step."""

    def load(self) -> bytes | None:
        """Return what was saved last, None where nothing ever was."""

    def save(self, written: bytes, hook: Hook) -> None:
        """Replace what is kept, as a whole or not at all."""


class RamStore:
    """A store for cards that live as long as the test."""

    def __init__(self) -> None:
        self._kept: bytes | None = None

    def load(self) -> bytes | None:
        """Return what was saved last."""
        return self._kept

    def save(self, written: bytes, hook: Hook) -> None:
        """Replace what is kept."""
        hook(WriteStep.BEGUN)
        hook(WriteStep.HALF_WRITTEN)
        hook(WriteStep.WRITTEN)
        self._kept = written
        hook(WriteStep.RENAMED)


class FileStore:
    """A store of one file that survives a cut at any moment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fresh = path.with_name(path.name + ".new")

    def load(self) -> bytes | None:
        """Return the content of the file, None where it does not exist.

        Raises:
            ImageDamaged: the file is larger than any card.
        """
        try:
            with self._path.open("rb") as file:
                written = file.read(IMAGE_BYTES_MAX + 1)
        except FileNotFoundError:
            return None
        if len(written) > IMAGE_BYTES_MAX:
            raise ImageDamaged(self._path, f"more than {IMAGE_BYTES_MAX} bytes")
        return written

    def save(self, written: bytes, hook: Hook) -> None:
        """Write beside the file, force to disk, rename over it, force the rename to disk."""
        hook(WriteStep.BEGUN)
        half = len(written) // 2
        with self._fresh.open("wb") as file:
            file.write(written[:half])
            file.flush()
            hook(WriteStep.HALF_WRITTEN)
            file.write(written[half:])
            file.flush()
            os.fsync(file.fileno())
        hook(WriteStep.WRITTEN)
        self._fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        hook(WriteStep.RENAMED)


class Memory(Generic[T]):
    """The working copy of a card's state; only `commit` makes a change outlive the power."""

    def __init__(
        self,
        path: Path | None,
        blank: Callable[[], T],
        dump: Callable[[T], bytes],
        load: Callable[[bytes], T],
    ) -> None:
        self._path = path
        self._store: Store = FileStore(path) if path else RamStore()
        self._dump = dump
        self._load = load
        self.hook: Hook = lambda _step: None
        written = self._store.load()
        if written is None:
            self.image = blank()
            self.commit()
        else:
            self.image = self._parse(written)

    def _parse(self, written: bytes) -> T:
        try:
            return self._load(written)
        except NotAnImage as exc:
            raise ImageDamaged(self._path or Path("RAM"), str(exc)) from exc

    def commit(self) -> None:
        """Make the working copy the state that the next power-on finds."""
        self._store.save(self._dump(self.image), self.hook)

    def reload(self) -> None:
        """Drop the working copy, as a power cut does."""
        written = self._store.load()
        if written is None:
            raise ImageDamaged(self._path or Path("RAM"), "the image is gone")
        self.image = self._parse(written)
