# SPDX-License-Identifier: Apache-2.0
"""The Merkle tree of RFC 6962, section 2.1: SHA-256, leaf prefix 00, node prefix 01."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from swipe.errors import WrongLength

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Hash one leaf.

    >>> leaf_hash(b"").hex()[:16]
    '6e340b9cffb37a98'
    """
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into one."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Compute the root over the leaves' data, level by level.

    An odd subtree at the end of a level goes up as it is, which gives the same tree as RFC 6962's
    split at the largest power of two.

    >>> root([]) == EMPTY_ROOT
    True
    """
    if not leaves:
        return EMPTY_ROOT
    level = [leaf_hash(leaf) for leaf in leaves]
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        pairs = zip(level[0::2], level[1::2], strict=False)
        level = [node_hash(left, right) for left, right in pairs] + odd
    return level[0]


@dataclass
class CompactRange:
    """Hold the right edge of a growing tree: one hash for every complete subtree.

    ``hashes`` runs from the largest subtree to the smallest, one per set bit of ``size``.
    """

    size: int = 0
    hashes: list[bytes] = field(default_factory=list)

    def append(self, data: bytes) -> None:
        """Add one leaf."""
        carry, size = leaf_hash(data), self.size
        while size & 1:
            carry = node_hash(self.hashes.pop(), carry)
            size >>= 1
        self.hashes.append(carry)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaves in order."""
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        """Compute the root of the tree as it stands.

        >>> tree = CompactRange()
        >>> tree.extend([b"a", b"b", b"c"])
        >>> tree.root() == root([b"a", b"b", b"c"])
        True
        """
        if not self.hashes:
            return EMPTY_ROOT
        *rest, result = self.hashes
        for left in reversed(rest):
            result = node_hash(left, result)
        return result

    def to_bytes(self) -> bytes:
        """Give size (8, big-endian) and the hashes."""
        return self.size.to_bytes(8) + b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, data: bytes) -> CompactRange:
        """Read what ``to_bytes`` gave; raise ``WrongLength`` when count and size differ."""
        size = int.from_bytes(data[:8])
        expected = 8 + HASH_SIZE * size.bit_count()
        if len(data) != expected:
            raise WrongLength("compact range", expected, len(data))
        spans = range(8, len(data), HASH_SIZE)
        return cls(size, [data[at : at + HASH_SIZE] for at in spans])
