# SPDX-License-Identifier: Apache-2.0
"""Which byte of a tap is under which proof: tried bit by bit, and as the specification says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from keys.bulk import expected_proofs, proofs_match
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from swipe import arrays
from swipe.event import EVENT_SIGNED, EVENT_SIZE
from tests.factories import make_identity, make_store, make_tap

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "spec" / "wire-format.md").read_text(encoding="utf-8")
PROOFS = ("TAC", "MAC2", "CG2")


def _documented() -> list[tuple[frozenset[str], bool]]:
    """Read for each byte its proofs, and whether it is one itself."""
    body = TEXT.split("<!-- table:cover -->\n", 1)[1].split("\n\n", 1)[0]
    cover: list[tuple[frozenset[str], bool]] = []
    for line in body.splitlines()[2:]:
        span, _, proofs = (cell.strip() for cell in line.strip("|").split("|"))
        low, high = (int(part) for part in (span.split("–") * 2)[:2])
        assert low == len(cover), f"the table skips byte {len(cover)}"
        named = frozenset(re.findall(r"TAC|MAC2|CG2", proofs))
        cover += [(named, "self" in proofs)] * (high + 1 - low)
    return cover


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """Give a store whose next key version exists too, so that it is not merely unknown."""
    store = make_store(tmp_path_factory.mktemp("cover") / "issuer.keys")
    for usage in (KeyUsage.TAC, KeyUsage.PRESENCE, KeyUsage.PURCHASE_PSAM):
        for version in (0x02, 0x03, 0x05):
            store.generate(usage, version)
    return store


def _broken_by_each_bit(store: FileKeyStore) -> list[list[frozenset[str]]]:
    """Flip every bit of the 160 bytes of a true tap and see which proofs fail."""
    raw = np.frombuffer(make_tap(store, make_identity()).to_bytes(), dtype=np.uint8)
    table = np.tile(raw, (8 * EVENT_SIGNED, 1))
    bits = np.arange(8 * EVENT_SIGNED)
    table[bits, bits // 8] ^= (1 << bits % 8).astype(np.uint8)
    events = arrays.view(table.tobytes())
    expected = expected_proofs(store, arrays.proof_inputs(events))
    right = proofs_match(expected, events["tac"], events["mac2"], events["cg2"])
    broken = [
        frozenset(name for name, good in zip(PROOFS, row, strict=True) if not good)
        for row in zip(right.tac, right.mac2, right.cg2, strict=True)
    ]
    return [broken[8 * byte : 8 * byte + 8] for byte in range(EVENT_SIGNED)]


def test_every_bit_breaks_the_proofs_of_the_table(store: FileKeyStore) -> None:
    """Each bit of each of the 160 bytes makes exactly the documented proofs wrong."""
    documented = _documented()
    tried = _broken_by_each_bit(store)

    assert len(documented) == EVENT_SIGNED
    for byte, (named, _) in enumerate(documented):
        assert set(tried[byte]) == {named}, f"byte {byte}"


def test_at_least_138_bytes_are_covered() -> None:
    """138 bytes are input of a card's proof, and 16 are the proofs."""
    documented = _documented()
    key_version = 126

    inputs = [i for i, (named, own) in enumerate(documented) if named and not own]
    assert len(inputs) - (key_version in inputs) == 138
    assert sum(own for _, own in documented) == 16
    assert [i for i, (named, _) in enumerate(documented) if not named] == [122, 123, 124, 125, 127]


def test_a_true_tap_has_all_proofs(store: FileKeyStore) -> None:
    """Unchanged, the same tap is right in all three."""
    events = arrays.view(make_tap(store).to_bytes())
    expected = expected_proofs(store, arrays.proof_inputs(events))
    right = proofs_match(expected, events["tac"], events["mac2"], events["cg2"])

    assert right.tac.all()
    assert right.mac2.all()
    assert right.cg2.all()
    assert len(events) * EVENT_SIZE == 224
