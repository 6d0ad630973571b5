# SPDX-License-Identifier: Apache-2.0
"""The two orders of the kernel: events by terminal and number, taps by card and counter.

Both are total, so that the order of arrival cannot matter. Large histories are put in order by
compiled code, small ones by numpy; the results are identical.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.reconciliation.arrays import Array, Numbers, Row, Rows
from server.reconciliation.clock import DROPPED
from server.reconciliation.codes import LINE_TYPES

COUNTERS = 1 << 16  # a card's transaction counter has two bytes


def by_terminal(taps: Array) -> NDArray[np.int32]:
    """Return rows by terminal, sequence number and time of arrival."""
    return np.lexsort((taps["received_ms"], taps["seq"], taps["terminal"])).astype(np.int32)


def by_card(taps: Array, clock: Array, cards: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the rows that belong to a line, by card, counter and time, and each card's start."""
    kept = clock["note"] & DROPPED == 0
    wanted = (taps["card"] >= 0) & np.isin(taps["type"], LINE_TYPES) & kept
    rows = np.flatnonzero(wanted)
    chosen = taps[rows]
    keys = (
        chosen["seq"],
        chosen["terminal"],
        clock["when_ms"][rows],
        chosen["card_ctr"],
        chosen["card"],
    )
    order = rows[np.lexsort(keys)].astype(np.int32)
    sizes = np.bincount(chosen["card"], minlength=cards)
    return order, np.concatenate(([0], np.cumsum(sizes)))


def rising(taps: Rows) -> bool:
    """Tell if the events come by terminal and sequence number already, none of them twice."""
    for row in range(1, len(taps)):
        tap, before = taps[row], taps[row - 1]
        if tap["terminal"] < before["terminal"]:
            return False
        if tap["terminal"] == before["terminal"] and tap["seq"] <= before["seq"]:
            return False
    return True


def belongs(tap: Row, time: Row) -> bool:
    """Tell if an event takes its place in the line of a card."""
    return tap["card"] >= 0 and not time["note"] & DROPPED and tap["type"] in LINE_TYPES


def count_cards(taps: Rows, clock: Rows, starts: Numbers) -> None:
    """Turn zeros, one more than cards, into where each card's rows begin; the last is the end."""
    for row in range(len(taps)):
        if belongs(taps[row], clock[row]):
            starts[taps[row]["card"] + 1] += 1
    for card in range(1, len(starts)):
        starts[card] += starts[card - 1]


def fill_cards(taps: Rows, clock: Rows, starts: Numbers, places: Numbers, order: Numbers) -> None:
    """Write each card's rows to its place and order them; `places` is a copy of `starts`."""
    for row in range(len(taps)):
        if belongs(taps[row], clock[row]):
            card = taps[row]["card"]
            order[places[card]] = row
            places[card] += 1
    for card in range(len(starts) - 1):
        sort_card(taps, clock, order, starts[card], starts[card + 1])


def sort_card(taps: Rows, clock: Rows, order: Numbers, start: int, stop: int) -> None:
    """Order the rows of one card by counter, time, terminal and number: Shell's sort, in place.

    A card has tens of taps, one that was used for years some ten thousand: no worst case hurts.
    """
    gap = 1
    while gap < (stop - start) // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for position in range(start + gap, stop):
            row = order[position]
            place = position
            while place >= start + gap and precedes(taps, clock, row, order[place - gap]):
                order[place] = order[place - gap]
                place -= gap
            order[place] = row
        gap //= 3


def precedes(taps: Rows, clock: Rows, one: int, other: int) -> bool:
    """Compare two taps of one card: counter, then time, then terminal and number (rule 49)."""
    tap, other_tap = taps[one], taps[other]
    if tap["card_ctr"] != other_tap["card_ctr"]:
        return tap["card_ctr"] < other_tap["card_ctr"]
    if clock[one]["when_ms"] != clock[other]["when_ms"]:
        return clock[one]["when_ms"] < clock[other]["when_ms"]
    if tap["terminal"] != other_tap["terminal"]:
        return tap["terminal"] < other_tap["terminal"]
    return tap["seq"] < other_tap["seq"]


HELPERS = (belongs, sort_card, precedes)
