# SPDX-License-Identifier: Apache-2.0
"""The two equal suites of terminals and servers: Ed25519 with SHA-256, SM2 with SM3.

The suite belongs to the enrolled key, never to a record: a public key of 32 bytes is Ed25519's
(RFC 8032), one of 64 is SM2's (x ‖ y, GB/T 32918). Where a record has room for 32 bytes only, an
SM2 key stands as its x alone; every SM2 identity is made with an even y, so x tells the rest.
"""

from __future__ import annotations

import enum
import hashlib

from keys import sm2
from keys.errors import BadPublicKey

SHORT_SIZE, LONG_SIZE = 32, 64  # of a public key, in bytes


class Suite(enum.IntEnum):
    """Name a suite, by the number it is enrolled under."""

    ED25519 = 1
    SM2 = 2

    @classmethod
    def of(cls, public_key: bytes) -> Suite:
        """Give the suite of a public key; raise ``BadPublicKey`` for a length of neither.

        >>> Suite.of(bytes(32)).name, Suite.of(bytes(64)).name
        ('ED25519', 'SM2')
        """
        if len(public_key) == SHORT_SIZE:
            return cls.ED25519
        if len(public_key) == LONG_SIZE:
            return cls.SM2
        raise BadPublicKey

    @property
    def public_key_size(self) -> int:
        """Give the length of a public key in bytes."""
        return SHORT_SIZE if self is Suite.ED25519 else LONG_SIZE

    def digest(self, data: bytes) -> bytes:
        """Hash what the terminal hashes itself: events, chain, h8. 32 bytes.

        >>> Suite.SM2.digest(b"abc").hex()[:16]
        '66c7f0f462eeedd9'
        """
        return hashlib.sha256(data).digest() if self is Suite.ED25519 else sm2.sm3(data)


def fingerprint(public_key: bytes) -> str:
    """Give SHA-256 of a public key, left ten bytes, for two people to compare by voice.

    >>> fingerprint(bytes(32))
    '6668 7aad f862 bd77 6c8f'
    """
    text = hashlib.sha256(public_key).hexdigest()[:20]
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def short_key(public_key: bytes) -> bytes:
    """Give the 32 bytes a public key is written as in a record; an odd y is refused."""
    if Suite.of(public_key) is Suite.SM2 and public_key[-1] & 1:
        raise BadPublicKey
    return public_key[:SHORT_SIZE]


def full_key(short: bytes, suite: Suite) -> bytes:
    """Give the public key that 32 bytes of a record stand for."""
    return short if suite is Suite.ED25519 else sm2.lift_even(short)
