# SPDX-License-Identifier: Apache-2.0
"""A key store survives a power cut at any operation of any write: the old store or the new one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from datetime import date
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from keys.errors import KeyStoreExists
from keys.files import Disk
from keys.store import FileKeyStore
from keys.surroundings import Surroundings
from keys.usage import KeyUsage
from tests.factories import CHEAP, PASSPHRASE

RETIREMENT = date(2030, 1, 1)
# A write is at most eight operations; cutting later than that cuts nothing.
OPERATIONS_MAX = 10


class PowerCut(BaseException):
    """The power is gone; no handler of the program runs on it."""


class FailingDisk(Disk):
    """A disk whose power goes at the n-th operation, and that forgets what was not synced."""

    def __init__(self) -> None:
        self.left = -1  # operations until the cut; negative: none
        self.kept = 0  # bytes of an unsynced file that the platter got
        self.undo = False  # whether a rename that was not synced is undone
        self._unsynced: dict[int, Path] = {}
        self._renamed: tuple[Path, bytes | None] | None = None

    def _step(self) -> None:
        if self.left == 0:
            for path in self._unsynced.values():
                os.truncate(path, min(self.kept, path.stat().st_size))
            if self.undo and self._renamed is not None:
                path, before = self._renamed
                path.unlink(missing_ok=True)
                if before is not None:
                    path.write_bytes(before)
            raise PowerCut
        self.left -= 1

    def create(self, path: Path) -> int:
        """Make the file; its bytes are not safe yet."""
        self._step()
        handle = super().create(path)
        self._unsynced[handle] = path
        return handle

    def write(self, handle: int, data: bytes) -> None:
        """Write, in two halves, so that a cut may fall between."""
        half = len(data) // 2
        super().write(handle, data[:half])
        self._step()
        super().write(handle, data[half:])

    def sync(self, handle: int) -> None:
        """Make the bytes safe."""
        self._step()
        super().sync(handle)
        self._unsynced.pop(handle)

    def rename(self, draft: Path, path: Path) -> None:
        """Rename; until the folder is synced it may be undone."""
        self._step()
        before = path.read_bytes()
        super().rename(draft, path)
        self._unsynced = {h: path if p == draft else p for h, p in self._unsynced.items()}
        self._renamed = (path, before)

    def link(self, draft: Path, path: Path) -> None:
        """Link; until the folder is synced it may be undone."""
        self._step()
        super().link(draft, path)
        self._renamed = (path, None)

    def unlink(self, path: Path) -> None:
        """Remove, unless the power is gone already."""
        self._step()
        super().unlink(path)

    def sync_directory(self, path: Path) -> None:
        """Make names safe."""
        self._step()
        super().sync_directory(path)
        self._renamed = None


def _change(store: FileKeyStore, what: int) -> None:
    """Do one of the things that write a store."""
    if what == 0 or not store.has(KeyUsage.TAC, 1):
        store.generate(KeyUsage.TAC, 1 + len(store.list()))
    elif what == 1:
        store.rotate(KeyUsage.TAC)
    else:
        store.retire(KeyUsage.TAC, 1, RETIREMENT)


CUTS = st.tuples(
    st.integers(0, 2), st.integers(0, OPERATIONS_MAX), st.integers(0, 2000), st.booleans()
)


@settings(max_examples=150, deadline=None)
@given(st.lists(CUTS, min_size=1, max_size=5))
def test_any_sequence_of_cuts_leaves_the_old_store_or_the_new(
    cuts: list[tuple[int, int, int, bool]],
) -> None:
    """After each cut the store opens, and holds what it held or what the change made of it."""
    with tempfile.TemporaryDirectory() as folder:
        path, disk = Path(folder) / "issuer.keys", FailingDisk()
        around = Surroundings("tester", disk=disk)
        FileKeyStore.create(path, PASSPHRASE, CHEAP, around)
        for what, left, kept, undo in cuts:
            store = FileKeyStore.open(path, PASSPHRASE, around)
            before, after = store.list(), None
            disk.left, disk.kept, disk.undo = left, kept, undo
            try:
                _change(store, what)
                after = store.list()
            except PowerCut:
                pass
            disk = FailingDisk()  # the machine starts again
            around = Surroundings("tester", disk=disk)
            found = FileKeyStore.open(path, PASSPHRASE, around).list()

            if after is not None:
                assert found == after
            else:
                assert found == before or _grew(before, found)
        FileKeyStore.open(path, PASSPHRASE, around).generate(KeyUsage.PRESENCE)
        drafts = [name for name in os.listdir(folder) if name.endswith(".new")]

        assert drafts == []


def _grew(before: list[object], found: list[object]) -> bool:
    """Say whether one change separates two lists: a key more, or one key otherwise."""
    if len(found) == len(before) + 1:
        return all(info in found for info in before)
    return (
        len(found) == len(before) and sum(a != b for a, b in zip(before, found, strict=True)) == 1
    )


@settings(max_examples=100, deadline=None)
@given(st.integers(0, OPERATIONS_MAX), st.integers(0, 2000), st.booleans())
def test_a_cut_while_a_store_is_made_leaves_none_or_all_of_it(
    left: int, kept: int, undo: bool
) -> None:
    """A new store is there and opens, or is not there and can be made."""
    with tempfile.TemporaryDirectory() as folder:
        path, disk = Path(folder) / "issuer.keys", FailingDisk()
        disk.left, disk.kept, disk.undo = left, kept, undo
        with contextlib.suppress(PowerCut):
            FileKeyStore.create(path, PASSPHRASE, CHEAP, Surroundings("tester", disk=disk))
        with contextlib.suppress(KeyStoreExists):
            FileKeyStore.create(path, PASSPHRASE, CHEAP)

        assert FileKeyStore.open(path, PASSPHRASE).list() == []
