# SPDX-License-Identifier: Apache-2.0
"""The two algorithms a key may have, triple DES and SM4, behind one set of operations.

Algorithm byte 00 (or whatever else a 3DES key carries) is DES by the length of the key; 04 is
SM4, as the dual-algorithm purses of Chinese transit cards compute it: blocks of 16 bytes,
session keys of 16 bytes, halves exclusive-ored where the outside expects 8 bytes, and a TAC
under the internal key itself.
"""

from __future__ import annotations

from typing import Protocol

from hardware_mocks.cardos import crypto, sm4
from hardware_mocks.cardos.state import SM4_IDENTIFIER, Key


class Algorithm(Protocol):
    """What a card does with one key, given as bytes."""

    block: int

    def encrypt(self, key: bytes, data: bytes, /) -> bytes:
        """Encrypt whole blocks."""

    def decrypt(self, key: bytes, data: bytes, /) -> bytes:
        """Decrypt whole blocks."""

    def message_mac(self, key: bytes, challenge: bytes, data: bytes, /) -> bytes:
        """Return the 4 bytes of secure messaging; the challenge is filled up with zeros."""

    def cryptogram(self, key: bytes, challenge: bytes, /) -> bytes:
        """Return the 8 bytes of EXTERNAL AUTHENTICATE."""

    def session_key(self, key: bytes, block8: bytes, /) -> bytes:
        """Derive the key of one purse transaction from random, counter and number."""

    def purse_mac(self, session_key: bytes, data: bytes, /) -> bytes:
        """Return the 4-byte MAC of a purse command under a session key."""

    def signature(self, key: bytes, data: bytes, /) -> bytes:
        """Return 4 bytes under a long-lived key: TAC, and the MAC of RELOAD PIN."""

    def diversify(self, master: bytes, factor: bytes, /) -> bytes:
        """Derive the 16-byte key of one card."""


class Des:
    """DES or two-key triple DES, by the length of the key."""

    block = crypto.BLOCK

    def encrypt(self, key: bytes, data: bytes, /) -> bytes:
        """Encrypt in ECB mode."""
        return crypto.encrypt(key, data)

    def decrypt(self, key: bytes, data: bytes, /) -> bytes:
        """Decrypt in ECB mode."""
        return crypto.decrypt(key, data)

    def message_mac(self, key: bytes, challenge: bytes, data: bytes, /) -> bytes:
        """Chain single DES; a long key ends with ISO 9797-1 algorithm 3."""
        return crypto.message_mac(key, challenge.ljust(self.block, b"\x00"), data)

    def cryptogram(self, key: bytes, challenge: bytes, /) -> bytes:
        """Encrypt the challenge filled up with zeros (FMCOS 2.0 user manual 7.1)."""
        return crypto.encrypt(key, challenge.ljust(self.block, b"\x00"))

    def session_key(self, key: bytes, block8: bytes, /) -> bytes:
        """Encrypt the block: 8 bytes."""
        return crypto.encrypt(key, block8)

    def purse_mac(self, session_key: bytes, data: bytes, /) -> bytes:
        """Chain single DES under 8 bytes."""
        return crypto.purse_mac(session_key, data)

    def signature(self, key: bytes, data: bytes, /) -> bytes:
        """Fold a long key to single DES, left half exclusive-or right half."""
        return crypto.purse_mac(crypto.tac_key(key) if len(key) == 16 else key, data)

    def diversify(self, master: bytes, factor: bytes, /) -> bytes:
        """Encrypt factor and complement."""
        return crypto.diversify(master, factor)


class Sm4:
    """SM4 (GB/T 32907) as the purse uses it."""

    block = sm4.BLOCK

    def encrypt(self, key: bytes, data: bytes, /) -> bytes:
        """Encrypt in ECB mode."""
        return sm4.encrypt(key, data)

    def decrypt(self, key: bytes, data: bytes, /) -> bytes:
        """Decrypt in ECB mode."""
        return sm4.decrypt(key, data)

    def message_mac(self, key: bytes, challenge: bytes, data: bytes, /) -> bytes:
        """Chain SM4."""
        return sm4.mac(key, challenge.ljust(self.block, b"\x00"), data)

    def cryptogram(self, key: bytes, challenge: bytes, /) -> bytes:
        """Encrypt the challenge filled up with zeros and fold the answer."""
        return sm4.folded(key, challenge)

    def session_key(self, key: bytes, block8: bytes, /) -> bytes:
        """Encrypt block and complement: 16 bytes."""
        return sm4.diversify(key, block8)

    def purse_mac(self, session_key: bytes, data: bytes, /) -> bytes:
        """Chain SM4 under 16 bytes."""
        return sm4.mac(session_key, sm4.ZERO_IV, data)

    def signature(self, key: bytes, data: bytes, /) -> bytes:
        """Chain SM4 under the key itself."""
        return sm4.mac(key, sm4.ZERO_IV, data)

    def diversify(self, master: bytes, factor: bytes, /) -> bytes:
        """Encrypt factor and complement in one block."""
        return sm4.diversify(master, factor)


DES, SM4 = Des(), Sm4()


def algorithm_of(key: Key) -> Algorithm:
    """Return how a key of the card computes.

    >>> algorithm_of(Key(0x3E, 1, 0, 0xF0, 0xF0, 1, 0x04, bytes(16))).block
    16
    """
    return SM4 if key.sm4 else DES


def algorithm_by_id(identifier: int) -> Algorithm:
    """Return how a PSAM key with this algorithm byte computes."""
    return SM4 if identifier == SM4_IDENTIFIER else DES


def pad_always(data: bytes, block: int) -> bytes:
    """Append 80 00.. up to a whole block, a full extra block where it already is one."""
    return data + b"\x80" + bytes(-(len(data) + 1) % block)


def pad_if_needed(data: bytes, block: int) -> bytes:
    """Append 80 00.. only where the data do not end at a block boundary."""
    return pad_always(data, block) if len(data) % block else data
