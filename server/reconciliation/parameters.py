# SPDX-License-Identifier: Apache-2.0
"""The numbers a deployment may set for its rules; every one with its reason."""

from __future__ import annotations

from dataclasses import dataclass, fields

# Raised whenever the same history could give another result; kept with every interval.
ENGINE_VERSION = 3

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
QUARTER_MS = 15 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of the rules, milliseconds unless the name says otherwise.

    >>> Policy().duplicate_ms
    60000
    """

    # Rules 5, 6: a nervous second tap comes within seconds; nobody serves less than a minute.
    duplicate_ms: int = MINUTE_MS
    # Key 2 undoes the last tap for as long as its screen stays up.
    void_ms: int = 10_000
    # Rule 7: below this a stay is a visit. Kept and shown, not credited.
    min_interval_ms: int = 5 * MINUTE_MS
    # Rules 8, 9, 13, 38: longer than any honest shift, shorter than the way to the next morning.
    max_shift_ms: int = 16 * HOUR_MS
    # Rule 12: people leave late; only then is a missing tap-out worth a leader's attention.
    grace_ms: int = 30 * MINUTE_MS
    # Rule 52: guardian and minor arrive together but tap one after the other, in a queue.
    guardian_ms: int = 10 * MINUTE_MS
    # Rules 24-26: worst crystal without temperature compensation.
    drift_ppm: int = 50
    # Rules 24, 25: smaller corrections of the clock are not worth a word to anyone.
    clock_notice_ms: int = 1_000
    # Rule 35: the card keeps the second of a torn tap but not how sure the terminal was of it.
    resolved_radius_ms: int = MINUTE_MS
    # Rule 35: best grade (1 = A, 2 = B) of a torn tap whose rescue completes all three proofs.
    rescued_grade: int = 1
    # Rule 55: a terminal is expected to see the network at least once a month.
    time_width_ms: int = 31 * DAY_MS
    # Rule 14: forgetting happens; a fourth time in one month deserves a talk.
    repeated_missing: int = 3
    # Rule 21: faster than any train between two places; whoever flies does not tap at the gate.
    travel_kmh: int = 400
    # Rule 19, where travel does not count: the pace of a bus in town, stops included.
    pace_kmh: int = 30
    # Rule 28: after this a terminal that is silent is lost, and a leader decides without it.
    gap_wait_ms: int = 14 * DAY_MS
    # Rule 51: best grade (1 = A, 2 = B, 3 = C) of a tap by phone; a phone proves no chip.
    token_grade: int = 2
    # Rule 39: time after which a break is owed, and its length; 0 = no break is taken off.
    break_after_ms: int = 0
    break_ms: int = 30 * MINUTE_MS
    # Rule 40: 1 = time before the planned start, or after the planned end, counts as it is.
    early_counts: int = 1
    late_counts: int = 1
    # Rule 40: credited minutes are a multiple of this.
    round_minutes: int = 1
    # Rule 50: least presence in percent of the planned length, 0 = any.
    share_percent: int = 0
    # Rule 19: 1 = the way between two sites counts.
    travel_counts: int = 1


DEFAULT_POLICY = Policy()
# What an activity, a site or a region may have of its own, from a day on. The others decide which
# taps belong together, before anybody knows to what activity.
SCOPED = (
    "min_interval_ms",
    "grace_ms",
    "break_after_ms",
    "break_ms",
    "early_counts",
    "late_counts",
    "round_minutes",
    "share_percent",
    "travel_counts",
)
# Bounds of what may be set: a slip of the finger must not empty a city's ledger.
LIMITS: dict[str, tuple[int, int]] = {
    "min_interval_ms": (0, 4 * HOUR_MS),
    "grace_ms": (0, 12 * HOUR_MS),
    "break_after_ms": (0, 24 * HOUR_MS),
    "break_ms": (0, 4 * HOUR_MS),
    "early_counts": (0, 1),
    "late_counts": (0, 1),
    "round_minutes": (1, 60),
    "share_percent": (0, 100),
    "travel_counts": (0, 1),
}
assert set(LIMITS) == set(SCOPED) <= {field.name for field in fields(Policy)}
