# SPDX-License-Identifier: Apache-2.0
"""The numbers a deployment may set for its rules; every one with its reason."""

from __future__ import annotations

from dataclasses import dataclass

# Raised whenever the same history could give another result; kept with every interval.
ENGINE_VERSION = 1

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


DEFAULT_POLICY = Policy()
