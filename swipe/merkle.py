# SPDX-License-Identifier: Apache-2.0
"""The Merkle tree of RFC 6962, section 2.1: SHA-256, leaf prefix 00, node prefix 01.

Proofs are made from the hashes of complete subtrees, wherever they are kept, and checked from the
hashes alone (RFC 9162, sections 2.1.3 and 2.1.4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from swipe.errors import WrongLength

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
# A tree of 2^63 leaves has proofs of this length; nothing longer is looked at.
PROOF_MAX = 63

# Gives the hash over the leaves from index·2^level on, 2^level of them.
Nodes = Callable[[int, int], bytes]


def leaf_hash(data: bytes) -> bytes:
    """Hash one leaf.

    >>> leaf_hash(b"").hex()[:16]
    '6e340b9cffb37a98'
    """
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into one."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _leaf_hashes(leaves: Iterable[bytes]) -> list[bytes]:
    """Hash many leaves; a call for each would cost as much as its hash."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + leaf).digest() for leaf in leaves]


def _node_hashes(level: Sequence[bytes]) -> list[bytes]:
    """Hash the pairs of a level; an odd one at the end is left out."""
    sha256 = hashlib.sha256
    pairs = zip(level[0::2], level[1::2], strict=False)
    return [sha256(b"\x01" + left + right).digest() for left, right in pairs]


def root(leaves: Sequence[bytes]) -> bytes:
    """Compute the root over the leaves' data, level by level.

    An odd subtree at the end of a level goes up as it is, which gives the same tree as RFC 6962's
    split at the largest power of two.

    >>> root([]) == EMPTY_ROOT
    True
    """
    if not leaves:
        return EMPTY_ROOT
    level = _leaf_hashes(leaves)
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        level = _node_hashes(level) + odd
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
        self.extend([data])

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaves in order, level by level.

        At each level the complete subtree that stands alone goes left of the new ones, and a last
        one without a partner stays.
        """
        level = _leaf_hashes(leaves)
        size, kept = self.size, self.hashes
        self.size += len(level)
        edge: list[bytes] = []
        while level:
            if size & 1:
                level.insert(0, kept.pop())
            if len(level) % 2:
                edge.append(level.pop())
            level = _node_hashes(level)
            size >>= 1
        self.hashes = kept + edge[::-1]

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


def nodes_of(leaves: Sequence[bytes]) -> Nodes:
    """Give the subtree hashes of leaves that are all at hand.

    >>> nodes_of([b"a", b"b"])(1, 0) == root([b"a", b"b"])
    True
    """

    def node(level: int, index: int) -> bytes:
        return root(leaves[index << level : (index + 1) << level])

    return node


def root_of(size: int, nodes: Nodes) -> bytes:
    """Compute the root of the first ``size`` leaves from subtree hashes.

    >>> root_of(3, nodes_of([b"a", b"b", b"c", b"d"])) == root([b"a", b"b", b"c"])
    True
    """
    return _range_hash(0, size, nodes) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """Give the audit path of a leaf in the tree of the first ``size`` leaves.

    Raises ``IndexError`` when the tree has no such leaf.

    >>> proof = inclusion_proof(1, 3, nodes_of([b"a", b"b", b"c"]))
    >>> proof == [leaf_hash(b"a"), leaf_hash(b"c")]
    True
    """
    if not 0 <= index < size:
        raise IndexError(index)
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_range_hash(middle, high, nodes))
            high = middle
        else:
            path.append(_range_hash(low, middle, nodes))
            low = middle
    return path[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes | None:
    """Give the root that a leaf hash and its path lead to; ``None`` for a path that fits no tree.

    >>> leaves = [b"a", b"b", b"c"]
    >>> path = inclusion_proof(2, 3, nodes_of(leaves))
    >>> verify_inclusion(2, 3, leaf_hash(b"c"), path) == root(leaves)
    True
    """
    if not 0 <= index < size or len(proof) > PROOF_MAX:
        return None
    here, last, result = index, size - 1, leaf
    for other in proof:
        if not last:
            return None
        if here & 1 or here == last:
            result = node_hash(other, result)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            result = node_hash(result, other)
        here, last = here >> 1, last >> 1
    return None if last else result


def consistency_proof(old: int, size: int, nodes: Nodes) -> list[bytes]:
    """Give what shows that the first ``old`` leaves of a tree are those of an older tree.

    Empty for ``old`` 0 and for equal sizes; raises ``IndexError`` when ``old`` is larger.

    >>> len(consistency_proof(3, 7, nodes_of([b"%d" % i for i in range(7)])))
    4
    """
    if not 0 <= old <= size:
        raise IndexError(old)
    proof: list[bytes] = []
    if not old or old == size:
        return proof
    low, high, whole = 0, size, True
    while high != old:
        middle = low + _split(high - low)
        if old <= middle:
            proof.append(_range_hash(middle, high, nodes))
            high = middle
        else:
            proof.append(_range_hash(low, middle, nodes))
            low, whole = middle, False
    if not whole:
        proof.append(_range_hash(low, high, nodes))
    return proof[::-1]


def verify_consistency(
    old: tuple[int, bytes], new: tuple[int, bytes], proof: Sequence[bytes]
) -> bool:
    """Say whether the newer tree (size, root) begins with all leaves of the older one.

    >>> leaves = [b"a", b"b", b"c", b"d", b"e"]
    >>> path = consistency_proof(3, 5, nodes_of(leaves))
    >>> verify_consistency((3, root(leaves[:3])), (5, root(leaves)), path)
    True
    """
    (old_size, old_root), (size, new_root) = old, new
    if old_size > size or len(proof) > PROOF_MAX:
        return False
    if not old_size or old_size == size:
        fits = old_root == EMPTY_ROOT if not old_size else old_root == new_root
        return fits and not proof
    rest = list(proof)
    if old_size & (old_size - 1) == 0:
        rest.insert(0, old_root)
    if not rest:
        return False
    here, last = old_size - 1, size - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    first = second = rest[0]
    for other in rest[1:]:
        if not last:
            return False
        if here & 1 or here == last:
            first, second = node_hash(other, first), node_hash(other, second)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            second = node_hash(second, other)
        here, last = here >> 1, last >> 1
    return not last and first == old_root and second == new_root


def _split(count: int) -> int:
    """Give the largest power of two below a count of at least 2."""
    return 1 << ((count - 1).bit_length() - 1)


def _range_hash(low: int, high: int, nodes: Nodes) -> bytes:
    """Hash the leaves from ``low`` to ``high`` as the tree does; ``low`` begins a subtree."""
    count = high - low
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return nodes(level, low >> level)
    middle = low + _split(count)
    return node_hash(_range_hash(low, middle, nodes), _range_hash(middle, high, nodes))
