# SPDX-License-Identifier: Apache-2.0
"""How many days the disk still lasts, if people go on tapping as they did of late."""

from __future__ import annotations

from swipe.event import Event
from terminal.journal import Journal

DAY_S = 86_400
LATELY_S = 7 * DAY_S  # a week has its weekend
DAYS_MAX = 9_999  # beyond it the figure says nothing


def days_left(free_bytes: int, grown_bytes: int, span_s: int) -> int | None:
    """Return for how many whole days the free room lasts; None if nothing was written lately.

    Args:
        free_bytes: What the disk still takes.
        grown_bytes: What the journal took in the time looked at.
        span_s: That time; less than a day counts as one, or a busy first hour would alarm people.

    >>> days_left(70_000_000, 7_000_000, LATELY_S)
    70
    >>> days_left(1_000_000, 100_000, 3600), days_left(1, 0, LATELY_S)
    (10, None)
    """
    if grown_bytes <= 0:
        return None
    return min(free_bytes * max(span_s, DAY_S) // (grown_bytes * DAY_S), DAYS_MAX)


def grown_lately(journal: Journal, utc_s: int) -> tuple[int, int]:
    """Return how many bytes the journal grew by in the last week, or since it began, and the time.

    What cannot be read counts as older: the rate is then that of fewer events.
    """
    offsets = journal.state.offsets
    low, high = 0, len(offsets)
    while low < high:
        middle = (low + high) // 2
        second = _second(journal, middle + 1)
        if second is None or second < utc_s - LATELY_S:
            low = middle + 1
        else:
            high = middle
    first = _second(journal, low + 1)
    if first is None:
        return 0, 0
    return journal.size - offsets[low], max(0, utc_s - first)


def _second(journal: Journal, seq: int) -> int | None:
    try:
        return Event.from_bytes(journal.event(seq)).utc_s
    except KeyError:
        return None
