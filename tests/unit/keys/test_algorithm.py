# SPDX-License-Identifier: Apache-2.0
"""Ciphers by name: their numbers on cards and in events, and keys nobody should load."""

from __future__ import annotations

import pytest

from keys.algorithm import Algorithm, check_key
from keys.errors import BadKeyLength, UnsupportedAlgorithm, WeakKey

GOOD = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")


@pytest.mark.parametrize(
    ("algorithm", "block", "key", "card_id", "cg_type"),
    [(Algorithm.TDES, 8, 16, 0x00, 1), (Algorithm.SM4, 16, 16, 0x04, 2)],
)
def test_numbers(algorithm: Algorithm, block: int, key: int, card_id: int, cg_type: int) -> None:
    """Block, key, the card's algorithm byte and the event's cg_type are the published ones."""
    assert (algorithm.block_bytes, algorithm.key_bytes) == (block, key)
    assert (algorithm.card_id, algorithm.cg_type) == (card_id, cg_type)
    assert Algorithm.from_card_id(card_id) is algorithm
    assert Algorithm.from_cg_type(cg_type) is algorithm


def test_cards_that_say_des_are_3des() -> None:
    """The byte 01 means 3DES with a key of 16 bytes, as cards that carry it compute."""
    assert Algorithm.from_card_id(0x01) is Algorithm.TDES


def test_aes_is_not_on_cards() -> None:
    """AES has blocks and keys, but no number of cards and events."""
    assert (Algorithm.AES.block_bytes, Algorithm.AES.key_bytes) == (16, 32)
    for ask in (lambda: Algorithm.AES.card_id, lambda: Algorithm.AES.cg_type):
        with pytest.raises(UnsupportedAlgorithm, match="aes"):
            ask()


@pytest.mark.parametrize("card_id", [0x03, 0x05, 0x80, 0xFF])
def test_unknown_numbers_are_refused(card_id: int) -> None:
    """A byte that names no cipher here raises, on cards and in events."""
    with pytest.raises(UnsupportedAlgorithm):
        Algorithm.from_card_id(card_id)
    with pytest.raises(UnsupportedAlgorithm):
        Algorithm.from_cg_type(card_id)


@pytest.mark.parametrize(
    ("algorithm", "key"), [(Algorithm.TDES, GOOD), (Algorithm.SM4, GOOD), (Algorithm.AES, GOOD * 2)]
)
def test_lengths(algorithm: Algorithm, key: bytes) -> None:
    """A key that is one byte short or long is refused with both lengths."""
    for wrong in (key[:-1], key + b"\0"):
        with pytest.raises(BadKeyLength, match=f"{len(wrong)} bytes, expected {len(key)}"):
            check_key(wrong, algorithm)


def test_a_good_key_passes() -> None:
    """Different halves that are no weak keys are accepted by both ciphers of cards."""
    check_key(GOOD, Algorithm.TDES)
    check_key(GOOD, Algorithm.SM4)
    check_key(GOOD + bytes(range(16)), Algorithm.AES)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("0123456789ABCDEF0123456789ABCDEF", "equal"),
        ("0123456789ABCDEF0022446688AACCEE", "equal"),  # parity bits do not count
        ("FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF", "weak DES"),
        ("00000000000000000123456789ABCDEF", "weak DES"),
        ("0123456789ABCDEFE0E0E0E0F1F1F1F1", "weak DES"),
        ("011F011F010E010E0123456789ABCDEF", "weak DES"),
        ("0123456789ABCDEFFEE0FEE0FEF1FEF1", "weak DES"),
    ],
)
def test_weak_3des_keys(key: str, reason: str) -> None:
    """Equal halves and the weak keys of DES are refused by name, without a byte of them."""
    with pytest.raises(WeakKey, match=reason) as caught:
        check_key(bytes.fromhex(key), Algorithm.TDES)

    assert key.lower() not in repr(caught.value).lower()


def test_repeated_bytes_are_weak_everywhere() -> None:
    """A key of one repeated byte or one repeated half is refused under every cipher."""
    for key, algorithm in (
        (b"\x36" * 16, Algorithm.SM4),
        (GOOD[:8] * 2, Algorithm.SM4),
        (bytes(32), Algorithm.AES),
        (GOOD * 2, Algorithm.AES),
    ):
        with pytest.raises(WeakKey, match="repeat"):
            check_key(key, algorithm)
