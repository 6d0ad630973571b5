# SPDX-License-Identifier: Apache-2.0
"""Rules of the ledger: who may give what to whom, what follows from the intervals. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# 60 minutes are 12 time coins; coins are display only, the ledger holds minutes.
COINS_PER_HOUR = 12
MINUTES_PER_HOUR = 60
# All there is: minutes are earned, given, redeemed and expire. No account stands for money.
ACCOUNT_KINDS = ("volunteer", "held", "treasury", "opening")
# Of each kind of transfer: from which kind of account, to which.
ROUTES: dict[str, tuple[str, str]] = {
    "service": ("treasury", "volunteer"),
    "opening": ("opening", "volunteer"),
    "award": ("treasury", "volunteer"),
    "gift": ("volunteer", "volunteer"),
    "redeem": ("volunteer", "treasury"),
    "expiry": ("volunteer", "treasury"),
    "hold": ("volunteer", "held"),
    "post": ("held", "treasury"),
    "void": ("held", "volunteer"),
    "lapse": ("held", "volunteer"),
}
# A reversal goes the way of what it takes back, the other way round.
TRANSFER_KINDS = (*ROUTES, "reversal")
REVERSIBLE = ("service", "opening", "award", "gift", "redeem", "expiry", "post")
# A slip of the finger must not give away a life's service: 2 000 hours at once.
MINUTES_MAX = 120_000
# A hold longer than a quarter of a year is a gift that nobody dared to make.
HOLD_MS_MAX = 92 * 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """One current interval that is worth minutes."""

    person: int
    key: str
    interval_id: int
    minutes: int
    region: str = ""


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
        for place, item in stands.items()
        if place not in should or should[place].minutes != item.minutes
    ]
    post = [
        item
        for place, item in should.items()
        if place not in stands or stands[place].minutes != item.minutes
    ]
    # Few differ: to put all in order first would cost more than to find them.
    return Difference(sorted(reverse, key=_place), sorted(post, key=_place))


def _place(item: Wanted | Posted) -> tuple[int, str]:
    return item.person, item.key


def to_expire(credits_before: int, debits: int) -> int:
    """Return how many of the minutes earned before a day are still unspent; the oldest go first.

    >>> to_expire(600, 200), to_expire(600, 700)
    (400, 0)
    """
    return max(0, credits_before - debits)


def above_cap(balance: int, minutes: int, cap: int | None) -> bool:
    """Say whether a gift would lift an account above what one may hold, None = no cap.

    >>> above_cap(80, 20, 100), above_cap(80, 21, 100), above_cap(80, 21, None)
    (False, True, False)
    """
    return cap is not None and balance + minutes > cap


def overflow(held: int, change: int, above: int, cap: int | None) -> int:
    """Return what goes to the treasury of a change by services, negative: comes back from it.

    `held` is the balance before, `above` what went to the treasury so far. What a correction takes
    is first taken from there, so that without spending `min(earned, cap)` is held however the
    services came, and corrections give nobody back what was above the cap.

    >>> overflow(80, 50, 0, 100), overflow(100, -40, 30, 100), overflow(40, -1, 30, 100)
    (30, -30, -1)
    >>> overflow(120, 5, 0, 100), overflow(80, 50, 0, None)
    (5, 0)
    """
    if cap is None:
        return 0
    if change > 0:
        return max(0, change - max(0, cap - held))
    return -min(above, -change)


def coins(minutes: int) -> str:
    """Show minutes as time coins with one decimal; a minute is exactly 0.2 coin.

    >>> coins(60), coins(7), coins(90_896), coins(-7)
    ('12.0', '1.4', '18179.2', '-1.4')
    """
    tenths = abs(minutes) * COINS_PER_HOUR * 10 // MINUTES_PER_HOUR
    return f"{'-' if minutes < 0 else ''}{tenths // 10}.{tenths % 10}"


def coin_value_fen(average_fen: int, minimum_fen: int) -> int:
    """Return what a coin is worth in fen: the mean of two hourly wages / 12, to ten fen.

    >>> coin_value_fen(2_430, 2_130)
    190
    """
    twice = 2 * COINS_PER_HOUR
    tens = (average_fen + minimum_fen + 5 * twice) // (10 * twice)
    return tens * 10
