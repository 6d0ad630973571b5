# SPDX-License-Identifier: Apache-2.0
"""DES, triple DES and the MACs of the PBOC purse, as the card and the PSAM compute them.

Written from the FMCOS 2.0 user manual, chapters 8 and 11, and from published traces; it
shares nothing with the package `keys`.
"""

from __future__ import annotations

import hmac
from functools import lru_cache

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB

BLOCK = 8
ZERO_IV = bytes(BLOCK)
MAC_LENGTH = 4

# A personalisation uses about ten keys; the cache saves building a cipher for each block.
_CIPHERS_MAX = 64


@lru_cache(maxsize=_CIPHERS_MAX)
def _algorithm(key: bytes) -> TripleDES:
    """Expand a DES (8 bytes) or two-key triple DES (16 bytes) key to three keys."""
    if len(key) == 8:
        return TripleDES(key * 3)
    if len(key) == 16:
        return TripleDES(key + key[:8])
    message = f"a DES key has 8 or 16 bytes, not {len(key)}"
    raise ValueError(message)


def encrypt(key: bytes, data: bytes) -> bytes:
    """Encrypt whole blocks in ECB mode: DES with an 8-byte key, 3DES with 16 bytes.

    FMCOS 2.0 user manual 5.4; the example is its external authentication (7.1).

    >>> encrypt(bytes.fromhex("0102030405060708"), bytes.fromhex("BB83BFF300000000")).hex()
    '74b0047dd681d96c'
    """
    encryptor = Cipher(_algorithm(key), ECB()).encryptor()  # noqa: S305 - the card uses ECB
    return encryptor.update(data) + encryptor.finalize()


def decrypt(key: bytes, data: bytes) -> bytes:
    """Decrypt whole blocks in ECB mode.

    >>> decrypt(bytes.fromhex("1122334455667788"), bytes.fromhex("178F59F8578E0D3F")).hex()
    '0102030405060708'
    """
    decryptor = Cipher(_algorithm(key), ECB()).decryptor()  # noqa: S305 - the card uses ECB
    return decryptor.update(data) + decryptor.finalize()


def pad_always(data: bytes) -> bytes:
    """Append 80 00.. up to a whole block, a full extra block where it already is one."""
    return data + b"\x80" + bytes(-(len(data) + 1) % BLOCK)


def pad_if_needed(data: bytes) -> bytes:
    """Append 80 00.. only where the data do not end at a block boundary."""
    return pad_always(data) if len(data) % BLOCK else data


def _cbc_last(key: bytes, data: bytes, iv: bytes) -> bytes:
    encryptor = Cipher(_algorithm(key), CBC(iv)).encryptor()
    return (encryptor.update(pad_always(data)) + encryptor.finalize())[-BLOCK:]


def purse_mac(session_key: bytes, data: bytes) -> bytes:
    """Return the 4-byte single-DES CBC MAC of the purse commands (zero IV, padding 80).

    MAC1 of a published purchase (session key C08346DF9F1D457A, terminal 001122334455):

    >>> key = bytes.fromhex("C08346DF9F1D457A")
    >>> purse_mac(key, bytes.fromhex("000000010600112233445520161216134600")).hex()
    'd45737c5'
    """
    return _cbc_last(session_key, data, ZERO_IV)[:MAC_LENGTH]


def message_mac(key: bytes, iv: bytes, data: bytes) -> bytes:
    """Return the 4-byte MAC of secure messaging (FMCOS 2.0 user manual 11.3).

    An 8-byte key chains single DES; a 16-byte key chains with its left half and ends with
    ISO 9797-1 algorithm 3. The example is the key load of a published PSAM trace.

    >>> key = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    >>> cipher = "DCC0BB5793ABFCA2CA8C1624822F6E01A86A0B5CBED191DD"
    >>> iv = bytes.fromhex("5D72B3FD00000000")
    >>> message_mac(key, iv, bytes.fromhex("84D400001C" + cipher)).hex()
    '8a9d4adb'
    """
    last = _cbc_last(key[:8], data, iv)
    if len(key) == 16:
        last = encrypt(key[:8], decrypt(key[8:], last))
    return last[:MAC_LENGTH]


def session_key(key: bytes, random: bytes, card_sequence: int, terminal_sequence: int) -> bytes:
    """Derive the session key of a purchase from random, card counter and terminal number.

    Only the two low bytes of the 4-byte terminal number take part (manual 8.8).

    >>> key = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    >>> session_key(key, bytes.fromhex("584633C9"), 0, 0).hex()
    'c08346df9f1d457a'
    """
    block = random + card_sequence.to_bytes(2, "big") + terminal_sequence.to_bytes(4, "big")[2:]
    return encrypt(key, block)


def tac_key(internal_key: bytes) -> bytes:
    """Fold a 16-byte internal key (DTK) to the 8-byte TAC key: left half xor right half.

    >>> tac_key(bytes.fromhex("00112233445566778899AABBCCDDEEFF")).hex()
    '8888888888888888'
    """
    return bytes(a ^ b for a, b in zip(internal_key[:8], internal_key[8:], strict=True))


def diversify(master: bytes, factor: bytes) -> bytes:
    """Derive a 16-byte key of one card: 3DES of the 8-byte factor, then of its complement.

    >>> master = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    >>> diversify(master, bytes.fromhex("1122334455667788")).hex()
    '496bd7a3513644533100b54e71196528'
    """
    return encrypt(master, factor + bytes(b ^ 0xFF for b in factor))


def same(left: bytes, right: bytes) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(left, right)
