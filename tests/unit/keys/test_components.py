# SPDX-License-Identifier: Apache-2.0
"""Components of keys and shares of passphrases: whole again only together."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keys.algorithm import Algorithm
from keys.ceremony_shares import (
    Share,
    looks_like_share,
    new_passphrase,
    put_together,
    read_share,
    share_out,
)
from keys.components import combine, read, split, written
from keys.errors import (
    BadKeyLength,
    ComponentRepeated,
    ComponentUnreadable,
    KeysError,
    ShareRepeated,
    ShareUnreadable,
    WeakKey,
)
from keys.material import KeyMaterial

KEY = KeyMaterial(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))


@given(st.binary(min_size=8, max_size=32), st.integers(2, 9))
def test_split_and_combine_are_inverse(key: bytes, count: int) -> None:
    """Any number of components from two to nine gives the key back, in any order."""
    assume(any(key))  # two components of a key of zeros are equal
    parts = split(KeyMaterial(key), count)

    assert len(parts) == count
    assert combine(parts[::-1]) == KeyMaterial(key)


def test_components_differ_each_time() -> None:
    """Two splits of one key have no component in common, and none is the key."""
    first, second = split(KEY), split(KEY)

    assert all(a != b for a, b in itertools.product((*first, KEY), second))


def test_written_components_are_read_again() -> None:
    """What stands on the envelope is read again, with the same check value."""
    assert written(KEY) == "0123 4567 89AB CDEF FEDC BA98 7654 3210"
    assert read(written(KEY), Algorithm.TDES) == KEY
    assert read(written(KEY).lower().replace(" ", "-"), Algorithm.TDES).kcv(Algorithm.TDES) == (
        "08D7B4"
    )


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("0123456789ABCDEFFEDCBA987654321G", ComponentUnreadable, "digit 32"),
        ("０1234567", ComponentUnreadable, "digit 1 "),
        ("01" * 65, ComponentUnreadable, "128"),
        ("0123456789ABCDEFFEDCBA98765432", BadKeyLength, "30"),
        ("", BadKeyLength, "0"),
        ("0123456789ABCDEF" * 2, WeakKey, "halves"),
        ("00" * 16, WeakKey, "weak"),
        ("0101010101010101" + "0123456789ABCDEF", WeakKey, "weak"),
    ],
)
def test_unusable_components_are_named(text: str, error: type[KeysError], says: str) -> None:
    """Bad hex, a wrong length and a weak component have their own error, without the digits."""
    with pytest.raises(error, match=says) as caught:
        read(text, Algorithm.TDES)

    assert "0123" not in f"{caught.value}{caught.value!r}"


def test_equal_components_are_refused() -> None:
    """Two equal components cancel each other: refused with their places."""
    other = KeyMaterial.random(16)

    with pytest.raises(ComponentRepeated, match="1 and 3") as caught:
        combine([KEY, other, KEY])

    assert caught.value.places == (1, 3)


def test_components_of_unequal_length_or_number_are_refused() -> None:
    """Components of two lengths, or only one of them, make no key."""
    for parts in (
        [KEY, KeyMaterial.random(32)],
        [KEY],
        [KeyMaterial.random(16) for _ in range(10)],
    ):
        with pytest.raises(BadKeyLength):
            combine(parts)


@given(st.binary(min_size=16, max_size=16))
def test_any_two_shares_open(secret: bytes) -> None:
    """Any two of the three shares, in either order, give the passphrase."""
    shares = share_out(secret.hex())
    for one, other in itertools.permutations(shares, 2):
        assert put_together(one, other) == secret.hex()


def test_one_share_says_nothing() -> None:
    """For a share in hand every secret is possible: some second share leads to it."""
    mine = Share(1, b"\x5a")
    secrets = {put_together(mine, Share(2, bytes([value]))) for value in range(256)}

    assert len(secrets) == 256


def test_shares_are_written_and_read() -> None:
    """A share survives paper, in small letters and with blanks; its repr hides it."""
    for share in share_out(new_passphrase()):
        assert looks_like_share(share.written())
        assert read_share(share.written().lower().replace("-", " - ")) == share
        assert share.content.hex() not in repr(share)
    assert not looks_like_share("correct horse battery staple")


def test_every_wrong_digit_of_a_share_is_found() -> None:
    """A share with one digit changed or two neighbours swapped is not read."""
    share = Share(2, bytes.fromhex("00112233445566778899AABBCCDDEEFF"))
    text = share.written().replace("-", "")
    for at in range(2, len(text)):
        changed = text[:at] + ("0" if text[at] != "0" else "8") + text[at + 1 :]
        with pytest.raises(ShareUnreadable) as caught:
            read_share(changed)
        assert "1122" not in str(caught.value)


def test_a_share_counts_once() -> None:
    """The same share twice is one custodian, not two."""
    one = share_out(new_passphrase())[0]
    with pytest.raises(ShareRepeated):
        put_together(one, one)
