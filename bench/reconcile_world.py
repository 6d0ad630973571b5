# SPDX-License-Identifier: Apache-2.0
"""A made-up city for the reconciliation benchmark: taps of 45 days with everything that happens.

Most volunteers tap in and out. A twentieth of them are troubled: forgotten tap-outs, two cards at
once, torn taps with and without rescue, clones, wrong proofs, blocked cards, minors, late
corrections. All arrays come sorted as the database would deliver them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.reconciliation import arrays
from server.reconciliation.arrays import Array, History

TAPS_PER_PERSON = 20
TAPS_PER_UPLOAD = 20
TERMINALS = 4_000
DAYS = 45
DAY_MS = 86_400_000
START_MS = 1_777_564_800_000  # 2026-05-01T00:00:00+08:00
AS_OF_MS = START_MS + 60 * DAY_MS
# One volunteer in twenty has a history that plain SQL cannot judge.
TROUBLED_EVERY = 20
IN, OUT, RESOLVED, GUARDIAN = 1, 2, 6, 10


@dataclass(frozen=True)
class City:
    """The history, and which taps belong to volunteers whose taps SQL can judge."""

    history: History
    simple_persons: NDArray[np.bool_]


def make_city(events: int, seed: int = 1) -> City:
    """Make about as many events as asked for, the same for the same seed."""
    rng = np.random.default_rng(seed)
    persons = max(TROUBLED_EVERY, events // TAPS_PER_PERSON)
    stays = _stays(rng, persons, events // 2)
    taps = _taps(rng, stays)
    troubled = np.arange(persons) % TROUBLED_EVERY == 0
    cards = _cards(rng, persons, troubled)
    taps["card_ctr"] = _counters(taps)
    _trouble(rng, taps, troubled)
    taps = taps[np.lexsort((taps["utc_ms"], taps["terminal"]))]
    _number(taps)
    batches = _batches(taps)
    history = History(
        taps=taps,
        persons=_persons(rng, persons, troubled),
        cards=cards,
        terminals=_terminals(),
        batches=batches,
        activities=_activities(),
        corrections=arrays.empty(arrays.CORRECTION_DTYPE),
    )
    return City(history, ~troubled)


def _stays(rng: np.random.Generator, persons: int, count: int) -> Array:
    """Return one row per stay: who, where, from, until; stays of a person do not overlap."""
    stays = np.zeros(count, [("person", "i4"), ("terminal", "i4"), ("start", "i8"), ("end", "i8")])
    stays["person"] = np.arange(count) % persons
    turn = np.arange(count) // persons
    turns = int(turn.max()) + 1
    slot_ms = DAYS * DAY_MS // turns
    length = rng.integers(2 * 60_000, min(6 * 3_600_000, slot_ms // 2), count)
    stays["start"] = START_MS + turn * slot_ms + rng.integers(0, slot_ms - length - 120_000)
    stays["end"] = stays["start"] + length
    stays["terminal"] = rng.integers(0, TERMINALS, count)
    return stays


def _taps(rng: np.random.Generator, stays: Array) -> Array:
    """Return the taps of all stays: 3 % lack one half, 5 % are followed by a nervous second tap."""
    kept_in = rng.random(len(stays)) >= 0.015
    kept_out = rng.random(len(stays)) >= 0.015
    again = rng.random(len(stays)) < 0.05
    parts = (
        (kept_in, "start", IN, 0),
        (again & kept_in, "start", IN, 20_000),
        (kept_out, "end", OUT, 0),
    )
    taps = np.zeros(sum(int(mask.sum()) for mask, *_ in parts), arrays.TAP_DTYPE)
    low = 0
    for mask, edge, kind, later in parts:
        rows = taps[low : low + int(mask.sum())]
        rows["utc_ms"] = stays[edge][mask] + later
        rows["card"] = stays["person"][mask]
        rows["terminal"] = stays["terminal"][mask]
        rows["type"] = kind
        low += len(rows)
    taps["site"] = taps["terminal"] // 2 + 1
    taps["activity"] = np.where(taps["terminal"] % 2, -1, taps["terminal"] // 2)
    taps["psam"] = taps["terminal"]
    taps["unc_ms"] = 500
    taps["tz_q"] = 32
    taps["proof"] = np.where(taps["terminal"] % 4 == 3, 15, 31)
    return taps


def _counters(taps: Array) -> NDArray[np.int32]:
    """Return each card's own counter of its taps, in order of time."""
    order = np.lexsort((taps["utc_ms"], taps["card"]))
    card = taps["card"][order]
    first = np.concatenate(([0], np.flatnonzero(card[1:] != card[:-1]) + 1))
    place = np.arange(len(taps)) - np.repeat(first, np.diff(np.append(first, len(taps))))
    counters = np.empty(len(taps), np.int32)
    counters[order] = place
    return counters


def _trouble(rng: np.random.Generator, taps: Array, troubled: NDArray[np.bool_]) -> None:
    """Spoil some taps of the troubled volunteers."""
    rows = np.flatnonzero(troubled[taps["card"]])
    fate = rng.random(len(rows))

    def pick(low: float, high: float) -> NDArray[np.int64]:
        return rows[(fate >= low) & (fate < high)]

    torn = pick(0.00, 0.03)
    taps["result"][torn], taps["proof"][torn] = 1, 25
    rescue = pick(0.03, 0.05)
    taps["type"][rescue], taps["proof"][rescue], taps["hint"][rescue] = RESOLVED, 23, OUT
    taps["verdict"][pick(0.05, 0.06)] = 1
    taps["card_ctr"][pick(0.06, 0.08)] += 1
    taps["flags"][pick(0.08, 0.09)] |= 4
    taps["type"][pick(0.09, 0.11)] = GUARDIAN
    taps["utc_ms"][pick(0.11, 0.12)] += 7_200_000
    other = pick(0.12, 0.20)
    taps["card"][other] = len(troubled) + taps["card"][other] // TROUBLED_EVERY


def _number(taps: Array) -> None:
    """Give each terminal's events their numbers, boots and running time, in order."""
    terminal = taps["terminal"]
    first = np.concatenate(([0], np.flatnonzero(terminal[1:] != terminal[:-1]) + 1))
    sizes = np.diff(np.append(first, len(taps)))
    taps["seq"] = 1 + np.arange(len(taps)) - np.repeat(first, sizes)
    taps["ref"] = taps["seq"]
    since = np.maximum(taps["utc_ms"] - START_MS, 0)
    taps["boot"] = since // (7 * DAY_MS)
    taps["up_ms"] = since % (7 * DAY_MS)


def _batches(taps: Array) -> Array:
    """Upload every terminal's taps each time some have come together; return the uploads."""
    group = (taps["seq"] - 1) // TAPS_PER_UPLOAD
    last = np.append(
        (group[1:] != group[:-1]) | (taps["terminal"][1:] != taps["terminal"][:-1]), True
    )
    ends = np.flatnonzero(last)
    taps["batch"] = np.repeat(np.arange(len(ends)), np.diff(np.append(-1, ends)))
    first_of_terminal = group == 0
    taps["anchor"] = np.where(first_of_terminal, -1, taps["batch"] - 1)
    rows = np.zeros(len(ends), arrays.BATCH_DTYPE)
    rows["id"] = np.arange(len(rows)) + 1
    # Sent with the last tap of each: what comes later names the receipt, and is later.
    rows["received_ms"] = np.maximum.reduceat(taps["utc_ms"], np.append(0, ends[:-1] + 1))
    rows["receipt_ms"] = rows["received_ms"]
    return rows


def _persons(rng: np.random.Generator, persons: int, troubled: NDArray[np.bool_]) -> Array:
    rows = np.zeros(persons, arrays.PERSON_DTYPE)
    rows["id"] = np.arange(persons) + 1
    rows["guardian"] = -1
    rows["derive"] = 1
    minors = np.flatnonzero(troubled & (rng.random(persons) < 0.2))
    rows["minor_until_ms"][minors] = AS_OF_MS
    rows["guardian"][minors] = (minors + 1) % persons
    return rows


def _cards(rng: np.random.Generator, persons: int, troubled: NDArray[np.bool_]) -> Array:
    second = np.flatnonzero(troubled)
    rows = np.zeros(persons + len(second), arrays.CARD_DTYPE)
    rows["id"] = np.arange(len(rows)) + 1
    rows["person"] = np.append(np.arange(persons), second)
    revoked = np.append(np.flatnonzero(troubled), np.arange(persons, len(rows)))
    revoked = revoked[rng.random(len(revoked)) < 0.1]
    rows["revoked_ms"][revoked] = START_MS + 30 * DAY_MS
    return rows


def _terminals() -> Array:
    rows = np.zeros(TERMINALS, arrays.TERMINAL_DTYPE)
    rows["id"] = np.arange(TERMINALS) + 1
    return rows


def _activities() -> Array:
    rows = np.zeros(TERMINALS // 2, arrays.ACTIVITY_DTYPE)
    rows["id"] = np.arange(len(rows)) + 1
    rows["start_ms"] = START_MS
    rows["end_ms"] = START_MS + DAYS * DAY_MS
    return rows
