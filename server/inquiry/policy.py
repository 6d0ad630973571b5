# SPDX-License-Identifier: Apache-2.0
"""From minutes to stars: the thresholds of Guangdong's star levels, in hours of service."""

from __future__ import annotations

# One to five stars (星级志愿者): 100, 300, 600, 1 000 and 1 500 hours.
STAR_HOURS = (100, 300, 600, 1_000, 1_500)
MINUTES_PER_HOUR = 60


def stars(minutes: int) -> int:
    """Return the stars that so many credited minutes are worth, 0 to 5.

    >>> stars(5_999), stars(6_000), stars(90_000)
    (0, 1, 5)
    """
    return sum(minutes >= hours * MINUTES_PER_HOUR for hours in STAR_HOURS)
