# SPDX-License-Identifier: Apache-2.0
"""Block ciphers by name: their lengths, and what cards and events call them."""

from __future__ import annotations

import enum

from keys.errors import BadKeyLength, UnsupportedAlgorithm, WeakKey

# The byte of FMCOS-style cards beside a key version: 00 is 3DES, 04 is SM4. 01 says DES, but cards
# that carry it go by the length of the key, and a key here has 16 bytes: 3DES.
_CARD_IDS = {0x00: "3des", 0x01: "3des", 0x04: "sm4"}
# The weak and semi-weak DES keys (FIPS 74, NIST SP 800-67 §3.3.2), parity bits set to odd.
_WEAK_DES = frozenset(
    bytes.fromhex(left) + bytes.fromhex(right)
    for left, right in (
        *(("01010101", "01010101"), ("FEFEFEFE", "FEFEFEFE"), ("E0E0E0E0", "F1F1F1F1")),
        *(("1F1F1F1F", "0E0E0E0E"), ("011F011F", "010E010E"), ("1F011F01", "0E010E01")),
        *(("01E001E0", "01F101F1"), ("E001E001", "F101F101"), ("01FE01FE", "01FE01FE")),
        *(("FE01FE01", "FE01FE01"), ("1FE01FE0", "0EF10EF1"), ("E01FE01F", "F10EF10E")),
        *(("1FFE1FFE", "0EFE0EFE"), ("FE1FFE1F", "FE0EFE0E"), ("E0FEE0FE", "F1FEF1FE")),
        ("FEE0FEE0", "FEF1FEF1"),
    )
)


class Algorithm(enum.Enum):
    """Name the block cipher that a key belongs to; a key never serves two.

    >>> Algorithm.from_card_id(4), Algorithm.SM4.block_bytes
    (<Algorithm.SM4: 'sm4'>, 16)
    """

    TDES = "3des"
    SM4 = "sm4"
    AES = "aes"

    @property
    def block_bytes(self) -> int:
        """Give the length of one block in bytes."""
        return 8 if self is Algorithm.TDES else 16

    @property
    def key_bytes(self) -> int:
        """Give the length of a key here: two-key 3DES and SM4 16, AES-256 32."""
        return 32 if self is Algorithm.AES else 16

    @property
    def card_id(self) -> int:
        """Give the algorithm byte of card and PSAM; raise ``UnsupportedAlgorithm`` for AES."""
        if self is Algorithm.AES:
            raise UnsupportedAlgorithm(self.value, "be named to a card")
        return 0x00 if self is Algorithm.TDES else 0x04

    @property
    def cg_type(self) -> int:
        """Give the ``cg_type`` of an event whose CG2 this cipher made: 3DES 1, SM4 2."""
        if self is Algorithm.AES:
            raise UnsupportedAlgorithm(self.value, "make a card's cryptogram")
        return 1 if self is Algorithm.TDES else 2

    @classmethod
    def from_card_id(cls, card_id: int) -> Algorithm:
        """Read the algorithm byte of a card; raise ``UnsupportedAlgorithm`` for an unknown one."""
        if card_id not in _CARD_IDS:
            raise UnsupportedAlgorithm(f"{card_id:02X}", "be used: the card's byte is not known")
        return cls(_CARD_IDS[card_id])

    @classmethod
    def from_cg_type(cls, cg_type: int) -> Algorithm:
        """Read the ``cg_type`` of an event; raise ``UnsupportedAlgorithm`` for all but 1 and 2."""
        for algorithm in (cls.TDES, cls.SM4):
            if algorithm.cg_type == cg_type:
                return algorithm
        raise UnsupportedAlgorithm(f"cg_type {cg_type}", "be computed from a card key")


def check_key(key: bytes, algorithm: Algorithm) -> None:
    """Refuse a key that no key officer would load; for keys that come from outside.

    Raises ``BadKeyLength`` for a length the cipher does not take, and ``WeakKey`` for bytes that
    are all the same, two halves of a 3DES key that are the same (that is single DES), or a half
    that is one of the sixteen weak DES keys. Parity bits do not count.

    >>> check_key(bytes.fromhex("0123456789ABCDEF0123456789ABCDEF"), Algorithm.TDES)
    Traceback (most recent call last):
    ...
    keys.errors.WeakKey: a weak 3des key: its halves are equal, which is single DES
    """
    if len(key) != algorithm.key_bytes:
        raise BadKeyLength(f"{algorithm.value} key", algorithm.key_bytes, len(key))
    if algorithm is Algorithm.TDES:
        left, right = _odd(key[:8]), _odd(key[8:])
        if left in _WEAK_DES or right in _WEAK_DES:
            raise WeakKey(algorithm.value, "a half is one of the weak DES keys")
        if left == right:
            raise WeakKey(algorithm.value, "its halves are equal, which is single DES")
    if len(set(key)) == 1 or key[: len(key) // 2] == key[len(key) // 2 :]:
        raise WeakKey(algorithm.value, "its bytes repeat")


def _odd(half: bytes) -> bytes:
    """Set the parity bit of every byte so that its number of ones is odd."""
    return bytes(byte & 0xFE | (1 - (byte >> 1).bit_count() % 2) for byte in half)
