# SPDX-License-Identifier: Apache-2.0
"""The MACs of ISO/IEC 9797-1 by algorithm and padding method, for what the purse does not say.

Algorithm 1 is plain CBC-MAC under any cipher, algorithm 3 the retail MAC of two DES keys, and
algorithm 5 is CMAC. The standard's paddings are methods 1, 2 and 3.
"""

from __future__ import annotations

import enum

from keys import _prims
from keys.algorithm import Algorithm
from keys.errors import BadKeyLength

DES_KEY_BYTES = 8

cmac = _prims.cmac


class Padding(enum.IntEnum):
    """Name a padding method of ISO/IEC 9797-1 clause 6.3."""

    ZEROS = 1
    ONE_AND_ZEROS = 2
    LENGTH_FIRST = 3


def pad(data: bytes, padding: Padding, block: int = _prims.BLOCK) -> bytes:
    r"""Pad to whole blocks: zeros (at least one block), 80 00.., or zeros with the length in front.

    Method 3 puts a block with the number of bits before the data.

    >>> pad(b"\x12\x34", Padding.ONE_AND_ZEROS).hex()
    '1234800000000000'
    """
    if padding is Padding.ONE_AND_ZEROS:
        return _prims.pad80(data, block)
    zeros = bytes(-len(data) % block) if data else bytes(block)
    if padding is Padding.ZEROS:
        return data + zeros
    return (8 * len(data)).to_bytes(block) + data + zeros


def cbc_mac(algorithm: Algorithm, key: bytes, data: bytes, padding: Padding) -> bytes:
    """Compute CBC-MAC (algorithm 1): the last block of CBC with zero IV."""
    block = algorithm.block_bytes
    return _prims.cbc(algorithm, key, pad(data, padding, block), bytes(block))[-block:]


def retail_mac(left: bytes, right: bytes, data: bytes, padding: Padding) -> bytes:
    """Compute the retail MAC (algorithm 3): DES chain, then one turn of decrypt and encrypt.

    The keys may have 16 bytes each, as some schemes have them; then each step is 3DES.
    """
    for key in (left, right):
        if len(key) not in {DES_KEY_BYTES, 2 * DES_KEY_BYTES}:
            raise BadKeyLength("MAC key", DES_KEY_BYTES, len(key))
    last = cbc_mac(Algorithm.TDES, left, data, padding)
    return _prims.des_ecb(left, _prims.des_ecb_decrypt(right, last))
