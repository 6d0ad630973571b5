# SPDX-License-Identifier: Apache-2.0
"""The file key store keeps its contract, and its file stands up to accidents and strangers."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keys.envelope import FILE_SIZE_MAX, FORMAT, Envelope, KdfCost
from keys.errors import KeysError, KeyStoreDamaged, KeyStoreExists, KeyStoreLocked
from keys.store import STORE_MAGIC, FileKeyStore
from keys.surroundings import Surroundings
from keys.usage import KeyUsage
from tests.contracts import keystore as contract
from tests.factories import CHEAP, PASSPHRASE, make_store


class Maker:
    """Make and reopen file key stores in one folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calendar = contract.Calendar()
        self._around = Surroundings("tester", now=self.calendar.now)

    def __call__(self, *, again: bool = False) -> FileKeyStore:
        if again:
            return FileKeyStore.open(self.path, PASSPHRASE, self._around)
        return FileKeyStore.create(self.path, PASSPHRASE, CHEAP, self._around)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of a store not made yet."""
    return tmp_path / "issuer.keys"


@pytest.fixture
def umask() -> Iterator[None]:
    """Let new files be open to all unless the program says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
def test_file_key_store_keeps_the_contract(
    check: Callable[[contract.StoreMaker], None], path: Path
) -> None:
    """Each check of the key store contract holds for the file store."""
    check(Maker(path))

    assert path.exists()


def test_wrong_passphrase_is_told_from_damage(path: Path) -> None:
    """A wrong passphrase raises KeyStoreLocked, not a story about the file."""
    make_store(path)

    with pytest.raises(KeyStoreLocked, match="wrong passphrase"):
        FileKeyStore.open(path, "wrong")


def test_every_flipped_byte_is_damage(path: Path) -> None:
    """One flipped bit in any byte of the file is found before the passphrase is tried."""
    FileKeyStore.create(path, PASSPHRASE, CHEAP)
    blob = path.read_bytes()

    for i in range(len(blob)):
        path.write_bytes(blob[:i] + bytes([blob[i] ^ 0x10]) + blob[i + 1 :])
        with pytest.raises(KeyStoreDamaged):
            FileKeyStore.open(path, PASSPHRASE)


def test_every_cut_is_damage(path: Path) -> None:
    """A file cut at any byte is damage, the empty file included."""
    FileKeyStore.create(path, PASSPHRASE, CHEAP)
    blob = path.read_bytes()

    for end in range(len(blob)):
        path.write_bytes(blob[:end])
        with pytest.raises(KeyStoreDamaged):
            FileKeyStore.open(path, PASSPHRASE)


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        (8, bytes([FORMAT + 1]), "format 2"),
        (9, (65).to_bytes(4), "cost out of range"),
        (13, (1 << 21).to_bytes(4), "cost out of range"),
        (17, b"\xff", "cost out of range"),
    ],
)
def test_costly_or_foreign_headers_are_refused(
    path: Path, offset: int, value: bytes, reason: str
) -> None:
    """A header that asks for endless memory or time is refused, checksum right or not."""
    FileKeyStore.create(path, PASSPHRASE, CHEAP)
    blob = path.read_bytes()
    body = (blob[:offset] + value + blob[offset + len(value) :])[:-8]
    path.write_bytes(body + hashlib.sha256(body).digest()[:8])

    with pytest.raises(KeyStoreDamaged, match=reason):
        FileKeyStore.open(path, PASSPHRASE)


def test_a_file_of_another_kind_is_no_store(path: Path) -> None:
    """A software PSAM, rubbish and a huge file are each told from a key store."""
    store = make_store(path.with_name("other.keys"))
    store.export_software_psam(path, bytes(6), PASSPHRASE, CHEAP)
    huge = path.with_name("huge")
    huge.write_bytes(STORE_MAGIC + bytes(FILE_SIZE_MAX))

    with pytest.raises(KeyStoreDamaged, match="not a file of this kind"):
        FileKeyStore.open(path, PASSPHRASE)
    with pytest.raises(KeyStoreDamaged, match="larger than"):
        FileKeyStore.open(huge, PASSPHRASE)


@pytest.mark.parametrize("content", [b"", b"[1]", b"{}x", b'[{"usage": "none"}]', b"\xff"])
def test_content_of_another_program_is_damage(path: Path, content: bytes) -> None:
    """A file that opens but holds something else is not half understood."""
    path.write_bytes(Envelope.create(STORE_MAGIC, PASSPHRASE, CHEAP).seal(content))

    with pytest.raises(KeyStoreDamaged, match="not understood"):
        FileKeyStore.open(path, PASSPHRASE)


def test_a_store_changed_behind_our_back_is_told(path: Path) -> None:
    """Generating into a store that was damaged or made anew meanwhile fails and says why."""
    store = FileKeyStore.create(path, PASSPHRASE, CHEAP)
    blob = path.read_bytes()
    path.write_bytes(blob[:-1])
    with pytest.raises(KeyStoreDamaged, match="checksum"):
        store.generate(KeyUsage.TAC)
    path.unlink()
    FileKeyStore.create(path, PASSPHRASE, CHEAP)

    with pytest.raises(KeyStoreDamaged, match="another passphrase or salt"):
        store.generate(KeyUsage.TAC)


def test_an_existing_file_is_never_overwritten(path: Path) -> None:
    """Creating a store where a file is fails and leaves that file."""
    path.write_bytes(b"precious")

    with pytest.raises(KeyStoreExists):
        FileKeyStore.create(path, PASSPHRASE, CHEAP)

    assert path.read_bytes() == b"precious"


@pytest.mark.usefixtures("umask")
def test_files_are_private(path: Path) -> None:
    """Store, lock and log belong to their owner alone, whatever the umask."""
    make_store(path)

    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}

    assert modes == {
        "issuer.keys": 0o600,
        "issuer.keys.audit": 0o600,
        "issuer.keys.lock": 0o600,
    }


def test_a_store_is_replaced_as_a_whole(path: Path) -> None:
    """A reader who opened the old file keeps the old bytes; the name has the new ones."""
    store = FileKeyStore.create(path, PASSPHRASE, CHEAP)
    with path.open("rb") as old:
        before = old.read()
        store.generate(KeyUsage.TAC)
        old.seek(0)

        assert old.read() == before

    assert path.read_bytes() != before


def test_two_programs_lose_no_key(path: Path) -> None:
    """A key made through one handle survives a key made through an older handle."""
    first = FileKeyStore.create(path, PASSPHRASE, CHEAP)
    second = FileKeyStore.open(path, PASSPHRASE)

    first.generate(KeyUsage.TAC)
    second.generate(KeyUsage.PRESENCE)

    names = [info.usage for info in FileKeyStore.open(path, PASSPHRASE).list()]
    assert names == [KeyUsage.PRESENCE, KeyUsage.TAC]


def test_a_killed_writer_leaves_the_old_store(path: Path) -> None:
    """Killing a program between draft and rename leaves the old store whole."""
    before = FileKeyStore.create(path, PASSPHRASE, CHEAP).generate(KeyUsage.TAC)
    script = (
        "import os, pathlib, sys\n"
        "from keys.store import FileKeyStore\n"
        "from keys.usage import KeyUsage\n"
        "pathlib.Path.replace = lambda *_: os._exit(9)\n"
        "FileKeyStore.open(sys.argv[1], sys.argv[2]).generate(KeyUsage.PRESENCE)\n"
    )

    done = subprocess.run([sys.executable, "-c", script, str(path), PASSPHRASE], check=False)

    assert done.returncode == 9
    assert FileKeyStore.open(path, PASSPHRASE).list() == [before]


@pytest.mark.parametrize("version", [0, 256])
def test_versions_fit_a_byte(path: Path, version: int) -> None:
    """A version the card cannot name is refused."""
    with pytest.raises(KeysError, match="1 to 255"):
        FileKeyStore.create(path, PASSPHRASE, CHEAP).generate(KeyUsage.TAC, version)


def test_no_key_in_repr_log_or_traceback(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing that a store prints, logs or raises holds a byte of a key or the passphrase."""
    caplog.set_level(logging.DEBUG)
    store = make_store(path)
    secrets = [entry.material.reveal() for entry in store._content.entries.values()] + [
        PASSPHRASE.encode()
    ]
    card_key = store.card_key(KeyUsage.TAC, 1, bytes(8))
    with pytest.raises(KeysError) as caught:
        store.card_key(KeyUsage.TAC, 9, bytes(8))

    shown = " ".join(
        [
            repr(store),
            repr(store.list()),
            repr(store._content.entries),
            repr(card_key),
            repr(store.bulk(KeyUsage.TAC, 1)),
            repr(store._envelope),
            "".join(traceback.format_exception(caught.value)),
            caplog.text,
        ]
    )

    for secret in secrets:
        assert secret.hex() not in shown.lower()
        assert repr(secret)[2:-1] not in shown


def test_default_cost_is_the_recommended_one() -> None:
    """Real stores stretch the passphrase as RFC 9106 recommends for small machines."""
    assert KdfCost() == KdfCost(passes=3, memory_kib=65536, lanes=4)


def test_an_unknown_version_costs_a_look_and_no_reading(path: Path) -> None:
    """While the file is the one read last it is not read again; another one is, or is an error."""
    store = make_store(path)
    facts, content = path.stat(), path.read_bytes()
    path.write_bytes(bytes(len(content)))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    unknown = [version for version in range(2, 256) if not store.has(KeyUsage.TAC, version)]
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))

    assert len(unknown) == 254
    with pytest.raises(KeyStoreDamaged):
        store.has(KeyUsage.TAC, 2)
    assert store.has(KeyUsage.TAC, 1)


def test_a_file_taken_away_teaches_nothing(path: Path) -> None:
    """A running program keeps its keys while the file is moved, and learns when it is back."""
    store = make_store(path)
    aside = path.rename(path.with_name("aside"))
    assert not store.has(KeyUsage.TAC, 2)

    aside.rename(path)
    FileKeyStore.open(path, PASSPHRASE).rotate(KeyUsage.TAC)
    assert store.has(KeyUsage.TAC, 2)
