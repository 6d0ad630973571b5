# SPDX-License-Identifier: Apache-2.0
"""Which transfers bring the ledger in line with the current intervals. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# 60 minutes are 12 time coins; coins are display only, the ledger holds minutes.
COINS_PER_HOUR = 12
MINUTES_PER_HOUR = 60


@dataclass(frozen=True, slots=True)
class Wanted:
    """One current interval that is worth minutes."""

    person: int
    key: str
    interval_id: int
    minutes: int


@dataclass(frozen=True, slots=True)
class Posted:
    """One service transfer that stands: no other transfer reverses it."""

    transfer_id: int
    person: int
    key: str
    minutes: int


@dataclass(frozen=True, slots=True)
class Difference:
    """What to post: reversals of transfers that no longer hold, then new ones."""

    reverse: list[Posted]
    post: list[Wanted]


def difference(wanted: Iterable[Wanted], posted: Iterable[Posted]) -> Difference:
    """Find the transfers that turn what is posted into what is wanted.

    An interval that was derived again with the same minutes costs nothing.

    >>> old = Posted(1, person=7, key="in:1:5", minutes=30)
    >>> difference([Wanted(7, "in:1:5", 9, 30)], [old])
    Difference(reverse=[], post=[])
    >>> found = difference([Wanted(7, "in:1:5", 9, 25)], [old])
    >>> [item.minutes for item in found.reverse], [item.minutes for item in found.post]
    ([30], [25])
    """
    should = {(item.person, item.key): item for item in wanted if item.minutes}
    stands = {(item.person, item.key): item for item in posted}
    reverse = [
        item
        for place, item in sorted(stands.items())
        if place not in should or should[place].minutes != item.minutes
    ]
    post = [
        item
        for place, item in sorted(should.items())
        if place not in stands or stands[place].minutes != item.minutes
    ]
    return Difference(reverse, post)


def coins(minutes: int) -> str:
    """Show minutes as time coins with one decimal; a minute is exactly 0.2 coin.

    >>> coins(60), coins(7), coins(90_896)
    ('12.0', '1.4', '18179.2')
    """
    tenths = minutes * COINS_PER_HOUR * 10 // MINUTES_PER_HOUR
    return f"{tenths // 10}.{tenths % 10}"
