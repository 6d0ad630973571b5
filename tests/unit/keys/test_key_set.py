# SPDX-License-Identifier: Apache-2.0
"""Rotation of all keys of a card at once: one version, one cipher, or nothing."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from card.card_keys import CARD_USAGES
from keys.algorithm import Algorithm
from keys.cli import PASSPHRASE_ENV, main
from keys.custody import KeyState
from keys.errors import UnknownKey, UnsupportedAlgorithm
from keys.key_set import SET_USAGES, retire_set, rotate_set
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.factories import CHEAP, PASSPHRASE


@pytest.fixture
def store(tmp_path: Path) -> FileKeyStore:
    """Give a store with version 1 of the set."""
    made = FileKeyStore.create(tmp_path / "issuer.keys", PASSPHRASE, CHEAP)
    for usage in SET_USAGES:
        made.generate(usage)
    return made


def test_the_set_has_what_cards_and_psams_carry() -> None:
    """The set is the card's keys and the control key of PSAMs, and no key that derives nothing."""
    assert set(SET_USAGES) == {*CARD_USAGES, KeyUsage.PSAM_CONTROL}


def test_all_keys_get_the_same_next_version(store: FileKeyStore) -> None:
    """Every rotation gives each usage one version more, of the old cipher or the one told."""
    second, third = rotate_set(store), rotate_set(store, Algorithm.SM4)
    fourth = rotate_set(store)

    for version, algorithm, made in (
        (2, Algorithm.TDES, second), (3, Algorithm.SM4, third), (4, Algorithm.SM4, fourth),
    ):  # fmt: skip
        assert [info.usage for info in made] == list(SET_USAGES)
        assert {(info.version, info.algorithm) for info in made} == {(version, algorithm)}


def test_a_version_begun_is_completed(store: FileKeyStore) -> None:
    """Keys rotated by themselves are left as they are and the others follow to their version."""
    alone = [store.rotate(usage) for usage in SET_USAGES[2:5]]

    made = rotate_set(store)

    assert {info.usage for info in made} == set(SET_USAGES) - {info.usage for info in alone}
    assert {info.version for info in made} == {2}
    assert [store.info(info.usage, 2) for info in alone] == alone


def test_ciphers_are_not_mixed(store: FileKeyStore) -> None:
    """A version begun in one cipher is not completed in another, and nothing is made."""
    store.rotate(KeyUsage.TAC, Algorithm.SM4)
    before = store.list()

    with pytest.raises(UnsupportedAlgorithm, match="mixed in version 2"):
        rotate_set(store, Algorithm.TDES)
    assert store.list() == before
    assert {info.algorithm for info in rotate_set(store)} == {Algorithm.SM4}

    store.rotate(KeyUsage.TAC, Algorithm.TDES)
    store.rotate(KeyUsage.PRESENCE, Algorithm.SM4)
    with pytest.raises(UnsupportedAlgorithm, match="mixed in version 3"):
        rotate_set(store)


def test_a_set_with_a_usage_missing_is_not_rotated(tmp_path: Path) -> None:
    """Where the first version is not whole the missing usage is named."""
    store = FileKeyStore.create(tmp_path / "half.keys", PASSPHRASE, CHEAP)
    store.generate(KeyUsage.CONTROL)

    with pytest.raises(UnknownKey, match="desk-read version 1"):
        rotate_set(store)


def test_a_set_is_retired_as_a_whole_or_not(store: FileKeyStore) -> None:
    """All keys of the version get the date; a version that is not whole gets none."""
    rotate_set(store)
    store.rotate(KeyUsage.TAC)

    retired = retire_set(store, 1, date(2999, 12, 31))

    assert {info.state for info in retired} == {KeyState.RETIRING}
    with pytest.raises(UnknownKey):
        retire_set(store, 3, date(2999, 12, 31))
    assert store.info(KeyUsage.TAC, 3).state is KeyState.ACTIVE


def test_commands_answer_in_json(
    store: FileKeyStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rotation and retirement print all keys; what cannot be is one line and status 1."""
    monkeypatch.setenv(PASSPHRASE_ENV, PASSPHRASE)
    place = ("--store", str(store.path), "--json")

    main(["key-set", "rotate", *place])
    assert len(json.loads(capsys.readouterr().out)["keys"]) == len(SET_USAGES)
    main(["key-set", "retire", "--version", "1", "--on", "2999-12-31", *place])
    rows = json.loads(capsys.readouterr().out)["keys"]
    assert {row["retires"] for row in rows} == {"2999-12-31"}
    with pytest.raises(SystemExit, match="1"):
        main(["key-set", "retire", "--version", "9", "--on", "2999-12-31", *place])
    assert capsys.readouterr().err == "yika-keys: no key control version 9\n"
