# SPDX-License-Identifier: Apache-2.0
"""Dates and times in packed decimal, as PBOC files and purse commands carry them."""

from __future__ import annotations

import datetime as dt

from card.errors import LayoutError

QUARTER_S = 900  # zones are counted in quarter hours
_NO_DATE = bytes(4)


def date_to_bcd(date: dt.date | None) -> bytes:
    """Code a date as YYYYMMDD in four bytes; None is four zero bytes.

    >>> date_to_bcd(dt.date(2026, 11, 21)).hex()
    '20261121'
    """
    if date is None:
        return _NO_DATE
    return bytes.fromhex(f"{date.year:04}{date.month:02}{date.day:02}")


def date_from_bcd(coded: bytes) -> dt.date | None:
    """Read YYYYMMDD; four zero bytes are None.

    Raises:
        LayoutError: Not a date.
    """
    if coded == _NO_DATE:
        return None
    digits = coded.hex()
    try:
        return dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError as exc:
        # The digits stay out of the message: they may be somebody's birthday.
        raise LayoutError("YYYYMMDD", "no date") from exc


def bcd_datetime(utc_s: int, tz_q: int) -> tuple[bytes, bytes]:
    """Code a second as the local date (4 bytes) and time (3 bytes) a card is told.

    Args:
        utc_s: Seconds since 1970-01-01 00:00 UTC.
        tz_q: Offset of local time in quarter hours.

    >>> [part.hex() for part in bcd_datetime(1_795_222_800, 32)]
    ['20261121', '090000']
    """
    local = dt.datetime.fromtimestamp(utc_s + QUARTER_S * tz_q, dt.UTC)
    return bytes.fromhex(f"{local:%Y%m%d}"), bytes.fromhex(f"{local:%H%M%S}")
