# SPDX-License-Identifier: Apache-2.0
"""A key under which equal things have equal fingerprints, and nobody else can make them.

Document numbers are few enough to try them all, so a plain digest of one is as good as the number.
The key is random, stands sealed under the store's personal-data key, and is opened to compare.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import NoReturn

from keys.custody import KeyStore
from keys.material import KeyMaterial
from keys.usage import KeyUsage

_CONTEXT = b"fingerprint-key/1/"
_KEY_BYTES = 32
FINGERPRINT_BYTES = 32


class FingerprintKey:
    """Make fingerprints (HMAC-SHA-256, RFC 2104) for one purpose."""

    __slots__ = ("_material",)

    def __init__(self, material: KeyMaterial) -> None:
        self._material = material

    def __repr__(self) -> str:
        return "FingerprintKey(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled")

    @classmethod
    def fresh(cls, store: KeyStore, purpose: str) -> tuple[FingerprintKey, bytes]:
        """Make a key for a purpose; return it and its sealed form, which is what to keep."""
        key = cls(KeyMaterial.random(_KEY_BYTES))
        place = _CONTEXT + purpose.encode()
        return key, store.seal(KeyUsage.PERSONAL_DATA, key._material.reveal(), place)

    @classmethod
    def opened(cls, store: KeyStore, purpose: str, sealed: bytes) -> FingerprintKey:
        """Open the sealed key of a purpose.

        Raises:
            BadSeal: It was changed, or is another purpose's.
        """
        place = _CONTEXT + purpose.encode()
        return cls(KeyMaterial(store.open_sealed(KeyUsage.PERSONAL_DATA, sealed, place)))

    def of(self, *parts: str) -> bytes:
        """Return the fingerprint (32 bytes) of texts; each is taken with its length."""
        message = b"".join(
            len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in parts)
        )
        return hmac.digest(self._material.reveal(), message, hashlib.sha256)
