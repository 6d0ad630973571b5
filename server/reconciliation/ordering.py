# SPDX-License-Identifier: Apache-2.0
"""The two orders of the kernel: events by terminal and number, taps by card and counter.

Both are total, so that the order of arrival cannot matter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.reconciliation.arrays import Array, Numbers, Row, Rows
from server.reconciliation.clock import DROPPED
from server.reconciliation.codes import LINE_TYPES, MANUAL, OPENING_TYPES

# What a survey of the events can find.
SORTED, UNSORTED, UNSOUND = 0, 1, 2


def by_terminal(taps: Array) -> NDArray[np.int32]:
    """Return rows by terminal, sequence number and upload."""
    return np.lexsort((taps["batch"], taps["seq"], taps["terminal"])).astype(np.int32)


class Sizes(NamedTuple):
    """How many rows the registers have that events lead to."""

    terminals: int
    cards: int
    activities: int
    batches: int


def survey(taps: Rows, sizes: Sizes, first: int, stop: int) -> int:
    """Tell if taps[first:stop] are SORTED by terminal and number, or lead to no register."""
    found = SORTED
    for row in range(first, stop):
        tap = taps[row]
        if not (0 <= tap["terminal"] < sizes.terminals and 0 <= tap["batch"] < sizes.batches):
            return UNSOUND
        if not (-1 <= tap["card"] < sizes.cards and -1 <= tap["anchor"] < sizes.batches):
            return UNSOUND
        if not -1 <= tap["activity"] < sizes.activities:
            return UNSOUND
        if row > 0 and found == SORTED:
            before = taps[row - 1]
            if tap["terminal"] < before["terminal"] or (
                tap["terminal"] == before["terminal"] and tap["seq"] <= before["seq"]
            ):
                found = UNSORTED
    return found


def belongs(tap: Row, time: Row) -> bool:
    """Tell if an event takes its place in the line of a card."""
    return tap["card"] >= 0 and not time["note"] & DROPPED and tap["type"] in LINE_TYPES


class Stretch(NamedTuple):
    """The events taps[first:stop], and their corrected times."""

    taps: Rows
    clock: Rows
    first: int
    stop: int


def count_cards(events: Stretch, counts: Numbers, openings: Numbers) -> int:
    """Count, card by card, the taps that belong to a line and those that may open an interval.

    Return the number of sheets, time that was entered by hand.
    """
    taps, clock = events.taps, events.clock
    sheets = 0
    for row in range(events.first, events.stop):
        tap = taps[row]
        sheets += tap["type"] == MANUAL
        if belongs(tap, clock[row]):
            counts[tap["card"]] += 1
            openings[tap["card"]] += tap["type"] in OPENING_TYPES
    return sheets


def fill_cards(events: Stretch, places: Numbers, order: Numbers) -> None:
    """Write each row to its card's place; `places` begins as the starts and moves on."""
    taps, clock = events.taps, events.clock
    for row in range(events.first, events.stop):
        if belongs(taps[row], clock[row]):
            card = taps[row]["card"]
            order[places[card]] = row
            places[card] += 1


def sort_card(taps: Rows, clock: Rows, order: Numbers, start: int, stop: int) -> None:
    """Order the rows of one card by counter, time, terminal and number: Shell's sort, in place.

    A card has tens of taps, one that was used for years some ten thousand: no worst case hurts.
    """
    if in_order(taps, clock, order, start, stop):
        return
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


def in_order(taps: Rows, clock: Rows, order: Numbers, start: int, stop: int) -> bool:
    """Tell if the counters of a card rise already.

    It reads the front and the back of every row and its time, although the counter would do:
    rows lie far apart in memory, and asked for together they arrive together.
    """
    rising = 0
    touched = 0
    before = -1
    for position in range(start, stop):
        tap = taps[order[position]]
        touched |= tap["terminal"] | tap["verdict"] | clock[order[position]]["note"]
        rising += tap["card_ctr"] > before
        before = tap["card_ctr"]
    return rising == stop - start and touched >= 0


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


HOT = (belongs, precedes)
HELPERS = (sort_card, in_order)
