# SPDX-License-Identifier: Apache-2.0
"""The level of a volunteer: hours held against a rule table of its day."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

MINUTES_PER_HOUR = 60


@dataclass(frozen=True, slots=True)
class LevelRule:
    """From a day on, the hours that each level takes, the lowest first."""

    from_day: dt.date
    hours: tuple[int, ...]


# Star levels as Guangdong gives them, valid since before this system: one to five stars.
RULES = (LevelRule(dt.date(1970, 1, 1), (100, 300, 600, 1_000, 1_500)),)


def level_of(minutes: int, day: dt.date, rules: tuple[LevelRule, ...] = RULES) -> int:
    """Return the level that so many minutes of service are on a day; 0 before any rule.

    >>> [level_of(60 * hours, dt.date(2026, 5, 1)) for hours in (99, 100, 999, 1_000, 2_000)]
    [0, 1, 3, 4, 5]
    """
    valid = [rule for rule in rules if rule.from_day <= day]
    if not valid:
        return 0
    newest = max(valid, key=lambda rule: rule.from_day)
    return sum(minutes >= hours * MINUTES_PER_HOUR for hours in newest.hours)
