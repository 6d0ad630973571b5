# SPDX-License-Identifier: Apache-2.0
"""Rules of ingest: one verdict for each event, the order of a PSAM's numbers, unusual silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.ingest.verdicts import Verdict

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]


MINUTE_MS = 60_000
DAY_MS = 86_400_000
WEEK = 7
# How far back pauses are looked at: ten times each weekday.
PAUSE_WINDOW_MS = 70 * DAY_MS
# Fewer days of one weekday, or days at all, tell no habit.
SAME_WEEKDAY_MIN, DAYS_MIN = 3, 5
# With so many of a weekday, one holiday or failure among them is left out.
OUTLIER_FROM = 4
# A quarter beyond the habit, and time for one lost upload to be tried again.
SILENCE_SLACK, SILENCE_EXTRA_MS = 1.25, 15 * MINUTE_MS
# Nobody is called for less; and whatever the habit, after two weeks somebody looks.
SILENCE_MIN_MS, SILENCE_MAX_MS = 30 * MINUTE_MS, 14 * DAY_MS
# Of a terminal without a habit yet.
SILENCE_NEW_MS = DAY_MS


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


def across(seqs: Ints, ends: Sequence[int]) -> Mask:
    """Say of each neighbouring pair of a rising row of numbers whether a box ended between them.

    `ends` are the last numbers of boxes that were replaced, rising.

    >>> across(np.array([16, 19, 24, 30]), [19]).tolist()
    [False, True, False]
    """
    boxes = np.searchsorted(np.array(ends, dtype=np.int64), seqs)
    found: Mask = boxes[1:] != boxes[:-1]
    return found


def usual_pause_ms(longest: Mapping[int, int], day: int) -> int | None:
    """Return the longest pause that is usual for a terminal heard last on a day, None if unknown.

    `longest` gives the longest pause (ms) that began on each earlier day. Days of the same weekday
    are compared, their longest left out where there are four or more; with too few of them, all
    days are, and their 90th percentile is taken.

    >>> office = {day: (62 if day % 7 == 1 else 14) for day in range(28) if day % 7 not in (2, 3)}
    >>> [usual_pause_ms(office, day) for day in (29, 32)]  # a Friday, a Monday
    [62, 14]
    """
    same = sorted(pause for d, pause in longest.items() if d < day and (day - d) % WEEK == 0)
    if len(same) >= SAME_WEEKDAY_MIN:
        return same[-2] if len(same) >= OUTLIER_FROM else same[-1]
    every = sorted(pause for d, pause in longest.items() if d < day)
    if len(every) < DAYS_MIN:
        return None
    return every[-(-9 * len(every) // 10) - 1]


def silence_limit_ms(usual_ms: int | None) -> int:
    """Return after how much silence (ms) an alarm is due.

    >>> silence_limit_ms(None) == DAY_MS, silence_limit_ms(60 * MINUTE_MS) // MINUTE_MS
    (True, 90)
    """
    if usual_ms is None:
        return SILENCE_NEW_MS
    limit = round(SILENCE_SLACK * usual_ms) + SILENCE_EXTRA_MS
    return max(SILENCE_MIN_MS, min(SILENCE_MAX_MS, limit))
