# SPDX-License-Identifier: Apache-2.0
"""What lies on the desk while one person's taps are judged: facts, work rows, findings.

A plain container and the small questions every step asks. The functions stay inside the language
subset that numba compiles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from server.reconciliation.arrays import CLOSED, WAITING, Numbers, Rows
from server.reconciliation.parameters import DAY_MS, QUARTER_MS, Policy

# Marks of a tap or an interval: bit n = rule n, and some bits beyond the rules.
PAIRED = 1 << 1
FORKED = 1 << 3
PENDING = 1 << 4
DOUBLE = 1 << 5
SHORT = 1 << 7
IN_AGAIN = 1 << 8
IN_NEXT_DAY = 1 << 9
MISSING_OUT = 1 << 12
NO_PLAN = 1 << 13
ON_REQUEST = 1 << 14
LATE_OUT = 1 << 15
MIDNIGHT = 1 << 17
TWO_SITES = 1 << 19
TRAVELLED = 1 << 21
SWITCHED = 1 << 22
DRIFT = 1 << 24
STEP = 1 << 25
NO_CLOCK = 1 << 26
FUTURE = 1 << 27
COUNTER_GAP = 1 << 28
UNPROVEN = 1 << 32
HOTLISTED = 1 << 33
REVOKED = 1 << 34
RESCUED = 1 << 35
TORN = 1 << 36
LOGGED = 1 << 37
LONG = 1 << 38
RESTED = 1 << 39
ROUNDED = 1 << 40
CORRECTED = 1 << 41
TWO_CARDS = 1 << 43
GROUP = 1 << 45
TOO_LITTLE = 1 << 50
PHONE = 1 << 51
GUARDIAN_MISSING = 1 << 52
DISORDER = 1 << 53
WIDE_BOUNDS = 1 << 55
TWICE = 1 << 56
AFTER_REVOCATION = 1 << 57
EXPIRED = 1 << 59
QUARANTINE = 1 << 60
ALL_RULES = QUARANTINE - 1
# Two sites and two families of activities: rule 19 as a fault.
FOREIGN = 1 << 61
# Without TAC, but inside an outage that the terminal declared: rule 32 without a fault.
EXCUSED = 1 << 62

NEVER = -(1 << 62)

# What `Desk.counts` holds: how much was written, and who is at work.
ENTRIES, DRAFTS, INTERVALS, EXCEPTIONS, PERSON, LOUD, SHORT_WAY = 0, 1, 2, 3, 4, 5, 6
COUNTS = 7

CORRECTION_ROWS = np.dtype(
    [
        ("row", "i8"),  # in the array that was given
        ("start_ms", "i8"),
        ("end_ms", "i8"),
        ("rule", "i8"),
        ("terminal", "i8"),
        ("seq", "i8"),
        ("minutes", "i8"),
        ("activity", "i8"),
        ("grade", "i8"),
        ("decision", "i8"),
        ("tz_q", "i8"),
    ]
)

# The judged taps of a person, card after card.
LINE_ROWS = np.dtype(
    [
        ("row", "i8"),
        ("when_ms", "i8"),
        ("radius_ms", "i8"),
        ("marks", "i8"),
        ("kind", "i8"),
        ("grade", "i8"),
        ("slot", "i8"),  # which of the person's cards
        ("gap", "i8"),  # gaps in the card's counter so far
        ("merged", "i8"),  # not of this entry: the entry that comes at this place in time
    ]
)

# Per card of a person: where merging and pairing stand.
SLOT_ROWS = np.dtype(
    [
        ("head", "i8"),  # next entry to merge
        ("end", "i8"),
        ("open", "i8"),  # entry of the tap-in that waits for its tap-out, -1 = none
        ("last", "i8"),  # entry of the last accepted tap, -1 = none
        ("gap", "i8"),
        ("presence_ms", "i8"),  # last proof of presence since the open tap-in
    ]
)

# The intervals of a person while they are judged.
DRAFT_ROWS = np.dtype(
    [
        ("in_row", "i8"),
        ("out_row", "i8"),
        ("in_line", "i8"),  # entries of the line, -1 = none
        ("out_line", "i8"),
        ("start_ms", "i8"),
        ("end_ms", "i8"),
        ("rules", "i8"),
        ("grade", "i8"),
        ("state", "i8"),
        ("main", "i8"),  # rule of the exception it raises, 0 = none
        ("other_row", "i8"),
        ("from_ms", "i8"),  # proposal
        ("until_ms", "i8"),
        ("cap_ms", "i8"),  # planned length, 0 = no plan
        ("limit_ms", "i8"),  # most that may be credited without a leader, 0 = no limit
        ("correction", "i8"),  # its position in `corrections`, -1 = none
        ("minutes", "i8"),
        ("activity", "i8"),  # index, -1 = none
        ("set", "i8"),  # which set of parameters applies
        ("counts_ms", "i8"),  # what lies before it does not count (52), 0 = all counts
        ("present_ms", "i8"),  # presence that counts towards the least share (50)
        ("sorted", "i8"),  # not of this draft: the draft that comes at this place in time
    ]
)

# The taps of a person with one card, gathered for the short way.
SOUND_ROWS = np.dtype(
    [
        ("row", "i8"),
        ("when_ms", "i8"),
        ("marks", "i8"),
        ("kind", "i8"),
        ("grade", "i8"),
        ("terminal", "i8"),
        ("site", "i8"),
        ("activity", "i8"),
        ("tz_q", "i8"),
    ]
)

# Where the short way stands; places among the gathered taps, -1 = none.
WALK_ROWS = np.dtype(
    [
        ("opened", "i8"),  # tap-in that waits for its tap-out
        ("last", "i8"),  # last accepted tap
        ("last_out", "i8"),  # last tap-out
        ("closed", "i8"),  # row of the interval that `last` closed
        ("queued", "i8"),  # exceptions of intervals so far
        ("month", "i8"),  # of the last missing tap-out
        ("repeated", "i8"),  # missing tap-outs in that month
    ]
)


class Desk(NamedTuple):
    """One person at work: facts that are only read, work rows, and room for the findings.

    Numbers called `…_of` say where the rows of each owner begin; the next owner's begin is the end.
    `counts` says who sits there and how much was found. A desk that is not LOUD raises no
    exceptions: it is somebody's guardian who is looked at. At a desk without the SHORT_WAY
    everybody is judged the long way.
    """

    taps: Rows
    clock: Rows  # parallel to `taps`
    order: Numbers  # tap rows that belong to a line, by card, counter, time, terminal, seq
    order_of: Numbers  # in `order`, card by card
    cards: Rows
    person_cards: Numbers  # card indices, person by person
    cards_of: Numbers  # in `person_cards`, person by person
    decided_of: Numbers  # in `corrections`
    sheets_of: Numbers  # in `sheets`
    persons: Rows
    terminals: Rows
    batches: Rows
    activities: Rows
    sites: Rows  # the first is nowhere
    sets: Rows
    sheets: Numbers  # tap rows of time entered by hand, person by person
    corrections: Rows  # person by person, in order of decision
    line: Rows
    slots: Rows
    drafts: Rows
    sound: Rows
    keys: Numbers
    walk: Rows
    counts: Numbers
    intervals: Rows
    exceptions: Rows
    policy: Policy
    as_of_ms: int


def service_day(when_ms: int, tz_q: int) -> int:
    """Return the days since 1970 of an instant in a zone of quarter hours.

    >>> service_day(1_795_222_923_004, 32)
    20778
    """
    return (when_ms + tz_q * QUARTER_MS) // DAY_MS


def month_number(day: int) -> int:
    """Return months since year 0 of a day since 1970 (proleptic Gregorian calendar).

    >>> month_number(20778) == 2026 * 12 + 10
    True
    """
    shifted = day + 719_468  # from 0000-03-01, so that the leap day ends the year
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    return (year + era * 400) * 12 + (5 * of_year + 2) // 153 + 2


def plan_length(desk: Desk, activity: int) -> int:
    """Return the planned length of an activity, 0 without a plan."""
    if activity < 0 or desk.activities[activity]["end_ms"] <= 0:
        return 0
    plan = desk.activities[activity]
    return max(0, plan["end_ms"] - plan["start_ms"])


def set_at(desk: Desk, row: int, activity: int, when_ms: int) -> int:
    """Return the set of parameters for an activity, or without one for the site of a tap."""
    if activity >= 0:
        found = desk.activities[activity]["first"]
        stop = desk.activities[activity]["stop"]
    else:
        place = site_row(desk, desk.taps[row]["site"]) if row >= 0 else 0
        found = desk.sites[place]["first"]
        stop = desk.sites[place]["stop"]
    for position in range(found + 1, stop):
        if desk.sets[position]["from_ms"] <= when_ms:
            found = position
    return found


def site_row(desk: Desk, site: int) -> int:
    """Return the row of a site, 0 (nowhere) for an unknown one."""
    low = 0
    high = len(desk.sites)
    while high - low > 1:
        middle = (low + high) // 2
        if desk.sites[middle]["id"] <= site:
            low = middle
        else:
            high = middle
    return low if desk.sites[low]["id"] == site else 0


def apart_m2(desk: Desk, one: int, other: int) -> int:
    """Return the square of the way between two sites in metres, straight on; 0 if not known."""
    here, there = desk.sites[site_row(desk, one)], desk.sites[site_row(desk, other)]
    if not here["located"] or not there["located"]:
        return 0
    x = here["x_m"] - there["x_m"]
    y = here["y_m"] - there["y_m"]
    z = here["z_m"] - there["z_m"]
    return x * x + y * y + z * z


def decision_on(desk: Desk, rule: int, row: int) -> int:
    """Return the position of the last decision on an exception of a tap, -1 if none was made."""
    found = -1
    person = desk.counts[PERSON]
    for position in range(desk.decided_of[person], desk.decided_of[person + 1]):
        decision = desk.corrections[position]
        tap = desk.taps[row]
        if (
            decision["rule"] == rule
            and decision["terminal"] == tap["terminal"]
            and decision["seq"] == tap["seq"]
        ):
            found = position
    return found


def raise_exception(desk: Desk, rule: int, row: int, other_row: int) -> None:
    """Put a tap into the exception queue, with the leader's decision if there is one."""
    if not desk.counts[LOUD]:
        return
    decision = decision_on(desk, rule, row)
    position = desk.counts[EXCEPTIONS]
    desk.counts[EXCEPTIONS] = position + 1
    entry = desk.exceptions[position]
    entry["start_ms"] = 0
    entry["end_ms"] = 0
    entry["person"] = desk.counts[PERSON]
    entry["row"] = row
    entry["other_row"] = other_row
    entry["rule"] = rule
    # A second tap-out is evidence, nothing for a leader to settle.
    entry["state"] = CLOSED if rule == 11 else WAITING
    if decision >= 0:
        entry["state"] = desk.corrections[decision]["decision"]


def propose(desk: Desk, start_ms: int, end_ms: int) -> None:
    """Add a proposal to the exception raised last."""
    if desk.counts[LOUD]:
        entry = desk.exceptions[desk.counts[EXCEPTIONS] - 1]
        entry["start_ms"] = start_ms
        entry["end_ms"] = end_ms


HOT = (
    service_day,
    plan_length,
    decision_on,
    set_at,
)
HELPERS = (
    site_row,
    apart_m2,
    month_number,
    raise_exception,
    propose,
)
