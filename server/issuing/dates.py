# SPDX-License-Identifier: Apache-2.0
"""Due dates: working days by a calendar, half a year at the branch. Pure.

A period begins on the day after; it ends with its last day, that is at the midnight behind it.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from server.db import from_millis, to_millis

ZONE = ZoneInfo("Asia/Shanghai")
MAKE_DAYS = 15  # working days to make a card; overdue on the sixteenth
NOTICE_DAYS = 20  # working days until the holder is told
BRANCH_MONTHS = 6  # a branch keeps a card half a year
SATURDAY = 5
SPAN_MAX_DAYS = 4_000  # no due date lies ten years off; bounds a search through a bad calendar


@dataclass(frozen=True, slots=True)
class WorkCalendar:
    """Which days are worked: Monday to Friday, except the days that say otherwise.

    Attributes:
        exceptions: Day → whether it is worked.
        years: Years whose exceptions are known.
        provisional: Of these, years for which only the days fixed by law are known.
    """

    exceptions: Mapping[dt.date, bool] = field(default_factory=dict)
    years: Collection[int] = ()
    provisional: Collection[int] = ()

    def is_working(self, day: dt.date) -> bool:
        """Tell whether a day is worked.

        >>> WorkCalendar({dt.date(2026, 10, 1): False}).is_working(dt.date(2026, 10, 1))
        False
        """
        return self.exceptions.get(day, day.weekday() < SATURDAY)

    def working_days_after(self, day: dt.date, count: int) -> dt.date:
        """Return the count-th working day after a day.

        >>> WorkCalendar().working_days_after(dt.date(2026, 11, 20), 1).isoformat()
        '2026-11-23'
        """
        left = count
        found = day
        for _ in range(SPAN_MAX_DAYS):
            if not left:
                return found
            found += dt.timedelta(days=1)
            left -= self.is_working(found)
        message = f"no {count} working days after {day}: the calendar has too many free days"
        raise ValueError(message)

    def is_firm(self, day: dt.date) -> bool:
        """Tell whether the year of a day is known as announced, not provisionally."""
        return day.year in self.years and day.year not in self.provisional


@dataclass(frozen=True, slots=True)
class Due:
    """When a card must be made, and when its holder must have been told, both from the export."""

    make_ms: int
    notice_ms: int


def due_after_export(known: WorkCalendar, exported_ms: int) -> Due:
    """Return the two due dates of a card that was ordered from a partner at an instant."""
    day = local_day(exported_ms)
    return Due(
        end_of(known.working_days_after(day, MAKE_DAYS)),
        end_of(known.working_days_after(day, NOTICE_DAYS)),
    )


def months_after(day: dt.date, months: int) -> dt.date:
    """Return the same day some months later, the last of the month where there is no such day.

    >>> months_after(dt.date(2026, 8, 31), 6).isoformat()
    '2027-02-28'
    """
    whole = day.year * 12 + day.month - 1 + months
    year, month = divmod(whole, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return dt.date(year, month + 1, min(day.day, last))


def due_at_branch(arrived_ms: int) -> int:
    """Return until when a branch keeps a card that arrived at an instant (ms UTC)."""
    return end_of(months_after(local_day(arrived_ms), BRANCH_MONTHS))


def local_day(at_ms: int) -> dt.date:
    """Return the day of an instant where the volunteers live."""
    return from_millis(at_ms).astimezone(ZONE).date()


def start_of(day: dt.date) -> int:
    """Return the instant (ms UTC) at which a day begins there."""
    return to_millis(dt.datetime(day.year, day.month, day.day, tzinfo=ZONE))


def end_of(day: dt.date) -> int:
    """Return the instant (ms UTC) at which a day is over."""
    return start_of(day + dt.timedelta(days=1))


def last_day(end_ms: int) -> dt.date:
    """Return the last day of a period that is over at an instant.

    >>> last_day(end_of(dt.date(2027, 2, 28))).isoformat()
    '2027-02-28'
    """
    return local_day(end_ms - 1)
