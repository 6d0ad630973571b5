# SPDX-License-Identifier: Apache-2.0
"""TAC, MAC2 and CG2 of many taps from their card keys, in either cipher: arrays in, arrays out.

The single formulas are in ``keys.purse``; here the same blocks go through the cipher in as few
calls as possible. Opening a cipher context costs ten times a block, so each card opens one per key
whatever the number of its taps; only MAC2 opens one per tap, because its session key belongs to
that tap alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from keys import _prims, purse
from keys.algorithm import Algorithm
from keys.proof import Bytes2d, Mask, ProofInputs, Proofs

# The ciphers of cards, by their number in an event's cg_type; 0 stands for a key nobody has.
CARD_CIPHERS = (Algorithm.TDES, Algorithm.SM4)
UNKNOWN = 0
# Amount 0 (4) and the type, as TAC and MAC1 begin.
_TAC_HEAD = bytes(4) + bytes([purse.CAPP_PURCHASE])
_TAC_BYTES = 22


@dataclass(frozen=True, slots=True)
class GroupKeys:
    """Carry one key (g, 16) of each group, and its cipher by ``cg_type`` number, 0 = unknown."""

    keys: Bytes2d
    ciphers: NDArray[np.uint8]

    def __repr__(self) -> str:
        return f"GroupKeys(n={len(self.ciphers)})"

    def part(self, low: int, high: int) -> GroupKeys:
        """Give the keys of some groups."""
        return GroupKeys(self.keys[low:high], self.ciphers[low:high])


@dataclass(frozen=True, slots=True)
class Runs:
    """Name each group's taps: ``order`` lists them group by group, ``starts`` where each begins."""

    order: NDArray[np.intp]
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, key: Bytes2d) -> Runs:
        """Group the rows that are equal."""
        packed = key.view(f"V{key.shape[1]}").ravel()
        order = np.argsort(packed, kind="stable")
        new = np.ones(len(packed), dtype=np.bool_)
        new[1:] = packed[order][1:] != packed[order][:-1]
        return cls(order, np.flatnonzero(new))

    @property
    def counts(self) -> NDArray[np.intp]:
        """Give the number of taps of each group."""
        return np.diff(np.append(self.starts, len(self.order)))

    def only(self, chosen: Mask) -> Runs:
        """Give the runs of some groups."""
        if chosen.all():
            return self
        counts = self.counts
        left = counts[chosen]
        return Runs(self.order[np.repeat(chosen, counts)], np.cumsum(left) - left)

    def spread(self, per_group: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give each tap the value of its group."""
        result = np.zeros(len(self.order), dtype=per_group.dtype)
        result[self.order] = np.repeat(per_group, self.counts)
        return result

    def ecb(self, contexts: Sequence[_prims.Encryptor], blocks: Bytes2d) -> Bytes2d:
        """Encrypt the block of each tap in the context of its group; other rows stay zero."""
        width = blocks.shape[1]
        data = blocks[self.order].tobytes()
        bounds = [*(width * self.starts).tolist(), len(data)]
        done = b"".join(
            context.update(data[low:high])
            for context, low, high in zip(contexts, bounds, bounds[1:], strict=False)
        )
        result = np.zeros_like(blocks)
        result[self.order] = np.frombuffer(done, dtype=np.uint8).reshape(-1, width)
        return result


@dataclass(frozen=True, slots=True)
class CardKeys:
    """Carry the three keys of each group's card that a tap's proofs need."""

    tac: GroupKeys
    purchase: GroupKeys
    presence: GroupKeys

    def part(self, low: int, high: int) -> CardKeys:
        """Give the keys of some groups."""
        parts = (keys.part(low, high) for keys in (self.tac, self.purchase, self.presence))
        return CardKeys(*parts)


def proofs_of(runs: Runs, cards: CardKeys, inputs: ProofInputs) -> Proofs:
    """Compute the proofs of every tap; a row whose key is unknown is zero and not known."""
    proofs = Proofs.empty(len(inputs))
    for algorithm in CARD_CIPHERS:
        for keys, formula, result in (
            (cards.tac, _tac, proofs.tac),
            (cards.purchase, _mac2, proofs.mac2),
            (cards.presence, _cg2, proofs.cg2),
        ):
            chosen = keys.ciphers == algorithm.cg_type
            if chosen.any():
                some = runs.only(chosen)
                result[some.order] = formula(algorithm, keys.keys[chosen], some, inputs)[some.order]
    return replace(
        proofs,
        tac_known=runs.spread(cards.tac.ciphers) != UNKNOWN,
        mac2_known=runs.spread(cards.purchase.ciphers) != UNKNOWN,
        cg2_known=_named_right(runs.spread(cards.presence.ciphers), inputs),
    )


def _named_right(ciphers: NDArray[np.uint8], inputs: ProofInputs) -> Mask:
    """Say whose presence key is there and of the cipher that the event names."""
    known: Mask = ciphers != UNKNOWN
    if inputs.cg_type is not None:
        known &= ciphers == inputs.cg_type
    return known


def _contexts(algorithm: Algorithm, keys: Bytes2d) -> list[_prims.Encryptor]:
    return list(_prims.encryptors(algorithm, keys.tobytes(), keys.shape[1]))


def _tac(algorithm: Algorithm, keys: Bytes2d, runs: Runs, inputs: ProofInputs) -> Bytes2d:
    """Chain the blocks of the padded TAC input of every tap."""
    block = algorithm.block_bytes
    data = np.zeros((len(inputs), _TAC_BYTES + block - _TAC_BYTES % block), dtype=np.uint8)
    data[:, :5] = np.frombuffer(_TAC_HEAD, dtype=np.uint8)
    data[:, 5:11] = inputs.psam_no
    data[:, 11:15] = inputs.psam_seq.astype(">u4").view(np.uint8).reshape(-1, 4)
    data[:, 15:19] = inputs.date
    data[:, 19:22] = inputs.time
    data[:, _TAC_BYTES] = 0x80
    folded = keys[:, :8] ^ keys[:, 8:] if algorithm is Algorithm.TDES else keys
    contexts = _contexts(algorithm, folded)
    chain = np.zeros((len(inputs), block), dtype=np.uint8)
    for at in range(0, data.shape[1], block):
        chain = runs.ecb(contexts, chain ^ data[:, at : at + block])
    return chain[:, :4]


def _mac2(algorithm: Algorithm, keys: Bytes2d, runs: Runs, inputs: ProofInputs) -> Bytes2d:
    """Derive every tap's session key and encrypt the one block of MAC2 under it."""
    blocks = _session_blocks(inputs)
    if algorithm is Algorithm.SM4:
        blocks = np.concatenate([blocks, ~blocks], axis=1)
    sessions = runs.ecb(_contexts(algorithm, keys), blocks)[runs.order]
    amount = _prims.pad80(bytes(4), algorithm.block_bytes)
    opened = _prims.encryptors(algorithm, sessions.tobytes(), algorithm.block_bytes)
    done = b"".join(context.update(amount)[:4] for context in opened)
    result = np.zeros((len(inputs), 4), dtype=np.uint8)
    result[runs.order] = np.frombuffer(done, dtype=np.uint8).reshape(-1, 4)
    return result


def _session_blocks(inputs: ProofInputs) -> Bytes2d:
    ctr = inputs.ctr.astype(">u2").view(np.uint8).reshape(-1, 2)
    low = (inputs.psam_seq.astype(np.uint32) & 0xFFFF).astype(">u2").view(np.uint8).reshape(-1, 2)
    return np.concatenate([inputs.rand, ctr, low], axis=1)


def _cg2(algorithm: Algorithm, keys: Bytes2d, runs: Runs, inputs: ProofInputs) -> Bytes2d:
    """Encrypt h8; under SM4 with eight zeros behind it, the halves xored."""
    contexts = _contexts(algorithm, keys)
    if algorithm is Algorithm.TDES:
        return runs.ecb(contexts, inputs.h8)
    whole = runs.ecb(contexts, np.concatenate([inputs.h8, np.zeros_like(inputs.h8)], axis=1))
    return whole[:, :8] ^ whole[:, 8:]
