# SPDX-License-Identifier: Apache-2.0
"""Key check values."""

from __future__ import annotations

import pytest

from keys.algorithm import Algorithm
from keys.errors import BadKeyLength
from keys.kcv import kcv


@pytest.mark.parametrize(
    ("key", "algorithm", "expected"),
    [
        # EMV tools print 08D7B4 for this double-length test key; DES of zeros under 0123... is
        # D5D44F in every DES tutorial; AES-256 of zeros under zeros is DC95C0 (FIPS 197 tools);
        # the SM4 value is that of the openssl command.
        ("0123456789ABCDEFFEDCBA9876543210", None, "08D7B4"),
        ("0123456789ABCDEFFEDCBA9876543210", Algorithm.TDES, "08D7B4"),
        ("0123456789ABCDEFFEDCBA9876543210", Algorithm.SM4, "2677F4"),
        ("0123456789ABCDEF", None, "D5D44F"),
        ("00" * 32, None, "DC95C0"),
        ("00" * 32, Algorithm.AES, "DC95C0"),
    ],
)
def test_kcv_is_the_head_of_encrypted_zeros(
    key: str, algorithm: Algorithm | None, expected: str
) -> None:
    """Three bytes of the encryption of zeros, in upper-case hex."""
    assert kcv(bytes.fromhex(key), algorithm) == expected


def test_a_key_of_no_cipher_has_no_kcv() -> None:
    """A length that no cipher takes is refused, whatever cipher is named."""
    for algorithm in (None, *Algorithm):
        with pytest.raises(BadKeyLength):
            kcv(bytes(15), algorithm)
