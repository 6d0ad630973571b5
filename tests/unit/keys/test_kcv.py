# SPDX-License-Identifier: Apache-2.0
"""Key check values."""

from __future__ import annotations

import pytest

from keys.kcv import kcv


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        # EMV tools print 08D7B4 for this double-length test key; DES of zeros under 0123... is
        # D5D44F in every DES tutorial; AES-256 of zeros under zeros is DC95C0 (FIPS 197 tools).
        ("0123456789ABCDEFFEDCBA9876543210", "08D7B4"),
        ("0123456789ABCDEF", "D5D44F"),
        ("00" * 32, "DC95C0"),
    ],
)
def test_kcv_is_the_head_of_encrypted_zeros(key: str, expected: str) -> None:
    """Three bytes of the encryption of zeros, in upper-case hex."""
    assert kcv(bytes.fromhex(key)) == expected
