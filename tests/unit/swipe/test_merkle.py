# SPDX-License-Identifier: Apache-2.0
"""The RFC 6962 tree, grown in one go and leaf by leaf."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swipe.errors import WrongLength
from swipe.merkle import EMPTY_ROOT, CompactRange, leaf_hash, node_hash, root

# The reference leaves and roots of the certificate-transparency project (merkletree tests), 0 to
# 8 leaves, as cited by every RFC 6962 implementation.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def _by_definition(leaves: list[bytes]) -> bytes:
    """Compute the root as RFC 6962, section 2.1, defines it."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(_by_definition(leaves[:split]), _by_definition(leaves[split:]))


@pytest.mark.parametrize("count", range(9))
def test_published_roots(count: int) -> None:
    """The reference trees of 0 to 8 leaves have the published roots."""
    tree = CompactRange()
    tree.extend(LEAVES[:count])

    assert root(LEAVES[:count]).hex() == ROOTS[count]
    assert tree.root().hex() == ROOTS[count]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=3), max_size=70), st.integers(0, 70))
def test_all_ways_agree(leaves: list[bytes], cut: int) -> None:
    """Definition, level by level, and a range stored and continued at any point agree."""
    tree = CompactRange()
    tree.extend(leaves[:cut])
    tree = CompactRange.from_bytes(tree.to_bytes())
    tree.extend(leaves[cut:])

    assert _by_definition(leaves) == root(leaves) == tree.root()
    assert tree.size == len(leaves)


@pytest.mark.parametrize("data", [b"", bytes(7), bytes(8) + bytes(32), (3).to_bytes(8) + bytes(32)])
def test_stored_range_of_a_wrong_length_is_refused(data: bytes) -> None:
    """The number of hashes must be that of the size's set bits."""
    with pytest.raises(WrongLength):
        CompactRange.from_bytes(data)
