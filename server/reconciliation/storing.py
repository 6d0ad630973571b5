# SPDX-License-Identifier: Apache-2.0
"""Write what was derived: new revisions where something changed, nothing where nothing did."""

from __future__ import annotations

import datetime as dt
import operator
from collections import Counter
from collections.abc import Collection
from functools import lru_cache
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.reconciliation import arrays
from server.reconciliation.arrays import Result
from server.reconciliation.loading import Loaded
from server.reconciliation.models import ReconException, ServiceInterval, TrainingRecord
from server.reconciliation.parameters import ENGINE_VERSION
from server.reconciliation.training import Training
from server.reconciliation.wording_table import detail
from server.rows import among, insert_rows

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
    columns = _interval_columns(loaded, result)
    rows = zip(*(columns[name] for name in INTERVAL_FACTS), strict=True)
    return [dict(zip(INTERVAL_FACTS, row, strict=True)) for row in rows]


def _interval_columns(loaded: Loaded, result: Result) -> dict[str, list[Any]]:
    """Return the facts of all intervals, column by column: row by row costs ten times as much."""
    found, history = result.intervals, loaded.history
    taps = history.taps
    first, last = found["in_row"], found["out_row"]
    named = np.where(first >= 0, first, last)
    corrections = found["correction"].tolist()
    sites = _of(taps["site"], named)
    activities = _of(taps["activity"], named)
    for row in np.flatnonzero(named < 0).tolist():
        sites[row] = loaded.entered_at(corrections[row])
        activities[row] = int(history.corrections[corrections[row]]["activity"])
    numbers = [int(number) for number in history.corrections["id"]]
    corrected = [numbers[row] if row >= 0 else None for row in corrections]
    ids = history.activities["id"].tolist()
    ends = {}
    for side, rows in (("in", first), ("out", last)):
        places = _of(taps["terminal"], rows)
        terminals = loaded.terminals.tolist()
        ends[side] = (
            [terminals[place] if place is not None else None for place in places],
            _of(taps["seq"], rows),
        )
    start, end = found["start_ms"].tolist(), found["end_ms"].tolist()
    closed = [
        out is not None or correction is not None
        for out, correction in zip(ends["out"][1], corrected, strict=True)
    ]
    sets = [",".join(str(number) for number in made_of) for made_of in result.sets]
    return {
        "person": history.persons["id"][found["person"]].tolist(),
        "key": [_key(*row) for row in zip(*ends["in"], *ends["out"], corrected, strict=True)],
        "in_terminal": ends["in"][0],
        "in_seq": ends["in"][1],
        "out_terminal": ends["out"][0],
        "out_seq": ends["out"][1],
        "correction_id": corrected,
        "start_ms": start,
        "end_ms": [at if known else None for at, known in zip(end, closed, strict=True)],
        "raw_ms": [
            until - since if known else None
            for since, until, known in zip(start, end, closed, strict=True)
        ],
        "credited_minutes": found["minutes"].tolist(),
        "grade": [arrays.GRADE_NAMES[grade] for grade in found["grade"].tolist()],
        "state": [arrays.STATE_NAMES[state] for state in found["state"].tolist()],
        "rules": [rule_list(bits) for bits in found["rules"].tolist()],
        "site": sites,
        "activity": [ids[row] if row >= 0 else None for row in activities],
        "service_day": [_day(number) for number in found["service_day"].tolist()],
        "engine_version": [ENGINE_VERSION] * len(found),
        "parameters": [sets[number] for number in found["parameters"].tolist()],
    }


def _of(column: Any, rows: Any) -> list[Any]:
    """Return the values at some rows, None where the row is -1."""
    if not len(column):
        return [None] * len(rows)
    values = column[np.maximum(rows, 0)].tolist()
    return [value if row >= 0 else None for value, row in zip(values, rows.tolist(), strict=True)]


def _key(
    in_terminal: int | None,
    in_seq: int | None,
    out_terminal: int | None,
    out_seq: int | None,
    correction: int | None,
) -> str:
    if in_terminal is not None:
        return f"in:{in_terminal}:{in_seq}"
    if out_terminal is not None:
        return f"out:{out_terminal}:{out_seq}"
    return f"correction:{correction}"


@lru_cache(maxsize=4_096)
def _day(number: int) -> dt.date:
    return EPOCH + dt.timedelta(days=number)


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
    connection = session.connection()  # rows as they are: no object of the ORM is made of them
    session.flush()
    current = sa.select(*columns, table.id).where(table.current)
    if persons is not None:
        current = current.where(among(session, table.person, sorted(set(persons))))
    for kept in connection.execute(current).all():
        standing.setdefault(tuple(kept[:-1]), []).append(kept[-1])
    fresh = []
    pick = operator.itemgetter(*facts)
    for row in wanted:
        said = pick(row)
        same = standing.get(said)
        if same:
            same.pop()
        else:
            fresh.append((*said, now_ms, True))
    stale = sorted(number for numbers in standing.values() for number in numbers)
    if stale:
        taken = sa.update(table).where(among(session, table.id, stale)).values(current=False)
        connection.execute(taken)
    insert_rows(session, table, (*facts, "made_ms", "current"), fresh)
    return len(fresh)


@lru_cache(maxsize=4_096)
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
