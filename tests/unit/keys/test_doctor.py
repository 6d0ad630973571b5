# SPDX-License-Identifier: Apache-2.0
"""The doctor of key stores names every illness, and nothing when there is none."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from keys.algorithm import Algorithm
from keys.cli import PASSPHRASE_ENV, main
from keys.doctor import Complaint, before, inside, refused
from keys.errors import (
    HsmAbsent,
    HsmPinLocked,
    HsmPinWrong,
    HsmSessionLost,
    KeysError,
    KeyStoreDamaged,
    KeyStoreLocked,
    KeyStoreThrottled,
)
from keys.host import HostUnknown, KeyStoreElsewhere
from keys.key_set import SET_USAGES, rotate_set
from keys.material import KeyMaterial
from keys.store import FileKeyStore
from keys.surroundings import Surroundings
from keys.usage import KeyUsage
from tests.factories import CHEAP, PASSPHRASE

MADE = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
TODAY = MADE.date()


@pytest.fixture
def store(tmp_path: Path) -> FileKeyStore:
    """Make a healthy store: one key, backed up."""
    around = Surroundings(now=lambda: MADE, host=lambda: "desk")
    store = FileKeyStore.create(tmp_path / "issuer.keys", PASSPHRASE, CHEAP, around)
    store.generate(KeyUsage.TAC)
    store.backup(tmp_path / "backup", PASSPHRASE, CHEAP)
    return store


def _names(complaints: list[Complaint]) -> list[str]:
    return [complaint.name for complaint in complaints]


def test_a_healthy_store_has_no_complaint(store: FileKeyStore) -> None:
    """A private, young, backed-up, bound store without test keys is healthy."""
    store.bind_host()
    assert before(store.path) == []
    assert inside(store, TODAY, production=True) == []


def test_an_unbound_store_is_told_in_production(store: FileKeyStore) -> None:
    """Production is warned of a store that opens anywhere; a rehearsal is not."""
    (complaint,) = inside(store, TODAY, production=True)

    assert (complaint.name, complaint.grave) == ("unbound", False)
    assert complaint.advice_zh == "yika-keys bind-host"
    assert inside(store, TODAY, production=False) == []


def test_an_absent_store_is_told(tmp_path: Path) -> None:
    """A path without a store is told as such, with where to look."""
    (complaint,) = before(tmp_path / "none")

    assert (complaint.name, complaint.grave) == ("absent", True)
    assert "backup" in complaint.advice_en


@pytest.mark.parametrize("name", ["issuer.keys", "issuer.keys.audit"])
def test_permissions_too_open_are_told(store: FileKeyStore, name: str) -> None:
    """A store or a log that others may read is told with its mode and the command to mend it."""
    file = store.path.with_name(name)
    file.chmod(0o640)

    (complaint,) = before(store.path)

    assert (complaint.name, complaint.grave) == ("permissions", True)
    assert "640" in complaint.en
    assert complaint.advice_zh == f"chmod 600 {file}"


def test_a_folder_others_may_write_is_told(store: FileKeyStore) -> None:
    """In a folder that others may write an old store can be put back; a sticky one is fine."""
    store.path.parent.chmod(0o777)
    assert _names(before(store.path)) == ["folder"]

    store.path.parent.chmod(0o1777)
    assert before(store.path) == []


def test_the_rest_of_a_ceremony_is_told(store: FileKeyStore) -> None:
    """A draft that a power cut left in the middle of a ceremony is told, and is not grave."""
    store.path.with_name(".issuer.keys.ceremony").touch()

    (complaint,) = before(store.path)

    assert (complaint.name, complaint.grave) == ("unfinished", False)


@pytest.mark.parametrize(("production", "grave"), [(True, True), (False, False)])
def test_test_keys_are_grave_in_production(
    store: FileKeyStore, production: bool, grave: bool
) -> None:
    """A key of a rehearsal is a remark in a rehearsal and a fault in production."""
    store.import_key(KeyUsage.CONTROL, 1, KeyMaterial.random(16), marked_test=True)

    found = {one.name: one for one in inside(store, TODAY, production=production)}

    assert found["test-key"].grave is grave


@pytest.mark.parametrize(
    ("today", "names"),
    [
        (date(2036, 8, 1), []),
        (date(2036, 9, 1), ["cryptoperiod-soon"]),
        (date(2036, 11, 22), ["cryptoperiod"]),
    ],
)
def test_keys_past_their_cryptoperiod_are_told(
    store: FileKeyStore, today: date, names: list[str]
) -> None:
    """A TAC master is told of a quarter before its ten years are over, and gravely after."""
    assert _names(inside(store, today, production=False)) == names


def test_a_usage_without_an_active_version_is_told(store: FileKeyStore) -> None:
    """When every version of a usage is being retired, no card can be issued: told."""
    store.retire(KeyUsage.TAC, 1, date(2999, 1, 1))

    assert "no-active" in _names(inside(store, TODAY, production=False))


def test_a_key_set_that_no_card_carries_is_told(store: FileKeyStore) -> None:
    """A version that is not whole, or of two ciphers, is told until the set is rotated."""
    for usage in set(SET_USAGES) - {KeyUsage.TAC}:
        store.generate(usage)

    def told() -> list[str]:
        complaints = inside(store, TODAY, production=False)
        return [one.en for one in complaints if one.name == "key-set"]

    assert told() == []
    store.rotate(KeyUsage.TAC)
    assert told() == ["version 2 has 1 of 9 keys of cards and PSAMs"]
    rotate_set(store)
    assert told() == []
    for usage in SET_USAGES:
        store.rotate(usage, Algorithm.SM4 if usage is KeyUsage.TAC else Algorithm.TDES)
    assert told() == ["version 3 of the keys of cards mixes ciphers"]
    rotate_set(store, Algorithm.SM4)
    assert told() == []


def test_a_missing_backup_is_told(store: FileKeyStore, tmp_path: Path) -> None:
    """A key made after the last backup is told; so is a store never backed up."""
    later = Surroundings(now=lambda: MADE.replace(hour=5))
    again = FileKeyStore.open(store.path, PASSPHRASE, later)
    again.rotate(KeyUsage.TAC)
    assert _names(inside(again, TODAY, production=False)) == ["backup"]

    again.backup(tmp_path / "second", PASSPHRASE, CHEAP)
    assert inside(again, TODAY, production=False) == []


def test_a_changed_audit_log_is_told(store: FileKeyStore) -> None:
    """A log with a line changed is grave, and nothing is said about backups by it."""
    log = store.path.with_name("issuer.keys.audit")
    log.write_bytes(log.read_bytes().replace(b'"count":1', b'"count":9', 1))

    complaints = inside(FileKeyStore.open(store.path, PASSPHRASE), TODAY, production=False)

    assert _names(complaints) == ["audit"]
    assert complaints[0].grave


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (KeyStoreLocked("p"), "wrong-passphrase"),
        (KeyStoreThrottled("p", 42), "throttled"),
        (KeyStoreDamaged("p", "checksum differs"), "damaged"),
        (KeyStoreElsewhere("p"), "elsewhere"),
        (HostUnknown("p"), "host-unknown"),
        (HsmAbsent("p", "no token"), "hsm-absent"),
        (HsmPinWrong("p"), "pin-wrong"),
        (HsmPinLocked("p"), "pin-locked"),
        (HsmSessionLost("p", "pulled"), "refused"),
    ],
)
def test_every_refusal_has_its_advice(error: KeysError, name: str) -> None:
    """Each way a store does not open has a name, the error's own words, and advice."""
    complaint = refused(error)

    assert (complaint.name, complaint.en) == (name, str(error))
    assert complaint.advice_zh
    assert complaint.advice_en


def test_the_command_fails_on_grave_things_only(
    store: FileKeyStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints complaints with advice and exits 1 exactly when one is grave."""
    monkeypatch.setenv(PASSPHRASE_ENV, PASSPHRASE)
    main(["doctor", "--store", str(store.path), "--json"])
    assert json.loads(capsys.readouterr().out)["healthy"]

    store.path.chmod(0o644)
    monkeypatch.setenv(PASSPHRASE_ENV, "a wrong passphrase")
    with pytest.raises(SystemExit) as caught:
        main(["doctor", "--store", str(store.path)])

    out = capsys.readouterr().out
    assert caught.value.code == 1
    assert "chmod 600" in out
    assert "wrong passphrase" in out
    assert "a wrong passphrase" not in out.replace("keys: wrong", "")
