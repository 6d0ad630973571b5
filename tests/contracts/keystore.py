# SPDX-License-Identifier: Apache-2.0
"""What every key store must do; each implementation is run through these checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import pytest

from keys import purse
from keys.custody import KeyStore
from keys.errors import BadSeal, KeyStoreExists, UnknownKey, WrongPurpose
from keys.usage import UNDERIVED, KeyUsage

FACTOR = bytes.fromhex("1122334455667788")
CARD_USAGES = [usage for usage in KeyUsage if usage not in UNDERIVED]


class StoreMaker(Protocol):
    """Make a new, empty store, and open the same one again."""

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


CHECKS: list[Callable[[StoreMaker], None]] = [
    check_generated_keys_are_listed,
    check_a_version_is_never_replaced,
    check_card_keys_are_diversified,
    check_bulk_equals_single,
    check_unknown_keys_are_named,
    check_sealed_data_opens_in_its_place_only,
    check_purposes_are_kept_apart,
]
