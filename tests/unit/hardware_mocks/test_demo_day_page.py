# SPDX-License-Identifier: Apache-2.0
"""The page of the demonstration day agrees with itself."""

from __future__ import annotations

import collections
import itertools

import pytest

from hardware_mocks.day.cast import Cast, read_cast
from hardware_mocks.day.document import PAGE, DocumentError, read_tables
from hardware_mocks.day.story import (
    Answer,
    Deed,
    Outcome,
    Step,
    Tap,
    moments,
    read_outcomes,
    read_steps,
)

TABLES = read_tables(PAGE.read_text(encoding="utf-8"))
CAST: Cast = read_cast(TABLES)
STEPS: tuple[Step, ...] = read_steps(TABLES["The day"])
OUTCOMES: tuple[Outcome, ...] = read_outcomes(TABLES["The outcome"])
TAPS = [(step, step.what) for step in STEPS if isinstance(step.what, Tap)]


def test_everybody_has_an_outcome() -> None:
    """The cast and the outcome name the same people in the same order."""
    assert [outcome.who for outcome in OUTCOMES] == [person.who for person in CAST.people]


def test_day_is_large_enough() -> None:
    """At least 24 volunteers tap, at least 64 times in all."""
    assert len(CAST.people) >= 24
    assert len(TAPS) >= 64


def test_outcome_counts_the_taps_of_the_day() -> None:
    """The taps in the last table are the taps played."""
    played = collections.Counter(tap.who for _, tap in TAPS)

    assert {outcome.who: outcome.taps for outcome in OUTCOMES} == dict(played)


def test_minutes_are_the_sum_of_the_intervals() -> None:
    """Each person's minutes and grades are those of the intervals beside them."""
    for outcome in OUTCOMES:
        earned = [part.split() for part in outcome.intervals]
        grades = {grade for minutes, grade in earned if minutes != "0"}

        assert outcome.minutes == sum(int(minutes) for minutes, _ in earned), outcome.who
        assert set(outcome.grades) == grades, outcome.who


def test_credited_minutes_are_whole_minutes_between_taps() -> None:
    """Every credited interval is an IN and the next OUT of the person, in whole minutes."""
    for outcome in OUTCOMES:
        mine = [(step.utc_ms, tap) for step, tap in TAPS if tap.who == outcome.who]
        spans = [
            (out_ms - in_ms) // 60_000
            for (in_ms, first), (out_ms, last) in itertools.pairwise(mine)
            if first.shows is Answer.IN and (last.shows is Answer.OUT or last.pulled_off)
        ] + [
            (mine[2][0] - mine[0][0]) // 60_000
            for first in mine[1:2]
            if first[1].shows is Answer.ALREADY
        ]

        for part in outcome.intervals:
            minutes, _ = part.split()
            assert minutes == "0" or int(minutes) in spans, outcome.who


def test_no_interval_hangs_on_a_second() -> None:
    """Every span between two taps is at least ten seconds away from another whole minute."""
    for person in CAST.people:
        times = [step.utc_ms // 1000 for step, tap in TAPS if tap.who == person.who]
        seconds = [(later - earlier) % 60 for earlier, later in itertools.pairwise(times)]

        assert all(10 <= second <= 50 for second in seconds if second), person.who


def test_every_announced_mishap_is_played() -> None:
    """Every kind of deed happens at least once."""
    played = {step.what for step in STEPS if isinstance(step.what, Deed)}

    assert set(Deed) == played


def test_a_terminal_has_one_card_at_a_time() -> None:
    """At one second there is at most one tap at each terminal."""
    for _, steps in moments(STEPS):
        posts = [step.post for step in steps if isinstance(step.what, Tap)]

        assert len(posts) == len(set(posts))


def test_at_least_five_rules_reach_the_queue() -> None:
    """The exception queue ends with five different rules or more."""
    assert len({rule for outcome in OUTCOMES for rule in outcome.queue}) >= 5


@pytest.mark.parametrize("does", ["key 3", "dance", "tap, dance"])
def test_unknown_word_is_refused(does: str) -> None:
    """A word that the run does not know is an error, not a comment."""
    row = {"time": "08:00:00", "at": "A", "who": "V01", "does": does, "shows": "in"}

    with pytest.raises(DocumentError):
        read_steps([row])


def test_day_that_runs_back_is_refused() -> None:
    """Rows stand in order of time."""
    row = {"at": "A", "who": "V01", "does": "tap", "shows": "in"}

    with pytest.raises(DocumentError, match="runs back"):
        read_steps([{"time": "08:00:01", **row}, {"time": "08:00:00", **row}])
