# SPDX-License-Identifier: Apache-2.0
"""Compare the day with its page, and say how it went: to people as a table, to machines as JSON."""

from __future__ import annotations

import collections
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hardware_mocks.day.cast import Person
from hardware_mocks.day.facts import Facts, Record
from hardware_mocks.day.story import Outcome
from hardware_mocks.lcd import columns

UNSAID_RULE = 1  # an IN and an OUT: every interval is one
NOBODY = Record((), (), frozenset(), 0)
HEADINGS = ("who", "姓名", "taps", "intervals", "min", "grade", "queue", "why")


@dataclass(frozen=True, slots=True)
class Played:
    """What the run itself counted while it played."""

    readers: tuple[str, ...]
    cards_issued: int
    taps: Mapping[str, int]
    replays_identical: int
    complaints: tuple[str, ...]
    database: str
    seconds: float


def compare(
    outcomes: Iterable[Outcome], records: Mapping[str, Record], taps: Mapping[str, int]
) -> list[str]:
    """Return one sentence for everything that differs from the page."""
    return [
        f"{outcome.who}: {what} {found}, the page says {wanted}"
        for outcome in outcomes
        for what, found, wanted in (
            ("taps", taps.get(outcome.who, 0), outcome.taps),
            *_pairs(outcome, records.get(outcome.who, NOBODY)),
        )
        if found != wanted
    ]


def check_whole(facts: Facts, played: Played) -> list[str]:
    """Return one sentence for everything about the day as a whole that is not as it must be."""
    journaled, acknowledged = _sums(facts)
    truths = {
        f"{journaled} events journaled, {acknowledged} acknowledged, {facts.events_stored} stored":
            journaled == acknowledged == facts.events_stored,
        f"{facts.forks} forks": facts.forks == 0,
        f"{facts.bad_verdicts} events with a bad verdict": facts.bad_verdicts == 0,
        f"the ledger sums to {facts.ledger_sum}": facts.ledger_sum == 0,
        f"{played.replays_identical} identical replays": played.replays_identical >= 1,
    }  # fmt: skip
    wrong = [text for text, holds in truths.items() if not holds]
    for letter, journal in facts.journals.items():
        wrong += [f"journal of {letter}: {finding}" for finding in journal.findings]
    return wrong + list(played.complaints)


def table(people: Iterable[Person], outcomes: Iterable[Outcome], played: Played,
          records: Mapping[str, Record]) -> str:  # fmt: skip
    """Return the table for people: one line a volunteer, what the server holds of each."""
    rows = [HEADINGS]
    for person, outcome in zip(people, outcomes, strict=True):
        record = records.get(person.who, NOBODY)
        grades = dict.fromkeys(i.grade for i in record.intervals if i.state == "credited")
        rows.append(
            (
                person.who,
                person.name,
                str(played.taps.get(person.who, 0)),
                "; ".join(interval.text for interval in record.intervals) or "–",
                str(record.ledger_minutes),
                ", ".join(sorted(grades)) or "–",
                ", ".join(str(rule) for rule in record.queue) or "–",
                outcome.why,
            )
        )
    widths = [max(columns(row[i]) for row in rows) for i in range(len(HEADINGS))]
    lines = ["  ".join(_pad(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in rows]  # fmt: skip
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * len(widths) - 2), *lines[1:]])


def summary(facts: Facts, played: Played, *, expectations_met: bool) -> str:
    """Return the line for machines."""
    journaled, acknowledged = _sums(facts)
    exceptions = collections.Counter(
        rule for record in facts.records.values() for rule in record.queue
    )
    document = {
        "readers": list(played.readers),
        "cards_issued": played.cards_issued,
        "taps": sum(played.taps.values()),
        "events_journaled": journaled,
        "events_acknowledged": acknowledged,
        "events_stored": facts.events_stored,
        "replays_identical": played.replays_identical,
        "intervals": sum(len(record.intervals) for record in facts.records.values()),
        "credited_minutes": sum(
            interval.minutes for record in facts.records.values() for interval in record.intervals
        ),
        "exceptions": {str(rule): exceptions[rule] for rule in sorted(exceptions)},
        "expectations_met": expectations_met,
        "ledger_sum": facts.ledger_sum,
        "database": played.database,
        "seconds": round(played.seconds, 1),
    }
    return json.dumps(document, ensure_ascii=False)


def _pairs(outcome: Outcome, record: Record) -> Iterable[tuple[str, object, object]]:
    """Name each thing that is compared, with what was found and what the page says."""
    earned = [interval for interval in record.intervals if interval.state == "credited"]
    yield "intervals", tuple(i.text for i in record.intervals), outcome.intervals
    yield "credited minutes", sum(i.minutes for i in earned), outcome.minutes
    yield "minutes in the ledger", record.ledger_minutes, outcome.minutes
    yield "grades", tuple(sorted({i.grade for i in earned})), tuple(sorted(outcome.grades))
    yield "rules", sorted(record.rules - {UNSAID_RULE}), sorted(outcome.rules)
    yield "queue", record.queue, outcome.queue


def _sums(facts: Facts) -> tuple[int, int]:
    journals = facts.journals.values()
    return sum(j.events for j in journals), sum(j.acknowledged for j in journals)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - columns(text))
