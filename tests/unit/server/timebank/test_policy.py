# SPDX-License-Identifier: Apache-2.0
"""What is posted when intervals change."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.timebank.policy import Posted, Wanted, coins, difference

people = st.integers(1, 3)
keys = st.sampled_from(["in:1:1", "in:1:2", "out:2:1"])
minutes = st.integers(0, 90)


@st.composite
def wanted_lists(draw: st.DrawFn) -> list[Wanted]:
    """Some people's current intervals, each key once."""
    places = draw(st.sets(st.tuples(people, keys)))
    return [
        Wanted(person, key, number, draw(minutes))
        for number, (person, key) in enumerate(sorted(places), 1)
    ]


@given(first=wanted_lists(), second=wanted_lists())
def test_posting_a_difference_reaches_what_is_wanted(
    first: list[Wanted], second: list[Wanted]
) -> None:
    """After any change, what stands is worth exactly the current intervals, in one step."""
    standing = _post([], first, 1)
    standing = _post(standing, second, 100)

    found = difference(second, standing)

    assert (found.reverse, found.post) == ([], [])
    assert sum(item.minutes for item in standing) == sum(item.minutes for item in second)


def test_an_interval_that_vanishes_is_taken_back() -> None:
    """A posted interval without a current one is reversed and not posted again."""
    old = Posted(4, 7, "in:1:5", 30)

    found = difference([], [old])

    assert (found.reverse, found.post) == ([old], [])


def test_coins_of_the_published_total() -> None:
    """The published 18,179.2 coins are exactly 90,896 minutes."""
    assert coins(90_896) == "18179.2"


def _post(standing: list[Posted], wanted: list[Wanted], first: int) -> list[Posted]:
    found = difference(wanted, standing)
    kept = [item for item in standing if item not in found.reverse]
    return kept + [
        Posted(first + i, item.person, item.key, item.minutes) for i, item in enumerate(found.post)
    ]
