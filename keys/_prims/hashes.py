# SPDX-License-Identifier: Apache-2.0
"""SM3 (GB/T 32905) and HMAC over it."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

SM3_SIZE = 32


def sm3(data: bytes) -> bytes:
    """Hash to 32 bytes.

    >>> sm3(b"abc").hex()[:16]
    '66c7f0f462eeedd9'
    """
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize()


def hmac_sm3(key: bytes, data: bytes) -> bytes:
    """Compute HMAC (RFC 2104) with SM3: 32 bytes."""
    mac = HMAC(key, hashes.SM3())
    mac.update(data)
    return mac.finalize()
