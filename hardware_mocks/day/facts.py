# SPDX-License-Identifier: Apache-2.0
"""Read what the day has left behind: the database, and the journals of the terminals."""

from __future__ import annotations

import collections
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from server.db import Database
from swipe.verify import verify_stream
from terminal.journal import read_only

_INTERVALS = sa.text(
    "SELECT person, credited_minutes, grade, state, rules FROM service_interval"
    " WHERE current ORDER BY person, start_ms, in_terminal, in_seq"
)
_QUEUE = sa.text(
    "SELECT person, rule, state FROM recon_exception WHERE current ORDER BY person, rule"
)
_LEDGER = sa.text(
    "SELECT a.owner, sum(e.minutes) FROM entry e JOIN account a ON a.id = e.account_id"
    " WHERE a.kind = 'volunteer' GROUP BY a.owner"
)
_LEDGER_SUM = sa.text("SELECT coalesce(sum(minutes), 0) FROM entry")
COUNT_EVENTS = sa.text("SELECT count(*) FROM event")
COUNT_EVENTS_OF = sa.text("SELECT count(*) FROM event WHERE terminal_id = :terminal")
_FORKS = sa.text("SELECT count(*) FROM event_fork")
_VERDICTS = sa.text("SELECT count(*) FROM event WHERE verdict NOT IN (0, 7)")


@dataclass(frozen=True, slots=True)
class Interval:
    """One stretch of service as the server sees it now."""

    minutes: int
    grade: str
    state: str
    rules: tuple[int, ...]

    @property
    def text(self) -> str:
        """Return it in the page's words: minutes with grade, or why there are none."""
        return f"{self.minutes} {self.grade if self.state == 'credited' else self.state}"


@dataclass(frozen=True, slots=True)
class Record:
    """What the server holds of one person."""

    intervals: tuple[Interval, ...]
    queue: tuple[int, ...]
    rules: frozenset[int]
    ledger_minutes: int


@dataclass(frozen=True, slots=True)
class JournalFacts:
    """What one terminal's journal says of itself."""

    events: int
    acknowledged: int
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the outcome is compared with."""

    records: dict[int, Record]
    events_stored: int
    forks: int
    bad_verdicts: int
    ledger_sum: int
    journals: dict[str, JournalFacts]


def read_facts(database: Database, journals: dict[str, Path]) -> Facts:
    """Read database and journals, after the last terminal has settled."""
    with database.reading() as session:
        return Facts(
            records=_records(session),
            events_stored=session.scalar(COUNT_EVENTS) or 0,
            forks=session.scalar(_FORKS) or 0,
            bad_verdicts=session.scalar(_VERDICTS) or 0,
            ledger_sum=int(session.scalar(_LEDGER_SUM) or 0),
            journals={letter: read_journal(path) for letter, path in journals.items()},
        )


def read_journal(path: Path) -> JournalFacts:
    """Count a journal's events and those a receipt covers, and let the verifier look at it."""
    _, state, _ = read_only(path)
    acknowledged = state.events - state.unsent
    with path.open("rb") as stream:
        report = verify_stream(stream, path.parent.name)
    findings = tuple(finding.en for finding in report.findings if finding.is_fault)
    return JournalFacts(state.events, acknowledged, findings)


def _records(session: sa.orm.Session) -> dict[int, Record]:
    intervals: dict[int, list[Interval]] = collections.defaultdict(list)
    queue: dict[int, list[int]] = collections.defaultdict(list)
    cited: dict[int, set[int]] = collections.defaultdict(set)
    for person, minutes, grade, state, rules in session.execute(_INTERVALS):
        numbers = tuple(int(rule) for rule in rules.split(",") if rule)
        intervals[person].append(Interval(minutes, grade, state, numbers))
        cited[person] |= set(numbers)
    for person, rule, state in session.execute(_QUEUE):
        cited[person].add(rule)
        if state == "open":
            queue[person].append(rule)
    ledger = {int(owner): int(minutes) for owner, minutes in session.execute(_LEDGER)}
    people = set(intervals) | set(queue) | set(cited) | set(ledger)
    return {
        person: Record(
            tuple(intervals[person]),
            tuple(sorted(queue[person])),
            frozenset(cited[person]),
            ledger.get(person, 0),
        )
        for person in people
    }
