# SPDX-License-Identifier: Apache-2.0
"""What every key store must do; each implementation is run through these checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Protocol

import numpy as np
import pytest

from keys import keyblock, purse
from keys.algorithm import Algorithm
from keys.custody import KeyState, KeyStore, findings, refuse_test_keys
from keys.errors import (
    AuditUnwritable,
    BadKeyLength,
    BadSeal,
    KcvDiffers,
    KeyBlockRejected,
    KeyExpired,
    KeyRetired,
    KeysError,
    KeyStoreExists,
    NotExportable,
    TestKeysRefused,
    UnknownKey,
    UnsupportedAlgorithm,
    WeakKey,
    WrongPurpose,
)
from keys.keyblock_header import OptionalBlock
from keys.material import KeyMaterial
from keys.usage import UNDERIVED, KeyUsage

FACTOR = bytes.fromhex("1122334455667788")
MASTER = KeyMaterial(bytes.fromhex("00112233445566778899AABBCCDDEEFF"))
CARD_USAGES = [usage for usage in KeyUsage if usage not in UNDERIVED]


class Calendar:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.day = date(2026, 11, 21)

    def now(self) -> datetime:
        """Give the noon of the day."""
        return datetime.combine(self.day, time(12), UTC)


class StoreMaker(Protocol):
    """Make a new, empty store, and open the same one again; both by ``calendar``."""

    calendar: Calendar

    def __call__(self, *, again: bool = False) -> KeyStore:
        """Give the store."""


def check_generated_keys_are_listed(make: StoreMaker) -> None:
    """A generated key is listed by usage, version and check value, also after reopening."""
    store = make()
    made = [store.generate(KeyUsage.TAC), store.generate(KeyUsage.TAC, 2)]

    assert store.list() == made
    assert make(again=True).list() == made
    assert made[0].kcv != made[1].kcv
    assert store.latest(KeyUsage.TAC) == 2


def check_a_version_is_never_replaced(make: StoreMaker) -> None:
    """Generating a version that exists fails and leaves the key."""
    store = make()
    before = store.generate(KeyUsage.TAC)

    with pytest.raises(KeyStoreExists, match="tac version 1"):
        store.generate(KeyUsage.TAC)

    assert make(again=True).list() == [before]


def check_card_keys_are_diversified(make: StoreMaker) -> None:
    """Each usage, version and card has a key of its own; the same question gets the same key."""
    store = make()
    for usage in CARD_USAGES:
        store.generate(usage)
        store.generate(usage, 2)

    names = [
        store.card_key(usage, version, factor).kcv
        for usage in CARD_USAGES
        for version in (1, 2)
        for factor in (FACTOR, bytes(8))
    ]

    assert len(set(names)) == len(names)
    again = make(again=True)
    assert again.card_key(KeyUsage.TAC, 1, FACTOR).kcv == (
        store.card_key(KeyUsage.TAC, 1, FACTOR).kcv
    )


def check_bulk_equals_single(make: StoreMaker) -> None:
    """Bulk derivation gives, row by row, the keys whose handles the store gives singly."""
    store = make()
    store.generate(KeyUsage.PRESENCE)
    factors = np.arange(80, dtype=np.uint8).reshape(10, 8)

    keys = store.bulk(KeyUsage.PRESENCE, 1).derive(factors)

    for key, factor in zip(keys, factors, strict=True):
        single = store.card_key(KeyUsage.PRESENCE, 1, factor.tobytes())
        assert single.cg2(bytes(8)) == purse.cg2(key.tobytes(), bytes(8))


def check_unknown_keys_are_named(make: StoreMaker) -> None:
    """A missing key is refused by usage and version."""
    store = make()
    store.generate(KeyUsage.TAC)

    for call in (
        lambda: store.card_key(KeyUsage.TAC, 9, FACTOR),
        lambda: store.bulk(KeyUsage.TAC, 9),
        lambda: store.psam_purchase_key(9),
    ):
        with pytest.raises(UnknownKey, match="version 9"):
            call()
    assert store.has(KeyUsage.TAC, 1)
    assert not store.has(KeyUsage.TAC, 9)


def check_keys_of_another_program_are_seen(make: StoreMaker) -> None:
    """A store that is open finds a version that was added behind its back, and rotates after it."""
    store = make()
    store.generate(KeyUsage.TAC)
    store.generate(KeyUsage.PERSONAL_DATA)
    other = make(again=True)
    made, _ = other.rotate(KeyUsage.TAC), other.rotate(KeyUsage.PERSONAL_DATA)
    sealed = other.seal(KeyUsage.PERSONAL_DATA, b"name", b"")

    assert store.has(KeyUsage.TAC, 2)
    assert store.info(KeyUsage.TAC, 2) == made
    assert (
        store.card_key(KeyUsage.TAC, 2, FACTOR).kcv == other.card_key(KeyUsage.TAC, 2, FACTOR).kcv
    )
    assert store.open_sealed(KeyUsage.PERSONAL_DATA, sealed, b"") == b"name"
    assert not store.has(KeyUsage.TAC, 3)
    assert other.rotate(KeyUsage.TAC).version == 3
    assert store.rotate(KeyUsage.TAC).version == 4


def check_sealed_data_opens_in_its_place_only(make: StoreMaker) -> None:
    """Sealed personal data opens with the record's name, and not when anything differs."""
    store, usage = make(), KeyUsage.PERSONAL_DATA
    store.generate(usage)
    sealed = store.seal(usage, "王小明".encode(), b"volunteer/7")
    store.generate(usage, 2)

    again = make(again=True)
    assert again.open_sealed(usage, sealed, b"volunteer/7").decode() == "王小明"
    assert store.seal(usage, b"x", b"")[0] == 2
    with pytest.raises(BadSeal):
        store.open_sealed(usage, sealed, b"volunteer/8")
    for i in range(1, len(sealed)):
        changed = bytearray(sealed)
        changed[i] ^= 1
        with pytest.raises(BadSeal):
            store.open_sealed(usage, bytes(changed), b"volunteer/7")


def check_purposes_are_kept_apart(make: StoreMaker) -> None:
    """Personal data has no card keys, and card masters seal nothing."""
    store = make()
    store.generate(KeyUsage.PERSONAL_DATA)
    store.generate(KeyUsage.TAC)

    with pytest.raises(WrongPurpose):
        store.card_key(KeyUsage.PERSONAL_DATA, 1, FACTOR)
    with pytest.raises(WrongPurpose):
        store.seal(KeyUsage.TAC, b"", b"")


def check_rotation_stands_beside_the_old(make: StoreMaker) -> None:
    """A rotated key is the next version of the same algorithm; the old one serves on."""
    store = make()
    old = store.generate(KeyUsage.TAC)
    new = store.rotate(KeyUsage.TAC)

    assert (new.version, new.algorithm) == (2, old.algorithm)
    assert store.list() == [old, new]
    assert store.latest(KeyUsage.TAC) == 2
    assert store.card_key(KeyUsage.TAC, 1, FACTOR).version == 1
    with pytest.raises(UnknownKey):
        store.rotate(KeyUsage.PRESENCE)


def check_retired_versions_serve_until_their_date(make: StoreMaker) -> None:
    """A version with a date issues no new cards, verifies until that date, and then ends."""
    store, usage = make(), KeyUsage.PRESENCE
    store.generate(usage)
    with pytest.raises(KeyRetired):
        store.retire(usage, 1, date(2027, 1, 1))
        store.latest(usage)
    store.rotate(usage)
    before = store.card_key(usage, 1, FACTOR).cg2(bytes(8))

    again = make(again=True)
    assert again.info(usage, 1).state is KeyState.RETIRING
    assert again.card_key(usage, 1, FACTOR).cg2(bytes(8)) == before
    with pytest.raises(KeyRetired, match="presence version 1 retires on 2027-01-01"):
        again.for_new_cards().card_key(usage, 1, FACTOR)
    assert again.for_new_cards().card_key(usage, 2, FACTOR).version == 2

    make.calendar.day = date(2027, 1, 1)
    assert again.info(usage, 1).state is KeyState.RETIRED
    assert not again.has(usage, 1)
    for call in (again.card_key, again.for_new_cards().card_key):
        with pytest.raises(KeyExpired, match="retired on 2027-01-01"):
            call(usage, 1, FACTOR)
    with pytest.raises(KeyExpired):
        again.bulk(usage, 1)


def check_imported_keys_derive_the_known_values(make: StoreMaker) -> None:
    """A key that is brought in derives the published card key, and is marked when it is a test."""
    store = make()
    info = store.import_key(KeyUsage.TAC, 3, MASTER, Algorithm.TDES, marked_test=True)

    assert make(again=True).list() == [info]
    assert info.kcv == MASTER.kcv(Algorithm.TDES)
    assert (info.version, info.marked_test, store.test_keys) == (3, True, True)
    derived = store.bulk(KeyUsage.TAC, 3).derive(np.frombuffer(FACTOR, np.uint8).reshape(1, 8))
    assert derived.tobytes().hex().upper() == "496BD7A3513644533100B54E71196528"
    with pytest.raises(TestKeysRefused, match="tac/3"):
        refuse_test_keys(store)


def check_bad_keys_are_refused(make: StoreMaker) -> None:
    """Wrong lengths, weak and repeated halves, foreign algorithms and versions leave no trace."""
    store = make()
    half = bytes(range(8))
    for key, algorithm, error in (
        (KeyMaterial(bytes(15)), Algorithm.TDES, BadKeyLength),
        (KeyMaterial(half + half), Algorithm.TDES, WeakKey),
        (KeyMaterial(half + bytes.fromhex("01FE01FE01FE01FE")), Algorithm.TDES, WeakKey),
        (KeyMaterial(bytes(16)), Algorithm.TDES, WeakKey),
        (KeyMaterial(bytes(range(32))), Algorithm.AES, UnsupportedAlgorithm),
    ):
        with pytest.raises(error):
            store.import_key(KeyUsage.TAC, 1, key, algorithm)
    for version in (0, 256):
        with pytest.raises(KeysError, match="1 to 255"):
            store.import_key(KeyUsage.TAC, version, MASTER, Algorithm.TDES)

    assert make(again=True).list() == []


def check_sm4_keys_work_or_are_refused_with_the_reason(make: StoreMaker) -> None:
    """SM4 derives as published where the store has it, and is refused where it has not."""
    store = make()
    if store.backend == "pkcs11":
        with pytest.raises(UnsupportedAlgorithm, match="file store"):
            store.generate(KeyUsage.TAC, algorithm=Algorithm.SM4)
        assert [finding.name for finding in findings(store)] == ["sm-keys"]
        return
    store.import_key(KeyUsage.TAC, 1, MASTER, Algorithm.SM4)
    key = store.card_key(KeyUsage.TAC, 1, FACTOR)
    bulk = store.bulk(KeyUsage.TAC, 1).derive(np.frombuffer(FACTOR, np.uint8).reshape(1, 8))

    assert key.algorithm is Algorithm.SM4
    assert bulk.tobytes().hex().upper() == "5A9F65876227746D95606233700543A9"
    assert store.rotate(KeyUsage.TAC).algorithm is Algorithm.SM4
    assert store.rotate(KeyUsage.TAC, Algorithm.TDES).algorithm is Algorithm.TDES


def check_key_blocks_carry_exportable_keys(make: StoreMaker) -> None:
    """A purchase key goes out in a block and comes in elsewhere; a TAC key never leaves."""
    store = make()
    for usage, version in ((KeyUsage.PURCHASE_PSAM, 2), (KeyUsage.TAC, 1), (KeyUsage.KEY_BLOCK, 1)):
        store.generate(usage, version)
    block = store.export_block(KeyUsage.PURCHASE_PSAM, 2, 1)
    header, key = keyblock.BlockHeader.parse(block)[0], store.psam_purchase_key(2)

    assert (header.version, header.usage, header.key_version) == ("D", "14", "02")
    assert key.kcv == store.info(KeyUsage.PURCHASE_PSAM, 2).kcv
    with pytest.raises(NotExportable, match="tac"):
        store.export_block(KeyUsage.TAC, 1, 1)
    with pytest.raises(KeyStoreExists):
        store.import_block(block, 1)


def check_blocks_are_what_their_header_says(make: StoreMaker) -> None:
    """An imported block becomes the key of its usage, version and rights, or is refused."""
    store, kbpk = make(), bytes(range(32))
    store.import_key(KeyUsage.KEY_BLOCK, 1, KeyMaterial(kbpk), Algorithm.AES)
    header = keyblock.BlockHeader("D", "14", "T", "X", "0A", "N")
    info = store.import_block(keyblock.wrap(kbpk, header, MASTER.reveal()), 1)

    assert (info.usage, info.version, info.exportable) == (KeyUsage.PURCHASE_PSAM, 10, False)
    assert info.kcv == MASTER.kcv(Algorithm.TDES)
    with pytest.raises(NotExportable):
        store.psam_purchase_key(10)
    for change in ({"usage": "P0"}, {"mode": "E"}, {"usage": "K1"}):
        other = keyblock.wrap(kbpk, replace(header, **change), MASTER.reveal())
        with pytest.raises(WrongPurpose):
            store.import_block(other, 1)
    foreign = keyblock.wrap(kbpk, replace(header, usage="D0", mode="B"), MASTER.reveal())
    with pytest.raises(UnsupportedAlgorithm):
        store.import_block(foreign, 1)
    wrong = replace(header, optional=(OptionalBlock("KC", "00000000"),))
    with pytest.raises(KcvDiffers):
        store.import_block(keyblock.wrap(kbpk, wrong, MASTER.reveal()), 1)
    with pytest.raises(KeyBlockRejected):
        store.import_block(keyblock.wrap(bytes(32), header, MASTER.reveal()), 1)


def check_a_storey_down_leaves_in_a_block(make: StoreMaker) -> None:
    """The TAC key of a region leaves as the root's, diversified by the region's code."""
    store, kbpk = make(), bytes(range(32))
    store.import_key(KeyUsage.KEY_BLOCK, 1, KeyMaterial(kbpk), Algorithm.AES)
    store.import_key(KeyUsage.TAC, 1, MASTER, Algorithm.TDES)

    block = store.export_block(KeyUsage.TAC, 1, 1, FACTOR)

    header, key = keyblock.unwrap(kbpk, block)
    assert key == purse.diversify(MASTER.reveal(), FACTOR)
    assert (header.usage, header.mode) == ("16", "X")
    with pytest.raises(BadKeyLength):
        store.export_block(KeyUsage.TAC, 1, 1, FACTOR[1:])
    with pytest.raises(WrongPurpose):
        store.export_block(KeyUsage.KEY_BLOCK, 1, 1, FACTOR)


def check_every_use_is_logged(make: StoreMaker) -> None:
    """Each use of a master is one line with who, key, purpose and count, a bulk call too."""
    store = make()
    for usage in (KeyUsage.TAC, KeyUsage.PERSONAL_DATA):
        store.generate(usage)
    store.card_key(KeyUsage.TAC, 1, FACTOR)
    store.bulk(KeyUsage.TAC, 1).derive(np.zeros((500, 8), np.uint8))
    sealed = store.seal(KeyUsage.PERSONAL_DATA, b"x", b"")
    for _ in range(3):
        store.open_sealed(KeyUsage.PERSONAL_DATA, sealed, b"")
    store.close()

    told = [
        (line["who"], line["key"], line["purpose"], line["count"]) for line in store.audit.entries()
    ]
    assert told == [
        ("tester", "tac/1", "generate", 1),
        ("tester", "personal-data/1", "generate", 1),
        ("tester", "tac/1", "derive", 1),
        ("tester", "tac/1", "derive", 500),
        ("tester", "personal-data/1", "seal", 1),
        ("tester", "personal-data/1", "open", 3),
    ]
    assert store.audit.verify().lines == len(told)


def check_a_use_that_cannot_be_logged_is_refused(make: StoreMaker) -> None:
    """Where the log takes no line no key is used."""
    store = make()
    store.generate(KeyUsage.TAC)
    store.audit.path.unlink()
    store.audit.path.mkdir()

    with pytest.raises(AuditUnwritable):
        store.card_key(KeyUsage.TAC, 1, FACTOR)
    with pytest.raises(AuditUnwritable):
        store.generate(KeyUsage.PRESENCE)


CHECKS: list[Callable[[StoreMaker], None]] = [
    check_generated_keys_are_listed,
    check_a_version_is_never_replaced,
    check_card_keys_are_diversified,
    check_bulk_equals_single,
    check_unknown_keys_are_named,
    check_keys_of_another_program_are_seen,
    check_sealed_data_opens_in_its_place_only,
    check_purposes_are_kept_apart,
    check_rotation_stands_beside_the_old,
    check_retired_versions_serve_until_their_date,
    check_imported_keys_derive_the_known_values,
    check_bad_keys_are_refused,
    check_sm4_keys_work_or_are_refused_with_the_reason,
    check_key_blocks_carry_exportable_keys,
    check_blocks_are_what_their_header_says,
    check_a_storey_down_leaves_in_a_block,
    check_every_use_is_logged,
    check_a_use_that_cannot_be_logged_is_refused,
]
