# SPDX-License-Identifier: Apache-2.0
"""Recompute the proofs of many taps at once: TAC, MAC2 and CG2 from the events and the masters.

The keys of all cards are derived in one pass per master; the rest is ``keys.bulk_formulas``. A
batch may mix cards of both ciphers: the master of a usage and version says which it is, and an
event that names another (``cg_type``) has no CG2 that could be right.
"""

from __future__ import annotations

import numpy as np

from keys.bulk_formulas import UNKNOWN, CardKeys, GroupKeys, Runs, proofs_of
from keys.bulk_pool import ProofPool
from keys.keystore import KeyStore
from keys.proof import Bytes2d, Mask, ProofInputs, Proofs, ProofVerdicts
from keys.usage import PURCHASE_USAGE, KeyUsage

__all__ = ["ProofPool", "expected_proofs", "proofs_match"]


def expected_proofs(store: KeyStore, inputs: ProofInputs, pool: ProofPool | None = None) -> Proofs:
    """Compute the proofs that true taps with these inputs have.

    Equal, row by row, to ``purse.tac``, ``purse.mac2`` and ``purse.cg2`` with the card's keys. One
    core does it, and all of them with a ``pool``, which pays from some ten thousand taps on.
    """
    if not len(inputs):
        return Proofs.empty(0)
    card = np.concatenate(
        [inputs.asn8, inputs.key_ver.reshape(-1, 1), inputs.dpk_idx.reshape(-1, 1)], axis=1
    )
    runs = Runs.of(np.ascontiguousarray(card, dtype=np.uint8))
    first = card[runs.order[runs.starts]]
    cards = CardKeys(
        tac=_card_keys(store, first, KeyUsage.TAC),
        purchase=_purchase_keys(store, first),
        presence=_card_keys(store, first, KeyUsage.PRESENCE),
    )
    return proofs_of(runs, cards, inputs) if pool is None else pool.proofs_of(runs, cards, inputs)


def proofs_match(expected: Proofs, tac: Bytes2d, mac2: Bytes2d, cg2: Bytes2d) -> ProofVerdicts:
    """Compare, without stopping at the first difference; an unknown key is never a match."""
    return ProofVerdicts(
        tac=_equal(expected.tac, tac) & expected.tac_known,
        mac2=_equal(expected.mac2, mac2) & expected.mac2_known,
        cg2=_equal(expected.cg2, cg2) & expected.cg2_known,
    )


def _equal(expected: Bytes2d, given: Bytes2d) -> Mask:
    verdict: Mask = np.bitwise_or.reduce(expected ^ given, axis=1) == 0
    return verdict


def _card_keys(
    store: KeyStore, cards: Bytes2d, usage: KeyUsage, chosen: Mask | None = None
) -> GroupKeys:
    """Derive one usage's key of every (chosen) card: asn8 (8) ‖ key version ‖ purchase index."""
    count, versions = len(cards), cards[:, 8]
    keys = np.zeros((count, 16), dtype=np.uint8)
    ciphers = np.full(count, UNKNOWN, dtype=np.uint8)
    wanted = np.ones(count, dtype=np.bool_) if chosen is None else chosen
    for version in np.unique(versions[wanted]).tolist():
        if store.has(usage, version):
            rows = wanted & (versions == version)
            master = store.bulk(usage, version)
            keys[rows] = master.derive(cards[rows, :8])
            ciphers[rows] = master.algorithm.cg_type
    return GroupKeys(keys, ciphers)


def _purchase_keys(store: KeyStore, cards: Bytes2d) -> GroupKeys:
    keys = np.zeros((len(cards), 16), dtype=np.uint8)
    ciphers = np.full(len(cards), UNKNOWN, dtype=np.uint8)
    for index, usage in PURCHASE_USAGE.items():
        chosen = cards[:, 9] == index
        if chosen.any():
            derived = _card_keys(store, cards, usage, chosen)
            keys |= derived.keys
            ciphers |= derived.ciphers
    return GroupKeys(keys, ciphers)
