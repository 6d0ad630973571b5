# SPDX-License-Identifier: Apache-2.0
"""Inclusion and consistency proofs, from leaves and from tiles, hold for the right tree only."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swipe import merkle, tiles
from swipe.errors import BadLog

LEAVES = [b"%d" % number for number in range(40)]
ROOTS = [merkle.root(LEAVES[:size]) for size in range(len(LEAVES) + 1)]
NODES = merkle.nodes_of(LEAVES)


def test_every_leaf_of_every_small_tree_is_proven() -> None:
    """Each path leads to the root of its own tree, and no path to that of another size."""
    for size in range(1, 20):
        for index in range(size):
            path = merkle.inclusion_proof(index, size, NODES)
            leaf = merkle.leaf_hash(LEAVES[index])
            assert merkle.verify_inclusion(index, size, leaf, path) == ROOTS[size]
            assert merkle.verify_inclusion(index, size, leaf, [*path, bytes(32)]) != ROOTS[size]
            assert size == 1 or merkle.verify_inclusion(index, size, leaf, path[:-1]) is None


def test_every_pair_of_small_trees_is_consistent() -> None:
    """Each proof holds for its two trees and for no other older root."""
    for size in range(1, 24):
        for old in range(size + 1):
            proof = merkle.consistency_proof(old, size, NODES)
            new = (size, ROOTS[size])
            assert merkle.verify_consistency((old, ROOTS[old]), new, proof)
            assert not merkle.verify_consistency((old, bytes(32)), new, proof)
            assert not merkle.verify_consistency((old, ROOTS[old]), (size, bytes(32)), proof) or (
                not old
            )


@given(
    data=st.data(),
    size=st.integers(2, 39),
    flip=st.integers(0, 255),
)
@settings(max_examples=200)
def test_a_changed_proof_is_refused(data: st.DataObject, size: int, flip: int) -> None:
    """One bit, one hash more or one less: neither path nor consistency holds any more."""
    old = data.draw(st.integers(1, size - 1))
    proof = merkle.consistency_proof(old, size, NODES)
    place = data.draw(st.integers(0, len(proof) - 1))
    bent = bytearray(proof[place])
    bent[flip // 8] ^= 1 << flip % 8
    changed = [*proof[:place], bytes(bent), *proof[place + 1 :]]

    for wrong in (changed, proof[:-1], [*proof, bytes(32)]):
        assert not merkle.verify_consistency((old, ROOTS[old]), (size, ROOTS[size]), wrong)


def test_a_leaf_that_the_tree_lacks_has_no_proof() -> None:
    """Numbers beyond the tree are refused, in either kind of proof."""
    with pytest.raises(IndexError):
        merkle.inclusion_proof(5, 5, NODES)
    with pytest.raises(IndexError):
        merkle.consistency_proof(6, 5, NODES)
    assert merkle.verify_inclusion(5, 5, bytes(32), []) is None


def write(folder: Path, size: int) -> list[bytes]:
    """Write the tiles of a tree by their definition and return its leaves."""
    leaves = [b"leaf %d" % number for number in range(size)]
    level, hashes = 0, [merkle.leaf_hash(leaf) for leaf in leaves]
    while hashes:
        for number in range(-(-len(hashes) // tiles.WIDTH)):
            row = hashes[number * tiles.WIDTH : (number + 1) * tiles.WIDTH]
            path = folder / tiles.tile_path(level, number, len(row))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(row))
        below = 1 << tiles.HEIGHT * (level + 1)
        hashes = [merkle.root(leaves[at : at + below]) for at in range(0, size - below + 1, below)]
        level += 1
    return leaves


@pytest.mark.parametrize("size", [1, 255, 256, 257, 700])
def test_tiles_give_root_and_proofs(tmp_path: Path, size: int) -> None:
    """From full and partial tiles come the root and every path that the leaves themselves give."""
    leaves = write(tmp_path, size)
    tree = tiles.Tiles(size, tiles.folder(tmp_path))

    assert tree.root() == merkle.root(leaves)
    for index in {0, size // 3, size - 1}:
        path = merkle.inclusion_proof(index, size, tree.node)
        assert path == merkle.inclusion_proof(index, size, merkle.nodes_of(leaves))


def test_a_missing_or_short_tile_is_named(tmp_path: Path) -> None:
    """A tile that is gone or cut is an error that names its path."""
    write(tmp_path, 300)
    (tmp_path / "tile/0/000").write_bytes(bytes(31))

    with pytest.raises(BadLog, match="tile/0/000: 31 bytes"):
        tiles.Tiles(300, tiles.folder(tmp_path)).node(0, 3)
    with pytest.raises(BadLog, match="tile/0/001"):
        tiles.Tiles(600, tiles.folder(tmp_path)).node(0, 500)


@given(entries=st.lists(st.binary(max_size=40), max_size=20), cut=st.integers(1, 5))
def test_a_bundle_is_read_whole_or_refused(entries: list[bytes], cut: int) -> None:
    """Entries come back from their bundle; a bundle cut within an entry is refused."""
    data = tiles.bundle(entries)

    assert tiles.unbundle(data, "x") == entries
    if entries and cut <= len(entries[-1]):
        with pytest.raises(BadLog):
            tiles.unbundle(data[:-cut], "x")
