# SPDX-License-Identifier: Apache-2.0
"""Key check values: three bytes that name a key without giving it away."""

from __future__ import annotations

from keys import _prims


def kcv(key: bytes) -> str:
    """Encrypt a block of zeros and give the left three bytes in hex.

    3DES for 16 (and DES for 8) bytes, AES for 32.

    >>> kcv(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
    '08D7B4'
    """
    block = _prims.aes_first_block(key) if len(key) == 32 else _prims.des_ecb(key, bytes(8))
    return block[:3].hex().upper()
