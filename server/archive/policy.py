# SPDX-License-Identifier: Apache-2.0
"""What the archive holds: topics, months, shards, and the totals a part must give again."""

from __future__ import annotations

import enum
from collections.abc import Iterator

from server.operations.policy import Month, month_of

# A month takes no further event once it is over by so much: no unit of work lasts as long.
SETTLING_MS = 3_600_000
SHARDS_MAX = 4_096


class Topic(enum.StrEnum):
    """What is archived; each has its own folder."""

    EVENTS = "events"
    INTERVALS = "intervals"
    ENTRIES = "entries"


def is_over(month: Month, now_ms: int) -> bool:
    """Tell whether nothing more can be stored under a month.

    >>> is_over(Month(2026, 10), Month(2026, 11).first_ms)
    False
    >>> is_over(Month(2026, 10), Month(2026, 11).first_ms + SETTLING_MS)
    True
    """
    return now_ms >= month.until_ms + SETTLING_MS


def months_between(first_ms: int, last_ms: int) -> Iterator[Month]:
    """Give the months from that of one instant to that of another.

    >>> [str(month) for month in months_between(0, 40 * 86_400_000)]
    ['1970-01', '1970-02']
    """
    month, last = month_of(first_ms), month_of(last_ms)
    while month <= last:
        yield month
        month = month.next
