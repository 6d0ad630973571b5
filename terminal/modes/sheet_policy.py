# SPDX-License-Identifier: Apache-2.0
"""A paper sheet, slot by slot: what may be typed, and what times it means. Pure.

The sheet is of today or of a day within the last year; an end that is not after the start is on
the next day. Times are the site's.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from terminal.site_config import SiteConfig, is_near

ASN_DIGITS = 20
ASN_PREFIX = "5949"  # how a card's serial begins that is typed without its zeros
PLANNED_MAX_MIN = 24 * 60
SHEET_MAX = 999_999_999
BACK_MAX_DAYS = 366
DAY_MIN = 24 * 60


class Slot(enum.Enum):
    """What is asked for next."""

    CARD = enum.auto()
    DATE = enum.auto()
    START = enum.auto()
    END = enum.auto()
    PLANNED = enum.auto()
    NUMBER = enum.auto()
    CHECK = enum.auto()


@dataclass(frozen=True, slots=True)
class Field:
    """How many digits a slot takes and which it believes."""

    digits_max: int
    accepts: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Form:
    """What was typed for each slot so far, in the order of `Slot`; the volunteer's card first."""

    typed: tuple[str, ...] = ()

    @property
    def slot(self) -> Slot:
        """Return what is asked for next."""
        return list(Slot)[len(self.typed)]

    def taken(self, typed: str) -> Form:
        """Return the form with one more slot filled."""
        return replace(self, typed=(*self.typed, typed))


@dataclass(frozen=True, slots=True)
class Sheet:
    """A whole sheet as the MANUAL event states it; times in seconds since 1970 UTC."""

    asn: bytes
    start_s: int
    end_s: int
    planned_min: int
    number: int


def serial(digits: str) -> str | None:
    """Return the card serial that typed digits mean: all twenty, or the end without its zeros.

    >>> serial("17"), serial("59490000000000000017"), serial("0"), serial("5" * 21)
    ('59490000000000000017', '59490000000000000017', None, None)
    """
    if not (digits.isascii() and digits.isdigit()) or len(digits) > ASN_DIGITS:
        return None
    if len(digits) == ASN_DIGITS:
        return digits
    room = ASN_DIGITS - len(ASN_PREFIX)
    if len(digits.lstrip("0")) > room or not int(digits):
        return None
    return ASN_PREFIX + digits.lstrip("0").rjust(room, "0")


def minute_of(digits: str) -> int | None:
    """Return the minute of the day that HHMM means; 2400 is its end.

    >>> minute_of("0930"), minute_of("2400"), minute_of("2401"), minute_of("930")
    (570, 1440, None, None)
    """
    if len(digits) != 4 or not digits.isdigit():
        return None
    hours, minutes = int(digits[:2]), int(digits[2:])
    total = hours * 60 + minutes
    return total if minutes < 60 and total <= DAY_MIN else None


def day_of(digits: str, today: date) -> date | None:
    """Return the day that MMDD means: the last one, not after today; nothing typed is today.

    >>> day_of("1231", date(2026, 1, 2)), day_of("", date(2026, 1, 2)), day_of("0230", date.max)
    (datetime.date(2025, 12, 31), datetime.date(2026, 1, 2), None)
    """
    if not digits:
        return today
    for year in (today.year, today.year - 1):
        try:
            day = date(year, int(digits[:2]), int(digits[2:]))
        except ValueError:
            continue
        if day <= today and (today - day).days <= BACK_MAX_DAYS:
            return day
    return None


def sheet_of(form: Form, now_utc_s: int, tz_q: int) -> Sheet | None:
    """Return the sheet a full form means, or None for one that cannot be: in the future, say.

    Without a planned length it is the time itself.
    """
    card, day_digits, start_digits, end_digits, planned_digits, number = form.typed
    zone = timedelta(minutes=15 * tz_q)
    now = datetime.fromtimestamp(now_utc_s, UTC) + zone
    day, asn = day_of(day_digits, now.date()), serial(card)
    start, end = minute_of(start_digits), minute_of(end_digits)
    if day is None or asn is None or start is None or end is None:
        return None
    length = (end - start) % DAY_MIN
    begun = datetime(day.year, day.month, day.day, tzinfo=UTC) - zone + timedelta(minutes=start)
    start_s = int(begun.timestamp())
    end_s = start_s + length * 60
    if not length or end_s > now_utc_s or start_s < 0:
        return None
    planned = int(planned_digits) if planned_digits else length
    return Sheet(bytes.fromhex(asn), start_s, end_s, planned, int(number or "0"))


def activity_of(config: SiteConfig, chosen_id: int, start_s: int) -> int:
    """Return the number of the activity that a sheet's time was served in, 0 for none.

    It is the chosen or fixed one if that was on when the sheet begins, otherwise what the schedule
    says of that time: the moment of typing tells nothing. Where an activity is only ever typed,
    nothing is guessed.
    """
    preferred = config.fixed_activity if config.activity_choice == "fixed" else chosen_id
    named = config.activity_by_id(preferred)
    if named is not None and is_near(named, start_s):
        return named.id
    by_schedule = None if config.activity_choice == "code" else config.activity_at(start_s)
    return 0 if by_schedule is None else by_schedule.id


def _is_day(digits: str) -> bool:
    if not digits:
        return True
    leap = date(2024, 12, 31)
    return len(digits) == 4 and day_of(digits, leap) is not None


def _is_length(digits: str) -> bool:
    return not digits or 1 <= int(digits) <= PLANNED_MAX_MIN


FIELDS = {
    Slot.CARD: Field(ASN_DIGITS, lambda digits: serial(digits) is not None),
    Slot.DATE: Field(4, _is_day),
    Slot.START: Field(4, lambda digits: minute_of(digits) is not None),
    Slot.END: Field(4, lambda digits: minute_of(digits) is not None),
    Slot.PLANNED: Field(4, _is_length),
    Slot.NUMBER: Field(9, lambda digits: not digits or int(digits) <= SHEET_MAX),
}
