# SPDX-License-Identifier: Apache-2.0
"""SM4 (GB/T 32907) and the formulas of a purse that uses it, shared with no other package."""

from __future__ import annotations

from functools import lru_cache

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB

BLOCK = 16
ZERO_IV = bytes(BLOCK)
MAC_LENGTH = 4

# A personalisation uses about ten keys; the cache saves building a cipher for each block.
_CIPHERS_MAX = 64


@lru_cache(maxsize=_CIPHERS_MAX)
def _algorithm(key: bytes) -> SM4:
    return SM4(key)


def encrypt(key: bytes, data: bytes) -> bytes:
    """Encrypt whole blocks in ECB mode; the example is that of the standard.

    >>> key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    >>> encrypt(key, key).hex()
    '681edf34d206965e86b3e94f536e4246'
    """
    encryptor = Cipher(_algorithm(key), ECB()).encryptor()  # noqa: S305 - the card uses ECB
    return encryptor.update(data) + encryptor.finalize()


def decrypt(key: bytes, data: bytes) -> bytes:
    """Decrypt whole blocks in ECB mode.

    >>> key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    >>> decrypt(key, bytes.fromhex("681EDF34D206965E86B3E94F536E4246")) == key
    True
    """
    decryptor = Cipher(_algorithm(key), ECB()).decryptor()  # noqa: S305 - the card uses ECB
    return decryptor.update(data) + decryptor.finalize()


def mac(key: bytes, iv: bytes, data: bytes) -> bytes:
    """Return the left 4 bytes of the CBC MAC, padding 80 00.. always.

    MAC1 of a purchase of 1 under the SM4 session key of the example below:

    >>> key = bytes.fromhex("7308E1C8160542A4A79CF0EEF06F98B0")
    >>> mac(key, ZERO_IV, bytes.fromhex("000000010600112233445520161216134600")).hex()
    '76d2492f'
    """
    padded = data + b"\x80" + bytes(-(len(data) + 1) % BLOCK)
    encryptor = Cipher(_algorithm(key), CBC(iv)).encryptor()
    return (encryptor.update(padded) + encryptor.finalize())[-BLOCK:][:MAC_LENGTH]


def diversify(key: bytes, factor: bytes) -> bytes:
    """Derive 16 bytes from 8: one block of the factor and its complement.

    >>> key = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    >>> diversify(key, bytes.fromhex("584633C900000000")).hex()
    '7308e1c8160542a4a79cf0eef06f98b0'
    """
    return encrypt(key, factor + bytes(b ^ 0xFF for b in factor))


def folded(key: bytes, data: bytes) -> bytes:
    """Encrypt up to 16 bytes filled up with zeros; return left half exclusive-or right half.

    >>> folded(bytes(16), bytes(8)).hex()
    'd28b4bac71069eeb'
    """
    block = encrypt(key, data.ljust(BLOCK, b"\x00"))
    return bytes(a ^ b for a, b in zip(block[:8], block[8:], strict=True))
