# SPDX-License-Identifier: Apache-2.0
"""Proofs recomputed in bulk are those of the single formulas, row by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keys.bulk import expected_proofs, proofs_match
from keys.errors import UnknownKey
from keys.store import FileKeyStore
from keys.usage import DPK_INDEX_PSAM, DPK_INDEX_SOFT, KeyUsage
from swipe import arrays
from swipe.event import Event
from tests.factories import CHEAP, PASSPHRASE, make_store, make_tap


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """Give a store with two versions of every tap key."""
    store = make_store(tmp_path_factory.mktemp("bulk") / "issuer.keys")
    for usage in (KeyUsage.TAC, KeyUsage.PRESENCE, KeyUsage.PURCHASE_PSAM, KeyUsage.PURCHASE_SOFT):
        store.generate(usage, 2)
    return store


def _taps(store: FileKeyStore, count: int) -> list[Event]:
    """Make taps of some cards, both kinds of PSAM and two key versions, in mixed order."""
    return [
        make_tap(
            store,
            seq=i + 1,
            card_asn=bytes(9) + bytes([i * 7 % 13]),
            key_ver=1 + i % 2,
            dpk_idx=(DPK_INDEX_PSAM, DPK_INDEX_SOFT)[i % 3 == 0],
            card_ctr=1000 + i,
            psam_seq=65_530 + i,
            card_rand=(i * 0x0123_4567 % 2**32).to_bytes(4),
            utc_s=1_700_000_000 + 40_003 * i,
            tz_q=(i % 105) - 48,
        )
        for i in range(count)
    ]


def _array(events: list[Event]) -> arrays.EventArray:
    return arrays.view(b"".join(event.to_bytes() for event in events))


@pytest.mark.parametrize("count", [0, 1, 2, 200])
def test_bulk_proofs_equal_single_ones(store: FileKeyStore, count: int) -> None:
    """TAC, MAC2 and CG2 of every row are what card and PSAM would have computed."""
    events = _array(_taps(store, count))

    proofs = expected_proofs(store, arrays.proof_inputs(events))

    assert np.array_equal(proofs.tac, events["tac"])
    assert np.array_equal(proofs.mac2, events["mac2"])
    assert np.array_equal(proofs.cg2, events["cg2"])
    assert proofs.tac_known.all()
    assert proofs.mac2_known.all()
    assert proofs.cg2_known.all()


def test_one_wrong_proof_touches_no_other(store: FileKeyStore) -> None:
    """A flipped bit in any proof byte fails that proof of that row, and nothing else."""
    events = _array(_taps(store, 20)).copy()
    proofs = expected_proofs(store, arrays.proof_inputs(events))
    flips = [("tac", 3, 0), ("tac", 4, 3), ("mac2", 5, 0), ("mac2", 6, 3), ("cg2", 7, 7)]
    for name, row, byte in flips:
        events[name][row][byte] ^= 1

    verdicts = proofs_match(proofs, events["tac"], events["mac2"], events["cg2"])

    assert np.flatnonzero(~verdicts.tac).tolist() == [3, 4]
    assert np.flatnonzero(~verdicts.mac2).tolist() == [5, 6]
    assert np.flatnonzero(~verdicts.cg2).tolist() == [7]


def test_unknown_keys_never_match(store: FileKeyStore) -> None:
    """A row of a key version or index that the store lacks is not known, even with zero proofs."""
    events = _array(_taps(store, 6)).copy()
    events["key_ver"][0] = 77
    events["dpk_idx"][1] = 3
    for name in ("tac", "mac2", "cg2"):
        events[name][:2] = 0

    proofs = expected_proofs(store, arrays.proof_inputs(events))
    verdicts = proofs_match(proofs, events["tac"], events["mac2"], events["cg2"])

    assert verdicts.mac2.tolist() == [False, False, True, True, True, True]
    assert proofs.tac_known.tolist() == [False, True, True, True, True, True]
    assert not verdicts.tac[0]
    assert not verdicts.cg2[0]


def test_an_empty_store_knows_nothing(tmp_path: Path, store: FileKeyStore) -> None:
    """Verification without keys says 'unknown' for every row and raises nothing."""
    empty = FileKeyStore.create(tmp_path / "empty.keys", PASSPHRASE, CHEAP)

    proofs = expected_proofs(empty, arrays.proof_inputs(_array(_taps(store, 5))))

    assert not (proofs.tac_known | proofs.mac2_known | proofs.cg2_known).any()
    with pytest.raises(UnknownKey):
        empty.latest(KeyUsage.TAC)
