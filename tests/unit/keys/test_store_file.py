# SPDX-License-Identifier: Apache-2.0
"""The file store: files of the first release, backups, and guessing a passphrase."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from keys.algorithm import Algorithm
from keys.envelope import Envelope
from keys.errors import KeyStoreDamaged, KeyStoreExists, KeyStoreLocked, KeyStoreThrottled
from keys.files import Disk
from keys.keystore import KeyState
from keys.material import KeyMaterial
from keys.store import STORE_MAGIC, FileKeyStore
from keys.surroundings import Surroundings
from keys.tries import TRIES_FREE, WAIT_S
from keys.usage import KeyUsage
from tests.factories import CHEAP, PASSPHRASE

MASTER = "00112233445566778899AABBCCDDEEFF"
OTHER = "another passphrase, for the safe"


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Give the time it shows."""
        return self.time


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of a store with two keys, one of them SM4 and marked."""
    store = FileKeyStore.create(tmp_path / "issuer.keys", PASSPHRASE, CHEAP)
    store.generate(KeyUsage.TAC)
    key = KeyMaterial(bytes.fromhex(MASTER))
    store.import_key(KeyUsage.PRESENCE, 7, key, Algorithm.SM4, marked_test=True)
    store.retire(KeyUsage.TAC, 1, date(2031, 5, 4))
    return store.path


def test_files_of_the_first_release_open(tmp_path: Path) -> None:
    """Rows without algorithm are 3DES, for personal data AES; rights come from the hierarchy."""
    rows = [
        {"usage": "tac", "version": 1, "key": MASTER, "created": "2026-01-02T03:04:05"},
        {"usage": "purchase-psam", "version": 1, "key": MASTER, "created": ""},
        {"usage": "personal-data", "version": 2, "key": 2 * MASTER, "created": ""},
    ]
    path = tmp_path / "old.keys"
    sealed = Envelope.create(STORE_MAGIC, PASSPHRASE, CHEAP).seal(json.dumps(rows).encode())
    path.write_bytes(sealed)

    store = FileKeyStore.open(path, PASSPHRASE)

    tac = store.info(KeyUsage.TAC, 1)
    assert (tac.algorithm, tac.state) == (Algorithm.TDES, KeyState.ACTIVE)
    assert tac.kcv == KeyMaterial(bytes.fromhex(MASTER)).kcv(Algorithm.TDES)
    assert tac.created == "2026-01-02T03:04:05"
    assert store.info(KeyUsage.PERSONAL_DATA, 2).algorithm is Algorithm.AES
    assert [info.exportable for info in store.list()] == [False, True, False]
    assert store.rotate(KeyUsage.TAC).version == 2
    assert FileKeyStore.open(path, PASSPHRASE).list() == store.list()


def test_a_backup_restores_all_that_is_known_of_keys(path: Path, tmp_path: Path) -> None:
    """A restored store lists what the lost one did: dates, marks and algorithms too."""
    store, copy = FileKeyStore.open(path, PASSPHRASE), tmp_path / "safe.backup"
    store.backup(copy, OTHER, CHEAP)
    before = store.list()
    path.unlink()

    FileKeyStore.restore(copy, path, OTHER)

    assert FileKeyStore.open(path, OTHER).list() == before
    with pytest.raises(KeyStoreLocked):
        FileKeyStore.open(path, PASSPHRASE)
    purposes = [line["purpose"] for line in store.audit.entries()]
    assert purposes[-2:] == ["backup", "restore"]


def test_a_backup_overwrites_nothing(path: Path, tmp_path: Path) -> None:
    """Neither a backup nor a restored store takes the place of a file that is there."""
    store = FileKeyStore.open(path, PASSPHRASE)
    copy = tmp_path / "safe.backup"
    copy.write_bytes(b"precious")
    with pytest.raises(KeyStoreExists):
        store.backup(copy, OTHER, CHEAP)
    copy.unlink()
    store.backup(copy, OTHER, CHEAP)
    with pytest.raises(KeyStoreExists):
        FileKeyStore.restore(copy, path, OTHER)

    assert FileKeyStore.open(path, PASSPHRASE).list() == store.list()


def test_a_damaged_backup_is_not_restored(path: Path, tmp_path: Path) -> None:
    """A backup that is not what was written ends in KeyStoreDamaged, and makes no store."""
    store, copy = FileKeyStore.open(path, PASSPHRASE), tmp_path / "safe.backup"
    store.backup(copy, OTHER, CHEAP)
    copy.write_bytes(copy.read_bytes()[:-1])

    with pytest.raises(KeyStoreDamaged):
        FileKeyStore.restore(copy, tmp_path / "new.keys", OTHER)

    assert not (tmp_path / "new.keys").exists()


def test_guessing_is_made_slow(path: Path) -> None:
    """After five wrong passphrases even the right one waits a minute; then all is forgiven."""
    watch = Watch()
    around = Surroundings("tester", now=watch)
    for _ in range(TRIES_FREE):
        with pytest.raises(KeyStoreLocked):
            FileKeyStore.open(path, "wrong", around)
    watch.time += timedelta(seconds=20)
    with pytest.raises(KeyStoreThrottled, match="try again in 40 s"):
        FileKeyStore.open(path, PASSPHRASE, around)
    watch.time += timedelta(seconds=WAIT_S - 20)
    with pytest.raises(KeyStoreLocked):
        FileKeyStore.open(path, "wrong", around)
    with pytest.raises(KeyStoreThrottled):
        FileKeyStore.open(path, PASSPHRASE, around)
    watch.time -= timedelta(days=1)  # setting the clock back wins nothing
    with pytest.raises(KeyStoreThrottled, match="60 s"):
        FileKeyStore.open(path, PASSPHRASE, around)
    watch.time += timedelta(seconds=WAIT_S)

    FileKeyStore.open(path, PASSPHRASE, around)

    assert not path.with_name("issuer.keys.tries").exists()


def test_a_damaged_file_counts_as_no_guess(path: Path) -> None:
    """Opening a damaged store many times leaves the number of tries as it was."""
    blob = path.read_bytes()
    path.write_bytes(blob[:-1])
    for _ in range(2 * TRIES_FREE):
        with pytest.raises(KeyStoreDamaged):
            FileKeyStore.open(path, PASSPHRASE)
    path.write_bytes(blob)

    assert len(FileKeyStore.open(path, PASSPHRASE).list()) == 2


class FullDisk(Disk):
    """A disk without room."""

    def write(self, handle: int, data: bytes) -> None:
        """Write nothing."""
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_store_as_it_was(path: Path) -> None:
    """A write that fails changes neither the file nor what the open store says."""
    store = FileKeyStore.open(path, PASSPHRASE)
    before = store.list()
    blob = path.read_bytes()

    full = FileKeyStore.open(path, PASSPHRASE, Surroundings("tester", disk=FullDisk()))
    with pytest.raises(OSError, match="No space"):
        full.generate(KeyUsage.CONTROL)

    assert path.read_bytes() == blob
    assert full.list() == before


def test_programs_that_write_at_once_lose_no_key(path: Path) -> None:
    """Four processes that add keys to one store at the same time leave all of them, and a log."""
    script = (
        "import sys\n"
        "from keys.store import FileKeyStore\n"
        "from keys.usage import KeyUsage\n"
        "store, first = FileKeyStore.open(sys.argv[1], sys.argv[2]), int(sys.argv[3])\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read(1)\n"
        "for version in range(first, first + 8):\n"
        "    store.generate(KeyUsage.LOAD, version)\n"
    )
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path), PASSPHRASE, str(1 + 8 * number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for number in range(4)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
    for writer in writers:
        writer.communicate(b"x", timeout=60)

    assert [writer.returncode for writer in writers] == [0] * 4
    store = FileKeyStore.open(path, PASSPHRASE)
    versions = [info.version for info in store.list() if info.usage is KeyUsage.LOAD]
    assert versions == list(range(1, 33))
    assert store.audit.verify().lines >= 32
