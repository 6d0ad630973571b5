# SPDX-License-Identifier: Apache-2.0
"""Recompute the proofs of many taps at once: TAC, MAC2 and CG2 from the events and the masters.

The single formulas are in ``keys.purse``; here the same blocks go through the cipher in as few
calls as possible. Opening a cipher context costs ten times a block, so that

- the keys of all cards are derived in one pass per master,
- each card opens one context per key, whatever the number of its taps,
- only MAC2 opens one per tap, because its session key belongs to that tap alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keys import _prims, purse
from keys.keystore import KeyStore
from keys.proof import Bytes2d, ProofInputs, Proofs, ProofVerdicts
from keys.usage import PURCHASE_USAGE, KeyUsage

# Amount 0 (4) and the type, as TAC and MAC1 begin.
_TAC_HEAD = bytes(4) + bytes([purse.CAPP_PURCHASE])
_MAC2_BLOCK = _prims.pad80(bytes(4))

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Groups:
    """Taps sorted by card and key: one group is one set of card keys."""

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    asn8: Bytes2d
    key_ver: NDArray[np.uint8]
    dpk_idx: NDArray[np.uint8]

    @classmethod
    def of(cls, inputs: ProofInputs) -> _Groups:
        key = np.zeros((len(inputs), 10), dtype=np.uint8)
        key[:, :8] = inputs.asn8
        key[:, 8] = inputs.key_ver
        key[:, 9] = inputs.dpk_idx
        packed = key.view("V10").ravel()
        order = np.argsort(packed, kind="stable")
        new = np.ones(len(packed), dtype=np.bool_)
        new[1:] = packed[order][1:] != packed[order][:-1]
        starts = np.flatnonzero(new)
        first = key[order[starts]]
        return cls(order, starts, first[:, :8], first[:, 8], first[:, 9])

    def ecb(self, contexts: list[_prims.Encryptor | None], blocks: Bytes2d) -> Bytes2d:
        """Encrypt the block of each tap in the context of its group."""
        data = blocks[self.order].tobytes()
        bounds = [*(8 * self.starts).tolist(), len(data)]
        done = b"".join(
            context.update(data[low:high]) if context else bytes(high - low)
            for context, low, high in zip(contexts, bounds, bounds[1:], strict=False)
        )
        result = np.empty_like(blocks)
        result[self.order] = np.frombuffer(done, dtype=np.uint8).reshape(-1, 8)
        return result

    def spread(self, per_group: Mask) -> Mask:
        """Give each tap the value of its group."""
        counts = np.diff(np.append(self.starts, len(self.order)))
        result = np.empty(len(self.order), dtype=np.bool_)
        result[self.order] = np.repeat(per_group, counts)
        return result


def expected_proofs(store: KeyStore, inputs: ProofInputs) -> Proofs:
    """Compute the proofs that true taps with these inputs have.

    Equal, row by row, to ``purse.tac``, ``purse.mac2`` and ``purse.cg2`` with the card's keys.
    """
    if not len(inputs):
        none, empty = np.zeros(0, dtype=np.bool_), np.zeros((0, 4), dtype=np.uint8)
        return Proofs(empty, empty, np.zeros((0, 8), dtype=np.uint8), none, none, none)
    groups = _Groups.of(inputs)
    dtk, dtk_known = _card_keys(store, groups, KeyUsage.TAC)
    cgk, cgk_known = _card_keys(store, groups, KeyUsage.PRESENCE)
    dpk, dpk_known = _purchase_keys(store, groups)
    session = groups.ecb(_contexts(dpk, dpk_known), _session_blocks(inputs))
    return Proofs(
        tac=_tac(groups, _contexts(dtk[:, :8] ^ dtk[:, 8:], dtk_known), inputs),
        mac2=_mac2(session),
        cg2=groups.ecb(_contexts(cgk, cgk_known), inputs.h8),
        tac_known=groups.spread(dtk_known),
        mac2_known=groups.spread(dpk_known),
        cg2_known=groups.spread(cgk_known),
    )


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


def _card_keys(store: KeyStore, groups: _Groups, usage: KeyUsage) -> tuple[Bytes2d, Mask]:
    """Derive one usage's key of every group, and say which groups have one."""
    keys = np.zeros((len(groups.key_ver), 16), dtype=np.uint8)
    known = np.zeros(len(groups.key_ver), dtype=np.bool_)
    for version in np.unique(groups.key_ver).tolist():
        if store.has(usage, version):
            chosen = groups.key_ver == version
            keys[chosen] = store.bulk(usage, version).derive(groups.asn8[chosen])
            known |= chosen
    return keys, known


def _purchase_keys(store: KeyStore, groups: _Groups) -> tuple[Bytes2d, Mask]:
    keys = np.zeros((len(groups.key_ver), 16), dtype=np.uint8)
    known = np.zeros(len(groups.key_ver), dtype=np.bool_)
    for index, usage in PURCHASE_USAGE.items():
        chosen = groups.dpk_idx == index
        if chosen.any():
            derived, has = _card_keys(store, groups, usage)
            keys[chosen] = derived[chosen]
            known |= chosen & has
    return keys, known


def _contexts(keys: Bytes2d, known: Mask) -> list[_prims.Encryptor | None]:
    opened = _prims.des_encryptors(keys.tobytes(), keys.shape[1])
    return [context if has else None for context, has in zip(opened, known, strict=True)]


def _session_blocks(inputs: ProofInputs) -> Bytes2d:
    ctr = inputs.ctr.astype(">u2").view(np.uint8).reshape(-1, 2)
    low = (inputs.psam_seq.astype(np.uint32) & 0xFFFF).astype(">u2").view(np.uint8).reshape(-1, 2)
    return np.concatenate([inputs.rand, ctr, low], axis=1)


def _tac(groups: _Groups, contexts: list[_prims.Encryptor | None], inputs: ProofInputs) -> Bytes2d:
    """Chain the three blocks of the padded TAC input of every tap."""
    data = np.zeros((len(inputs), 24), dtype=np.uint8)
    data[:, :5] = np.frombuffer(_TAC_HEAD, dtype=np.uint8)
    data[:, 5:11] = inputs.psam_no
    data[:, 11:15] = inputs.psam_seq.astype(">u4").view(np.uint8).reshape(-1, 4)
    data[:, 15:19] = inputs.date
    data[:, 19:22] = inputs.time
    data[:, 22] = 0x80
    chain = groups.ecb(contexts, np.ascontiguousarray(data[:, :8]))
    chain = groups.ecb(contexts, chain ^ data[:, 8:16])
    return groups.ecb(contexts, chain ^ data[:, 16:])[:, :4]


def _mac2(session_keys: Bytes2d) -> Bytes2d:
    """Encrypt the one block of MAC2 under every session key."""
    contexts = _prims.des_encryptors(session_keys.tobytes(), _prims.BLOCK)
    done = b"".join(context.update(_MAC2_BLOCK)[:4] for context in contexts)
    return np.frombuffer(done, dtype=np.uint8).reshape(-1, 4)
