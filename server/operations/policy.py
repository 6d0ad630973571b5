# SPDX-License-Identifier: Apache-2.0
"""Months as the partitions and the archive know them: from one instant UTC up to another."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass

_WRITTEN = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of the calendar, in UTC.

    >>> month = Month.parse("2026-12")
    >>> str(month), month.table, str(month.next)
    ('2026-12', 'event_2026_12', '2027-01')
    >>> month.until_ms - month.first_ms
    2678400000
    """

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read YYYY-MM; raise ValueError for anything else.

        >>> Month.parse("2026-13")
        Traceback (most recent call last):
        ...
        ValueError: '2026-13': write a month as 2026-05
        """
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r}: write a month as 2026-05")
        return cls(int(found[1]), int(found[2]))

    @property
    def first_ms(self) -> int:
        """Return its first instant, milliseconds UTC."""
        return int(dt.datetime(self.year, self.number, 1, tzinfo=dt.UTC).timestamp()) * 1000

    @property
    def until_ms(self) -> int:
        """Return the first instant after it."""
        return self.next.first_ms

    @property
    def next(self) -> Month:
        """Return the month after it."""
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def table(self) -> str:
        """Return the name of its partition."""
        return f"event_{self.year:04}_{self.number:02}"

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"


def month_of(at_ms: int) -> Month:
    """Return the month of an instant.

    >>> str(month_of(1_795_222_923_004))
    '2026-11'
    """
    moment = dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC)
    return Month(moment.year, moment.month)


def months_from(first: Month, count: int) -> Iterator[Month]:
    """Give so many months, one after the other.

    >>> [str(month) for month in months_from(Month(2026, 12), 2)]
    ['2026-12', '2027-01']
    """
    for _ in range(count):
        yield first
        first = first.next
