# SPDX-License-Identifier: Apache-2.0
"""The passphrase of a store, shared among three custodians so that any two of them open it.

Shamir's scheme (A. Shamir, How to share a secret, 1979) with threshold two over GF(2^8): every byte
of the secret is the value at 0 of a random line, a share its value at 1, 2 or 3. One share says
nothing about the secret; two different ones give it. A share is written as
``S2-`` ‖ 32 hex digits in groups of four ‖ four check digits.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from keys import _prims
from keys.errors import ShareRepeated, ShareUnreadable

SHARES = 3
THRESHOLD = 2
# 128 bits cannot be guessed; the passphrase needs no stretching, and still gets it.
SECRET_SIZE = 16
_CHECK = 4
_WRITTEN = re.compile(r"S([1-3])([0-9A-F]{32})([0-9A-F]{4})")
# AES's field: x^8 + x^4 + x^3 + x + 1.
_MODULUS = 0x11B


@dataclass(frozen=True, slots=True)
class Share:
    """Hold one custodian's share of a passphrase."""

    number: int
    content: bytes

    def __repr__(self) -> str:
        return f"Share(number={self.number}, check={self.check})"

    @property
    def check(self) -> str:
        """Give the four check digits: they find a slip of the pen and say nothing else."""
        return hashlib.sha256(bytes([self.number]) + self.content).hexdigest()[:_CHECK].upper()

    def written(self) -> str:
        """Write the share for its envelope."""
        digits = self.content.hex().upper() + self.check
        return f"S{self.number}-" + "-".join(digits[at : at + 4] for at in range(0, 36, 4))


def new_passphrase() -> str:
    """Make a passphrase that nobody chose and nobody has seen."""
    return _prims.random_bytes(SECRET_SIZE).hex()


def share_out(passphrase: str) -> tuple[Share, Share, Share]:
    """Share a passphrase made by ``new_passphrase`` among three.

    >>> one, two, three = share_out("00112233445566778899aabbccddeeff")
    >>> put_together(three, one)
    '00112233445566778899aabbccddeeff'
    """
    secret = bytes.fromhex(passphrase)
    slope = _prims.random_bytes(len(secret))
    one, two, three = (
        Share(x, bytes(s ^ _times(a, x) for s, a in zip(secret, slope, strict=True)))
        for x in range(1, SHARES + 1)
    )
    return one, two, three


def put_together(one: Share, other: Share) -> str:
    """Give the passphrase of two different shares; raise ``ShareRepeated`` for the same twice."""
    if one.number == other.number:
        raise ShareRepeated(one.number)
    # The line through both, at 0: y1·x2/(x1+x2) + y2·x1/(x1+x2).
    over = _inverse(one.number ^ other.number)
    weights = _times(other.number, over), _times(one.number, over)
    pairs = zip(one.content, other.content, strict=True)
    return bytes(_times(a, weights[0]) ^ _times(b, weights[1]) for a, b in pairs).hex()


def looks_like_share(text: str) -> bool:
    """Say whether what was typed is meant as a share and not as a passphrase."""
    return re.match(r"\s*[Ss][1-3]-", text) is not None


def read_share(text: str) -> Share:
    """Read a share as typed; raise ``ShareUnreadable`` without repeating it."""
    found = _WRITTEN.fullmatch(re.sub(r"[\s-]", "", text[:128]).upper())
    if found is None:
        raise ShareUnreadable("not S1-, S2- or S3- and 36 hex digits")
    share = Share(int(found[1]), bytes.fromhex(found[2]))
    if share.check != found[3]:
        raise ShareUnreadable("the check digits do not fit: one digit is wrong, or two are swapped")
    return share


def _times(a: int, b: int) -> int:
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a & 0x100:
            a ^= _MODULUS
        b >>= 1
    return product


def _inverse(a: int) -> int:
    """Give a^254, which is 1/a in this field."""
    result = 1
    for _ in range(254):
        result = _times(result, a)
    return result
