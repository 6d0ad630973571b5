# SPDX-License-Identifier: Apache-2.0
"""Rules of ingest: one verdict for each event, the order of a PSAM's numbers. Arrays, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.ingest.verdicts import Verdict

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found about n events, one mask each."""

    well_formed: Mask
    signed: Mask
    after_fork: Mask
    proven: Mask  # of a type that carries a card's answer
    card_known: Mask
    sound: Mask  # the card's answer is right, whole
    psam_known: Mask  # enrolled to this terminal at this number, and not set apart
    in_order: Mask  # the PSAM's number rises along the chain


def verdicts(found: Findings) -> NDArray[np.int16]:
    """Give each event the first verdict that applies; each one implies that those before passed.

    MALFORMED, BAD_SIGNATURE, FORKED, SYSTEM, BAD_PROOF, UNKNOWN_PSAM, PSAM_ORDER, UNKNOWN_CARD,
    OK, in this order.
    """
    ladder = [
        (~found.well_formed, Verdict.MALFORMED),
        (~found.signed, Verdict.BAD_SIGNATURE),
        (found.after_fork, Verdict.FORKED),
        (~found.proven, Verdict.SYSTEM),
        (~found.sound, Verdict.BAD_PROOF),
        (~found.psam_known, Verdict.UNKNOWN_PSAM),
        (~found.in_order, Verdict.PSAM_ORDER),
        (~found.card_known, Verdict.UNKNOWN_CARD),
    ]
    chosen = np.select(
        [mask for mask, _ in ladder], [int(verdict) for _, verdict in ladder], int(Verdict.OK)
    )
    return chosen.astype(np.int16)


def rising(numbers: Ints, floor: int, ceiling: int | None) -> Mask:
    """Say of each transaction number whether it is above all before it and below the ceiling.

    `floor` is the last number before these (0 = none), `ceiling` the next one after them.

    >>> rising(np.array([5, 7, 6, 9]), 4, 9).tolist()
    [True, True, False, False]
    """
    if not len(numbers):
        return np.zeros(0, dtype=np.bool_)
    highest = np.maximum.accumulate(np.concatenate([[floor], numbers]))[:-1]
    good: Mask = numbers > highest
    return good if ceiling is None else good & (numbers < ceiling)


def gaps(numbers: Ints, counted: Mask) -> Ints:
    """Return how many numbers are skipped before each of a row of rising numbers but the first.

    Only pairs with at least one counted member are looked at; the others give 0.

    >>> gaps(np.array([1, 2, 20]), np.array([True, True, True])).tolist()
    [0, 17]
    """
    skipped = np.diff(numbers) - 1
    return np.where(counted[1:] | counted[:-1], skipped, 0)
