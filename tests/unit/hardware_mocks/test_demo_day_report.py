# SPDX-License-Identifier: Apache-2.0
"""The day is compared with its page, thing by thing."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json

import pytest

from hardware_mocks.day.cast import Person
from hardware_mocks.day.facts import Facts, Interval, JournalFacts, Record
from hardware_mocks.day.report import Played, check_whole, compare, summary, table
from hardware_mocks.day.story import Outcome
from hardware_mocks.lcd import columns

PERSON = Person("V01", "林晓燕", "Lin Xiaoyan", dt.date(1988, 3, 14), None)
OUTCOME = Outcome("V01", 3, ("189 A", "0 held"), 189, ("A",), frozenset({52}), (52,), "why")
RECORD = Record(
    (Interval(189, "A", "credited", (1,)), Interval(0, "B", "held", (1, 52))),
    (52,),
    frozenset({1, 52}),
    189,
)
FACTS = Facts(
    {7: RECORD}, 40, 0, 0, 0, {"A": JournalFacts(30, 30, ()), "B": JournalFacts(10, 10, ())}
)
PLAYED = Played(("Desk 00 00",), 1, {"V01": 3}, 1, (), "sqlite:///x", 12.34)


def test_day_that_agrees_has_no_differences() -> None:
    """What is as the page says is not mentioned."""
    assert compare([OUTCOME], {"V01": RECORD}, {"V01": 3}) == []
    assert check_whole(FACTS, PLAYED) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"intervals": RECORD.intervals[:1]}, "intervals"),
        ({"intervals": (Interval(188, "A", "credited", (1,)), RECORD.intervals[1])}, "intervals"),
        ({"intervals": (Interval(189, "B", "credited", (1,)), RECORD.intervals[1])}, "grades"),
        ({"ledger_minutes": 188}, "minutes in the ledger"),
        ({"queue": ()}, "queue"),
        ({"queue": (52, 52)}, "queue"),
        ({"rules": frozenset({1})}, "rules"),
        ({"rules": frozenset({1, 34, 52})}, "rules"),
    ],
)
def test_every_difference_of_a_person_is_named(change: dict[str, object], named: str) -> None:
    """A record that differs in one thing is told with that thing's name."""
    record = dataclasses.replace(RECORD, **change)  # type: ignore[arg-type]

    sentences = compare([OUTCOME], {"V01": record}, {"V01": 3})

    assert any(sentence.startswith(f"V01: {named} ") for sentence in sentences)


def test_missing_person_is_a_difference() -> None:
    """Somebody of whom the server knows nothing does not pass in silence."""
    assert compare([OUTCOME], {}, {"V01": 3})


def test_missing_tap_is_a_difference() -> None:
    """A presentation that got no answer is told."""
    sentences = compare([OUTCOME], {"V01": RECORD}, {"V01": 2})

    assert sentences == ["V01: taps 2, the page says 3"]


@pytest.mark.parametrize(
    "facts",
    [
        dataclasses.replace(FACTS, events_stored=39),
        dataclasses.replace(FACTS, forks=1),
        dataclasses.replace(FACTS, bad_verdicts=1),
        dataclasses.replace(FACTS, ledger_sum=1),
        dataclasses.replace(
            FACTS, journals={"A": JournalFacts(30, 29, ()), "B": JournalFacts(10, 10, ())}
        ),
        dataclasses.replace(FACTS, journals={"A": JournalFacts(40, 40, ("linkage",))}),
    ],
    ids=["stored", "fork", "verdict", "ledger", "unacknowledged", "journal"],
)
def test_whole_day_must_add_up(facts: Facts) -> None:
    """Counts that differ, forks, bad verdicts, a leaning ledger, a broken journal: each fails."""
    assert len(check_whole(facts, PLAYED)) == 1


def test_replay_must_have_been_identical() -> None:
    """A day without an identical replay is not a full day."""
    assert len(check_whole(FACTS, dataclasses.replace(PLAYED, replays_identical=0))) == 1


def test_complaints_of_the_play_count() -> None:
    """A wrong answer on a display fails the day, even if the minutes are right."""
    complaint = "08:53:10 A V01: expected “in”"

    assert check_whole(FACTS, dataclasses.replace(PLAYED, complaints=(complaint,))) == [complaint]


def test_summary_has_every_field() -> None:
    """The line for machines holds what others rely on, and sums it over everybody."""
    document = json.loads(summary(FACTS, PLAYED, expectations_met=True))

    assert document == {
        "readers": ["Desk 00 00"],
        "cards_issued": 1,
        "taps": 3,
        "events_journaled": 40,
        "events_acknowledged": 40,
        "events_stored": 40,
        "replays_identical": 1,
        "intervals": 2,
        "credited_minutes": 189,
        "exceptions": {"52": 1},
        "expectations_met": True,
        "ledger_sum": 0,
        "database": "sqlite:///x",
        "seconds": 12.3,
    }


def test_table_keeps_its_columns_with_chinese_names() -> None:
    """A Hanzi takes two columns, so every cell begins below its heading."""
    lines = table([PERSON], [OUTCOME], PLAYED, {"V01": RECORD}).splitlines()

    assert " ".join(lines[2].split()) == "V01 林晓燕 3 189 A; 0 held 189 A 52 why"
    heading, first = lines[0].partition("taps")[0], lines[2].partition("3 ")[0]
    assert columns(heading) == columns(first)
