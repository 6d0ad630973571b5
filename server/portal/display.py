# SPDX-License-Identifier: Apache-2.0
"""Numbers as people read them: hours and minutes, time coins, masked numbers. Integers inside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

COIN_TENTHS_PER_MINUTE = 2  # 60 minutes are 12 time coins, so one minute is 0.2


def hours_minutes(minutes: int) -> str:
    """Return whole minutes as h:mm.

    >>> hours_minutes(157), hours_minutes(0), hours_minutes(-65)
    ('2:37', '0:00', '-1:05')
    """
    sign = "-" if minutes < 0 else ""
    hours, rest = divmod(abs(minutes), 60)
    return f"{sign}{hours}:{rest:02d}"


def coins(minutes: int) -> str:
    """Return minutes as time coins with one decimal, exactly: no float is involved.

    >>> coins(60), coins(7), coins(90_896)
    ('12.0', '1.4', '18,179.2')
    """
    sign = "-" if minutes < 0 else ""
    whole, tenth = divmod(abs(minutes) * COIN_TENTHS_PER_MINUTE, 10)
    return f"{sign}{whole:,}.{tenth}"


def masked_number(number: str) -> str:
    """Return a volunteer number that staff can recognise but nobody can copy.

    >>> masked_number("1234567895")
    '12*****895'
    """
    return f"{number[:2]}{'*' * max(len(number) - 5, 0)}{number[-3:]}"


def local(instant_ms: int, tz_quarters: int) -> datetime:
    """Return an instant (ms UTC) as wall time of a zone given in quarter hours.

    >>> local(0, 32).isoformat()
    '1970-01-01T08:00:00+08:00'
    """
    zone = timezone(timedelta(minutes=15 * tz_quarters))
    return datetime.fromtimestamp(instant_ms / 1000, UTC).astimezone(zone)


def instant(wall: datetime, tz_quarters: int) -> int:
    """Return the instant (ms UTC) of a naive wall time in a zone given in quarter hours.

    >>> instant(datetime(1970, 1, 1, 8), 32)
    0
    """
    zone = timezone(timedelta(minutes=15 * tz_quarters))
    return int(wall.replace(tzinfo=zone).timestamp()) * 1000
