# SPDX-License-Identifier: Apache-2.0
"""Weigh the evidence of each event: the terminal's signature and the card's three proofs.

All of it is arithmetic on arrays outside any unit of work. TAC, MAC2 and CG2 of all taps are
recomputed in bulk and compared whole; they give one joint verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from keys.bulk import expected_proofs, proofs_match
from keys.custody import KeyStore
from keys.suite import Suite
from keys.verify import verify_many
from server.ingest.verdicts import Proof
from swipe import arrays
from swipe.arrays import EventArray, Mask
from swipe.event import SWIPE_CONTEXT
from swipe.kinds import CardKind, CgType, EventType, Result

Stamp = tuple[int, int, int, int, int]
NO_PSAM = bytes(6)
SEQ_END = 1 << 32  # one more than the last sequence number there can be
TAP_RESULTS = (int(Result.OK), int(Result.TORN))


@dataclass(frozen=True, slots=True)
class PsamView:
    """What ingest needs to know of an enrolled PSAM."""

    terminal_id: int
    dpk_idx: int
    hardware: bool
    from_seq: int
    active: bool


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A terminal's valid keys, its first key, and the PSAMs named in a batch.

    `ends` names, for each key that has ended, the first event it does not sign any more; `lasts`,
    for each key of a box that was replaced, the last number of that box. `stamp` tells whether keys
    have ended or been let in since they were read, or PSAMs been let in or set apart.
    """

    terminal_id: int
    keys: Mapping[int, bytes]
    first_key: bytes
    psams: Mapping[bytes, PsamView]
    ends: Mapping[int, int] = field(default_factory=dict)
    lasts: Mapping[int, int] = field(default_factory=dict)
    stamp: Stamp = (0, 0, 0, 0, 0)

    @property
    def suite(self) -> Suite:
        """Return the suite of the terminal's keys; all of them are of one."""
        return Suite.of(self.first_key) if self.first_key else Suite.ED25519


@dataclass(frozen=True, slots=True)
class Weighed:
    """The evidence of n events, one row each."""

    bits: NDArray[np.int16]  # of verdicts.Proof
    well_formed: Mask
    signed: Mask
    proven: Mask
    sound: Mask
    psam_known: Mask


@dataclass(frozen=True, slots=True)
class _PsamColumns:
    """For each event: is its PSAM accepted, which key index has it, is it hardware."""

    found: Mask
    accepted: Mask
    dpk_idx: NDArray[np.uint8]
    hardware: Mask


def weigh(store: KeyStore, events: EventArray, enrolled: Enrolled) -> Weighed:
    """Weigh every event of a batch."""
    psam = _psam_columns(events, enrolled)
    signed = _signed(events, enrolled)
    proven = arrays.is_proven(events)
    tac, mac2, cg2 = _card_proofs(store, events, psam, enrolled.suite)
    bits = (
        Proof.SIGNATURE * signed
        + Proof.TAC * tac
        + Proof.MAC2 * mac2
        + Proof.CG2 * cg2
        + Proof.HARDWARE * (psam.hardware & proven)
    )
    return Weighed(
        bits=bits.astype(np.int16),
        well_formed=_well_formed(events, proven),
        signed=signed,
        proven=proven,
        sound=_sound(events, psam, tac & mac2, cg2),
        psam_known=psam.accepted,
    )


def _signed(events: EventArray, enrolled: Enrolled) -> Mask:
    """Verify each event's own signature; one by a key not or no more the terminal's is wrong."""
    good = np.zeros(len(events), dtype=np.bool_)
    messages = arrays.signed_messages(events)
    for key_id in np.unique(events["key_id"]).tolist():
        public_key = enrolled.keys.get(key_id)
        if public_key is None:
            continue
        rows = np.flatnonzero(events["key_id"] == key_id)
        chosen = [messages[row] for row in rows.tolist()]
        good[rows] = verify_many(public_key, events["signature"][rows], SWIPE_CONTEXT, chosen)
        good[rows] &= events["seq"][rows] < enrolled.ends.get(key_id, SEQ_END)
    for row in np.flatnonzero(good & (events["type"] == EventType.KEY_ROTATE)):
        # Nothing is signed with a key after the event that changes it.
        change = events[row]
        good &= ~((events["key_id"] == change["key_id"]) & (events["seq"] > change["seq"]))
    return good


def _psam_columns(events: EventArray, enrolled: Enrolled) -> _PsamColumns:
    count = len(events)
    found, accepted, hardware = (np.zeros(count, dtype=np.bool_) for _ in range(3))
    dpk_idx = np.zeros(count, dtype=np.uint8)
    resolved = events["type"] == EventType.TORN_RESOLVED
    numbers = np.ascontiguousarray(events["psam_no"]).view("V6").ravel()
    for number, view in enrolled.psams.items():
        rows = numbers == np.void(number)
        own = (view.terminal_id == enrolled.terminal_id) & (events["seq"] >= view.from_seq)
        found |= rows
        accepted |= rows & view.active & (own | resolved)
        hardware |= rows & view.hardware
        dpk_idx[rows] = view.dpk_idx
    return _PsamColumns(found, accepted, dpk_idx, hardware)


def _card_proofs(
    store: KeyStore, events: EventArray, psam: _PsamColumns, suite: Suite
) -> tuple[Mask, Mask, Mask]:
    """Recompute TAC, MAC2 and CG2 of every tap of a purse card and say which are right."""
    rows = np.flatnonzero(arrays.is_proven(events) & (events["card_kind"] == CardKind.PBOC_PURSE))
    taps = events[rows]
    # A resolved tap names no key index; the PSAM of the original tap tells it.
    resolved = taps["type"] == EventType.TORN_RESOLVED
    index = np.where(resolved, psam.dpk_idx[rows], taps["dpk_idx"])
    inputs = replace(arrays.proof_inputs(taps, suite), dpk_idx=index)
    right = proofs_match(expected_proofs(store, inputs), taps["tac"], taps["mac2"], taps["cg2"])
    answers = (right.tac, right.mac2, right.cg2)
    return tuple(_spread(answer, rows, len(events)) for answer in answers)  # type: ignore[return-value]


def _spread(values: Mask, rows: NDArray[np.intp], count: int) -> Mask:
    spread = np.zeros(count, dtype=np.bool_)
    spread[rows] = values
    return spread


def _sound(events: EventArray, psam: _PsamColumns, paid: Mask, cg2: Mask) -> Mask:
    """Say of which taps the card's whole answer is right; `paid` = TAC and MAC2 are right.

    A torn tap has CG2 alone, a resolved one TAC and MAC2 alone. A field that an answer of its
    kind does not have must be zero, so that nothing unproven can hide in it.
    """
    no_cg2 = (events["cg_type"] == CgType.NONE) & ~events["cg2"].any(axis=1)
    unpaid = ~events["tac"].any(axis=1) & ~events["mac2"].any(axis=1)
    index_fits = ~psam.found | (events["dpk_idx"] == psam.dpk_idx)
    resolved = (events["type"] == EventType.TORN_RESOLVED) & (events["dpk_idx"] == 0)
    torn = events["result"] == Result.TORN
    tap = np.where(torn, unpaid & cg2, paid & (cg2 | no_cg2)) & index_fits
    sound: Mask = np.where(events["type"] == EventType.TORN_RESOLVED, resolved & paid & no_cg2, tap)
    return sound


def _well_formed(events: EventArray, proven: Mask) -> Mask:
    """Say which events hold only what the format allows."""
    good = np.ones(len(events), dtype=np.bool_)
    for bad in arrays.form_faults(events).values():
        good &= ~bad
    resolved = events["type"] == EventType.TORN_RESOLVED
    fits = np.where(
        resolved, events["result"] == Result.RESOLVED, np.isin(events["result"], TAP_RESULTS)
    )
    return good & (fits | ~proven)
