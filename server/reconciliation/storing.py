# SPDX-License-Identifier: Apache-2.0
"""Write what was derived: new revisions where something changed, nothing where nothing did."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.reconciliation import arrays
from server.reconciliation.arrays import Result
from server.reconciliation.loading import Loaded
from server.reconciliation.models import ReconException, ServiceInterval, TrainingRecord
from server.reconciliation.parameters import ENGINE_VERSION
from server.reconciliation.training import Training
from server.reconciliation.wording_table import detail

PIECE = 5_000
EPOCH = dt.date(1970, 1, 1)
RULES_LAST = 59
# What makes a row a new revision; id, made_ms and current do not.
INTERVAL_FACTS = (
    "person", "key", "in_terminal", "in_seq", "out_terminal", "out_seq", "correction_id",
    "start_ms", "end_ms", "raw_ms", "credited_minutes", "grade", "state", "rules", "site",
    "activity", "service_day", "engine_version", "parameters",
)  # fmt: skip
EXCEPTION_FACTS = (
    "person", "rule", "terminal", "seq", "other_terminal", "other_seq", "detail_zh", "detail_en",
    "proposed_start_ms", "proposed_end_ms", "state",
)  # fmt: skip
_TRAINING_FACTS = (
    "person", "in_terminal", "in_seq", "out_terminal", "out_seq", "start_ms", "end_ms",
    "minutes", "site", "activity", "service_day",
)  # fmt: skip
Derived = type[ServiceInterval] | type[ReconException] | type[TrainingRecord]


def store_intervals(
    session: Session, loaded: Loaded, result: Result, persons: Collection[int] | None, now_ms: int
) -> int:
    """Store the intervals of some people as current; return how many rows are new."""
    wanted = interval_rows(loaded, result)
    return replace_current(session, ServiceInterval, INTERVAL_FACTS, wanted, (persons, now_ms))


def store_exceptions(
    session: Session, loaded: Loaded, result: Result, persons: Collection[int] | None, now_ms: int
) -> int:
    """Store the exceptions of some people as current; return how many rows are new."""
    wanted = exception_rows(loaded, result)
    return replace_current(session, ReconException, EXCEPTION_FACTS, wanted, (persons, now_ms))


def store_training(
    session: Session,
    loaded: Loaded,
    found: Collection[Training],
    persons: Collection[int] | None,
    now_ms: int,
) -> int:
    """Store the training of some people as current; return how many rows are new."""
    wanted = [_training(loaded, item) for item in found]
    return replace_current(session, TrainingRecord, _TRAINING_FACTS, wanted, (persons, now_ms))


def _training(loaded: Loaded, item: Training) -> dict[str, Any]:
    history = loaded.history
    in_terminal, in_seq = loaded.event(item.first)
    closed = item.last >= 0
    out_terminal, out_seq = loaded.event(item.last) if closed else (None, None)
    activity = int(history.taps[item.first]["activity"])
    return {
        "person": int(history.persons[item.person]["id"]),
        "in_terminal": in_terminal,
        "in_seq": in_seq,
        "out_terminal": out_terminal,
        "out_seq": out_seq,
        "start_ms": item.start_ms,
        "end_ms": item.end_ms if closed else None,
        "minutes": item.minutes,
        "site": int(history.taps[item.first]["site"]),
        "activity": int(history.activities[activity]["id"]) if activity >= 0 else None,
        "service_day": EPOCH + dt.timedelta(days=item.service_day),
    }


def interval_rows(loaded: Loaded, result: Result) -> list[dict[str, Any]]:
    """Return the facts of every interval found."""
    sets = [",".join(str(number) for number in made_of) for made_of in result.sets]
    return [
        _interval(loaded, row) | {"parameters": sets[row["parameters"]]} for row in result.intervals
    ]


def exception_rows(loaded: Loaded, result: Result) -> list[dict[str, Any]]:
    """Return the facts of every exception found."""
    return [_exception(loaded, row) for row in result.exceptions]


def compare(session: Session, loaded: Loaded, result: Result) -> list[str]:
    """Name what a result has and the current rows lack, and the other way round."""
    return _unlike(
        session, ServiceInterval, INTERVAL_FACTS, interval_rows(loaded, result)
    ) + _unlike(
        session,
        ReconException,
        EXCEPTION_FACTS,
        exception_rows(loaded, result),
    )


def _unlike(
    session: Session,
    table: Derived,
    facts: tuple[str, ...],
    wanted: list[dict[str, Any]],
) -> list[str]:
    columns = [getattr(table, name) for name in facts]
    stored = Counter(
        tuple(row) for row in session.execute(sa.select(*columns).where(table.current))
    )
    derived = Counter(tuple(row[name] for name in facts) for row in wanted)
    missing = [f"not stored: {table.__tablename__} {row}" for row in (derived - stored).elements()]
    return missing + [
        f"not derived: {table.__tablename__} {row}" for row in (stored - derived).elements()
    ]


def replace_current(
    session: Session,
    table: Derived,
    facts: tuple[str, ...],
    wanted: list[dict[str, Any]],
    scope: tuple[Collection[int] | None, int],
) -> int:
    """Make rows the current ones of some people (None: all); return how many are new."""
    persons, now_ms = scope
    columns = [getattr(table, name) for name in facts]
    standing: dict[tuple[Any, ...], list[int]] = {}
    for part in _parts(persons):
        current = sa.select(table.id, *columns).where(table.current)
        if part is not None:
            current = current.where(table.person.in_(part))
        for number, *values in session.execute(current):
            standing.setdefault(tuple(values), []).append(number)
    fresh = []
    for row in wanted:
        same = standing.get(tuple(row[name] for name in facts))
        if same:
            same.pop()
        else:
            fresh.append(row | {"made_ms": now_ms, "current": True})
    stale = sorted(number for numbers in standing.values() for number in numbers)
    for low in range(0, len(stale), PIECE):
        part = stale[low : low + PIECE]
        session.execute(sa.update(table).where(table.id.in_(part)).values(current=False))
    if fresh:
        session.execute(sa.insert(table), fresh)
    return len(fresh)


def _parts(persons: Collection[int] | None) -> list[list[int] | None]:
    if persons is None:
        return [None]
    ordered = sorted(set(persons))
    return [ordered[low : low + PIECE] for low in range(0, len(ordered), PIECE)]


def _interval(loaded: Loaded, row: Any) -> dict[str, Any]:
    history = loaded.history
    first, last = int(row["in_row"]), int(row["out_row"])
    correction = int(row["correction"])
    in_terminal, in_seq = loaded.event(first) if first >= 0 else (None, None)
    out_terminal, out_seq = loaded.event(last) if last >= 0 else (None, None)
    correction_id = int(history.corrections[correction]["id"]) if correction >= 0 else None
    named = first if first >= 0 else last
    start, end = int(row["start_ms"]), int(row["end_ms"])
    closed = last >= 0 or correction_id is not None
    if first >= 0:
        key = f"in:{in_terminal}:{in_seq}"
    elif last >= 0:
        key = f"out:{out_terminal}:{out_seq}"
    else:
        key = f"correction:{correction_id}"
    source = history.taps[named] if named >= 0 else history.corrections[correction]
    activity = int(source["activity"])
    return {
        "person": int(history.persons[row["person"]]["id"]),
        "key": key,
        "in_terminal": in_terminal,
        "in_seq": in_seq,
        "out_terminal": out_terminal,
        "out_seq": out_seq,
        "correction_id": correction_id,
        "start_ms": start,
        "end_ms": end if closed else None,
        "raw_ms": end - start if closed else None,
        "credited_minutes": int(row["minutes"]),
        "grade": arrays.GRADE_NAMES[row["grade"]],
        "state": arrays.STATE_NAMES[row["state"]],
        "rules": rule_list(int(row["rules"])),
        "site": int(history.taps[named]["site"]) if named >= 0 else loaded.entered_at(correction),
        "activity": int(history.activities[activity]["id"]) if activity >= 0 else None,
        "service_day": EPOCH + dt.timedelta(days=int(row["service_day"])),
        "engine_version": ENGINE_VERSION,
    }


def rule_list(bits: int) -> str:
    """Write a set of rules as their numbers.

    >>> rule_list((1 << 1) | (1 << 17) | (1 << 56))
    '1,17,56'
    """
    return ",".join(str(number) for number in range(1, RULES_LAST + 1) if bits >> number & 1)


def _exception(loaded: Loaded, row: Any) -> dict[str, Any]:
    history = loaded.history
    terminal, seq = loaded.event(int(row["row"]))
    other = int(row["other_row"])
    other_terminal, other_seq = loaded.event(other) if other >= 0 else (None, None)
    zh, en = detail(int(row["rule"]))
    return {
        "person": int(history.persons[row["person"]]["id"]),
        "rule": int(row["rule"]),
        "terminal": terminal,
        "seq": seq,
        "other_terminal": other_terminal,
        "other_seq": other_seq,
        "detail_zh": zh,
        "detail_en": en,
        "proposed_start_ms": int(row["start_ms"]) or None,
        "proposed_end_ms": int(row["end_ms"]) or None,
        "state": arrays.DECISION_NAMES[row["state"]],
    }
