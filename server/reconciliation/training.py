# SPDX-License-Identifier: Apache-2.0
"""Training by tapping: the proven taps of a terminal in training mode become training records.

A first tap begins a class, the next one ends it. No second of it is service time; the kernel that
derives service leaves these taps alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from server.reconciliation.arrays import Array, History, records
from server.reconciliation.clock import DROPPED, QUARANTINED, VOIDED
from server.reconciliation.codes import (
    AUTO,
    FLAG_TRAINING,
    IN,
    OUT,
    PROOF_TAC,
    PROOF_TOKEN,
    SWITCH,
    TRAINING,
)
from server.reconciliation.compiled import PLAIN
from server.reconciliation.desk import service_day
from server.reconciliation.faults import FAULTS
from server.reconciliation.judging import FULL, card_marks, stance, terminal_marks
from server.reconciliation.parameters import HOUR_MS, MINUTE_MS, Policy
from server.reconciliation.running import correct_clocks

# A lesson at Chinese schools; what counts as one class-hour unless a deployment says otherwise.
CLASS_MINUTES = 45
# Whole-day courses end by the evening; a longer pair is two beginnings.
CLASS_MS_MAX = 12 * HOUR_MS
# A tap of these kinds in training mode is training.
TAP_TYPES = (IN, OUT, AUTO, SWITCH)
UNUSABLE = DROPPED | QUARANTINED | VOIDED


@dataclass(frozen=True, slots=True)
class Tap:
    """One proven tap in training mode: its row, whose, corrected time (ms UTC), site, zone."""

    row: int
    person: int
    when_ms: int
    site: int
    tz_q: int
    order: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Training:
    """A class one person went to; rows of the tap array, `last` is -1 while it has no end."""

    person: int
    first: int
    last: int
    start_ms: int
    end_ms: int
    service_day: int

    @property
    def minutes(self) -> int:
        """Return whole minutes, rounded down.

        >>> Training(0, 5, 6, 0, 5_459_999, 0).minutes
        90
        """
        return (self.end_ms - self.start_ms) // MINUTE_MS


def class_hours(minutes: int, unit_minutes: int = CLASS_MINUTES) -> int:
    """Return whole class-hours of a sum of minutes.

    >>> class_hours(89), class_hours(90), class_hours(90, unit_minutes=60)
    (1, 2, 1)
    """
    return minutes // unit_minutes


def list_training(history: History, policy: Policy, times: Array | None = None) -> list[Training]:
    """Return the training of the persons whose `derive` is 1, by person, then time.

    `times` are the corrected times of the taps; without them the clocks are corrected here.
    """
    rows = _training_rows(history.taps)
    if not len(rows):
        return []
    if times is None:
        rows, own = _corrected(history, rows, policy)
    else:
        own = records(times[rows])
    proven = (_proven(history, time, row) for row, time in zip(rows.tolist(), own, strict=True))
    found = [tap for tap in proven if tap is not None]
    found.sort(key=lambda tap: (tap.person, tap.when_ms, tap.order))
    return pair(found, policy.duplicate_ms)


def _corrected(
    history: History, rows: NDArray[np.int64], policy: Policy
) -> tuple[NDArray[np.int64], list[dict[str, int]]]:
    """Correct the clocks of the boots with training; return its rows and their times.

    The clock of a boot is corrected from all its events, and from those alone.
    """
    boots = _boots(history.taps)
    kept = np.flatnonzero(np.isin(boots, boots[rows]))
    part = replace(history, taps=history.taps[kept])
    clock = correct_clocks(part, PLAIN.table(part.taps), PLAIN.settings(policy), PLAIN)
    return rows, [clock[row] for row in _training_rows(part.taps).tolist()]


def pair(taps: list[Tap], duplicate_ms: int) -> list[Training]:
    """Pair taps sorted by person and time: begin, end, begin, end; nervous repeats are one tap.

    >>> at = lambda minute: Tap(minute, 0, minute * 60_000, 1, 32, (1, minute))
    >>> [(made.first, made.last) for made in pair([at(0), at(1), at(95), at(200)], 60_000)]
    [(0, 95), (200, -1)]
    """
    found: list[Training] = []
    opened: Tap | None = None
    before: Tap | None = None
    for tap in taps:
        if before is not None and before.person != tap.person:
            if opened is not None:
                found.append(_made(opened, None))
            opened = before = None
        if before is not None and tap.when_ms - before.when_ms <= duplicate_ms:
            continue
        before = tap
        if opened is not None and _ends(opened, tap):
            found.append(_made(opened, tap))
            opened = None
            continue
        if opened is not None:
            found.append(_made(opened, None))
        opened = tap
    if opened is not None:
        found.append(_made(opened, None))
    return found


def _ends(opened: Tap, tap: Tap) -> bool:
    """Tell if a tap ends a class: the same site, the same day there, not too long after."""
    same_day = service_day(opened.when_ms, opened.tz_q) == service_day(tap.when_ms, opened.tz_q)
    return tap.site == opened.site and same_day and tap.when_ms - opened.when_ms <= CLASS_MS_MAX


def _made(first: Tap, last: Tap | None) -> Training:
    return Training(
        person=first.person,
        first=first.row,
        last=last.row if last is not None else -1,
        start_ms=first.when_ms,
        end_ms=last.when_ms if last is not None else first.when_ms,
        service_day=service_day(first.when_ms, first.tz_q),
    )


def _training_rows(taps: Array) -> NDArray[np.int64]:
    """Return the rows of training taps with a card."""
    in_mode = np.isin(taps["type"], TAP_TYPES) & (taps["flags"] & FLAG_TRAINING != 0)
    return np.flatnonzero(((taps["type"] == TRAINING) | in_mode) & (taps["card"] >= 0))


def _boots(taps: Array) -> NDArray[np.int64]:
    """Return one number for each boot of each terminal."""
    return taps["terminal"].astype(np.int64) << 32 | taps["boot"].astype(np.int64) & 0xFFFFFFFF


def _proven(history: History, time: dict[str, int], row: int) -> Tap | None:
    """Return a tap if card or phone proved it, its time is known and nothing stands against it."""
    tap = history.taps[row]
    card = history.cards[tap["card"]]
    if not history.persons[card["person"]]["derive"] or time["note"] & UNUSABLE:
        return None
    if stance(tap) != FULL or not tap["proof"] & (PROOF_TAC | PROOF_TOKEN):
        return None
    received_ms = int(history.batches[tap["batch"]]["received_ms"])
    marks = terminal_marks(tap, history.terminals[tap["terminal"]], received_ms)
    marks |= card_marks(tap, time["when_ms"] + time["radius_ms"], int(card["revoked_ms"]))
    if marks & FAULTS:
        return None
    return Tap(
        row,
        int(card["person"]),
        time["when_ms"],
        int(tap["site"]),
        int(tap["tz_q"]),
        (int(tap["terminal"]), int(tap["seq"])),
    )
