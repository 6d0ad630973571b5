# SPDX-License-Identifier: Apache-2.0
"""Proofs recomputed in bulk are those of the single formulas, row by row."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from keys.algorithm import Algorithm
from keys.bulk import ProofPool, expected_proofs, proofs_match
from keys.errors import UnknownKey
from keys.kcv import kcv
from keys.purse import bcd_datetime
from keys.store import FileKeyStore
from keys.usage import DPK_INDEX_PSAM, DPK_INDEX_SOFT, PURCHASE_USAGE, KeyUsage
from swipe import arrays
from swipe.event import Event
from tests.factories import CHEAP, PASSPHRASE, make_store, make_tap

TAP_USAGES = (
    *(KeyUsage.TAC, KeyUsage.PRESENCE),
    *(KeyUsage.PURCHASE_PSAM, KeyUsage.PURCHASE_SOFT),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """Give a store with two versions of every tap key."""
    store = make_store(tmp_path_factory.mktemp("bulk") / "issuer.keys")
    for usage in TAP_USAGES:
        store.generate(usage, 2)
    return store


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """Give a store whose keys are 3DES in version 1, SM4 in version 2, of both in version 3."""
    store = make_store(tmp_path_factory.mktemp("mixed") / "issuer.keys")
    for usage in TAP_USAGES:
        store.generate(usage, 2, Algorithm.SM4)
        store.generate(usage, 3, Algorithm.SM4 if usage is KeyUsage.TAC else Algorithm.TDES)
    return store


def _mixed_taps(store: FileKeyStore, count: int) -> arrays.EventArray:
    """Make taps of thirty cards, each tap with the formulas of its card's own ciphers."""
    events = _array(_taps(store, count)).copy()
    for row, event in enumerate(events):
        version = 1 + row % 3
        asn8 = event["card_asn"][2:].tobytes()
        presence = store.card_key(KeyUsage.PRESENCE, version, asn8)
        event["key_ver"], event["cg_type"] = version, presence.algorithm.cg_type
        session = store.card_key(PURCHASE_USAGE[int(event["dpk_idx"])], version, asn8).session(
            event["card_rand"].tobytes(), int(event["card_ctr"]), int(event["psam_seq"])
        )
        date, time = bcd_datetime(int(event["utc_s"]), int(event["tz_q"]))
        tac = store.card_key(KeyUsage.TAC, version, asn8).tac4(
            event["psam_no"].tobytes(), int(event["psam_seq"]), date, time
        )
        event["tac"] = list(tac)
        event["mac2"] = list(session.mac2(0))
    for event, h8 in zip(events, arrays.core_digests(events), strict=True):
        asn8 = event["card_asn"][2:].tobytes()
        key = store.card_key(KeyUsage.PRESENCE, int(event["key_ver"]), asn8)
        event["cg2"] = list(key.cg2(h8.tobytes()))
    return events


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


@pytest.mark.parametrize("count", [1, 2, 3, 150])
def test_a_batch_may_mix_the_ciphers(mixed: FileKeyStore, count: int) -> None:
    """Rows of 3DES, SM4 and mixed cards all get the proofs their own formulas give."""
    events = _mixed_taps(mixed, count)

    proofs = expected_proofs(mixed, arrays.proof_inputs(events))
    verdicts = proofs_match(proofs, events["tac"], events["mac2"], events["cg2"])

    assert verdicts.tac.all()
    assert verdicts.mac2.all()
    assert verdicts.cg2.all()


def test_a_cipher_that_the_master_does_not_have_is_never_right(mixed: FileKeyStore) -> None:
    """An event that names another cipher for CG2 has none that matches; TAC and MAC2 stand."""
    events = _mixed_taps(mixed, 30)
    events["cg_type"][:10] = 3 - events["cg_type"][:10]
    events["cg_type"][10:15] = 0

    inputs = arrays.proof_inputs(events)
    inputs = replace(inputs, h8=arrays.core_digests(_mixed_taps(mixed, 30)))
    verdicts = proofs_match(
        expected_proofs(mixed, inputs), events["tac"], events["mac2"], events["cg2"]
    )

    assert verdicts.cg2.tolist() == [False] * 15 + [True] * 15
    assert verdicts.tac.all()
    assert verdicts.mac2.all()


@pytest.mark.parametrize("count", [1, 120])
def test_all_cores_give_what_one_gives(mixed: FileKeyStore, count: int) -> None:
    """A pool of processes gives every row the proofs that one core gives, in the same place."""
    events = _mixed_taps(mixed, count)
    events["key_ver"][::11] = 77
    inputs = arrays.proof_inputs(events)
    alone = expected_proofs(mixed, inputs)

    with ProofPool(2, task_taps=7) as pool:
        together = expected_proofs(mixed, inputs, pool)

    for field in fields(alone):
        assert np.array_equal(getattr(together, field.name), getattr(alone, field.name))
    assert alone.tac_known.sum() == count - len(range(0, count, 11))


@pytest.mark.parametrize("algorithm", [Algorithm.TDES, Algorithm.SM4])
def test_keys_of_many_cards_equal_single_ones(mixed: FileKeyStore, algorithm: Algorithm) -> None:
    """Ten thousand card keys derived in one call are those of one call each."""
    version = algorithm.cg_type
    factors = np.arange(80_000, dtype=np.uint32).astype(np.uint8).reshape(-1, 8)
    factors[:, :4] = np.arange(10_000, dtype=">u4").view(np.uint8).reshape(-1, 4)
    master = mixed.bulk(KeyUsage.PRESENCE, version)

    keys = master.derive(factors)

    assert master.algorithm is algorithm
    assert len(np.unique(keys, axis=0)) == 10_000
    for row in (0, 1, 9_999):
        handle = mixed.card_key(KeyUsage.PRESENCE, version, factors[row].tobytes())
        assert kcv(keys[row].tobytes(), algorithm) == handle.kcv


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
