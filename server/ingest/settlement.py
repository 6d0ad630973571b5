# SPDX-License-Identifier: Apache-2.0
"""Compare the totals of a CLOSE with what is stored, and say which range to look at.

A CLOSE names its period (first to last event) and how many IN, OUT and REJECTED it held. Three
answers: `equal`; `incomplete`, with the ranges that are not stored; `unequal`, with the ranges
between which a tap's own counters disagree with the stored taps before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.ingest import ranges
from server.ingest.checks import Opened
from server.ingest.models import Settlement, StoredEvent
from server.ingest.ranges import FIRST_SEQ, Run
from server.ingest.whereabouts import ANY_TIME, ARRIVED, arrived
from swipe import arrays
from swipe.arrays import EventArray, Mask
from swipe.errors import SwipeError
from swipe.event import Event
from swipe.kinds import EventType
from swipe.payloads import parse

EQUAL, UNEQUAL, INCOMPLETE = "equal", "unequal", "incomplete"
# Ranges named in one answer; a terminal asks again when it has sent these.
RANGES_MAX = 50
# Events looked at together; a period is a day, rarely more than a few of these.
PIECE = 5_000
# A period longer than any terminal's day or week is not recounted: it is unequal as a whole.
PERIOD_MAX = 200_000
# Settlements looked at by one upload; the others are compared when somebody asks for them.
CHECKS_MAX = 10

# Written once: to build a statement costs more than to run it.
_CLOSE = sa.select(StoredEvent.raw).where(
    StoredEvent.terminal_id == sa.bindparam("terminal"),
    StoredEvent.seq == sa.bindparam("seq"),
    StoredEvent.type == int(EventType.CLOSE),
    ARRIVED,
)
_PERIOD = (
    sa.select(StoredEvent.raw)
    .where(StoredEvent.terminal_id == sa.bindparam("terminal"))
    .where(StoredEvent.seq.between(sa.bindparam("first"), sa.bindparam("last")), ARRIVED)
    .order_by(StoredEvent.seq)
    .limit(PIECE)
)

Totals = tuple[int, int, int]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Compared:
    """One CLOSE beside what is stored; `said` is None while the CLOSE itself is missing."""

    state: str
    day: int
    said: Totals | None
    found: Totals
    missing: list[Span]
    unequal: list[Span]

    def as_json(self) -> dict[str, Any]:
        """Return the answer to a terminal."""
        names = ("n_in", "n_out", "n_rej")
        said = self.said or (None, None, None)
        return {
            "state": self.state,
            "equal": self.state == EQUAL,
            "day": self.day,
            **dict(zip(names, self.found, strict=True)),
            "said": dict(zip(names, said, strict=True)),
            "missing": [list(span) for span in self.missing],
            "unequal": [list(span) for span in self.unequal],
        }


def missing_of(runs: Sequence[Run], period: Run) -> list[Span]:
    """Return the parts of a period that no stored run holds; runs in order.

    >>> missing_of([Run(1, 4), Run(9, 12)], Run(3, 14))
    [(5, 8), (13, 14)]
    """
    inside = [run for run in runs if run.last >= period.first and run.first <= period.last]
    edges = [
        Run(0, period.first - 1),
        *inside,
        Run(period.last + 1, period.last + 1),
    ]
    gaps = [(before.last + 1, after.first - 1) for before, after in pairwise(edges)]
    return [(first, last) for first, last in gaps if first <= last]


def compare(session: Session, terminal_id: int, close_seq: int) -> Compared:
    """Compare one CLOSE with what is stored now."""
    runs = ranges.load(session, terminal_id)
    when = arrived(session, terminal_id, close_seq, close_seq) or ANY_TIME
    raw = session.scalar(_CLOSE, {"terminal": terminal_id, "seq": close_seq, **when.bounds})
    if raw is None:
        missing = missing_of(runs, Run(FIRST_SEQ, close_seq))
        return Compared(INCOMPLETE, 0, None, (0, 0, 0), missing[:RANGES_MAX], [])
    said = _said(bytes(raw))
    period = Run(said["first_seq"], said["last_seq"])
    totals: Totals = (said["n_in"], said["n_out"], said["n_rej"])
    missing = missing_of(runs, period) if period.first <= period.last else []
    found: Totals = (0, 0, 0)
    unequal: list[Span] = []
    if period.last - period.first < PERIOD_MAX:
        found, unequal = _recount(session, terminal_id, period)
    if missing:
        state = INCOMPLETE
    elif found == totals:
        state = EQUAL
    else:
        state, unequal = UNEQUAL, unequal or [(period.first, period.last)]
    wrong = unequal if state == UNEQUAL else []
    return Compared(state, said["day"], totals, found, missing[:RANGES_MAX], wrong[:RANGES_MAX])


def note(session: Session, opened: Opened, stored: Mask, gaps: bool, now_ms: int) -> None:
    """Compare each new CLOSE of an upload, and again those that waited for a gap to be filled.

    `stored` marks the events now stored with a good signature; `gaps` says whether there was a gap.
    """
    terminal_id = opened.header.terminal_id
    closes = opened.events["seq"][stored & (opened.events["type"] == EventType.CLOSE)].tolist()
    if gaps:
        waiting = sa.select(Settlement.close_seq).where(
            Settlement.terminal_id == terminal_id, Settlement.state == INCOMPLETE
        )
        closes += session.scalars(waiting.limit(CHECKS_MAX))
    for close_seq in closes[-CHECKS_MAX:]:
        check(session, terminal_id, close_seq, now_ms)


def check(session: Session, terminal_id: int, close_seq: int, now_ms: int) -> Compared:
    """Compare one CLOSE and remember how it went, if it is stored."""
    compared = compare(session, terminal_id, close_seq)
    if compared.said is not None:
        session.merge(
            Settlement(
                terminal_id=terminal_id,
                close_seq=close_seq,
                day=compared.day,
                state=compared.state,
                checked_ms=now_ms,
            )
        )
        session.flush()
    return compared


def open_settlements(session: Session) -> list[Settlement]:
    """Return the settlements that are not equal, oldest first."""
    statement = sa.select(Settlement).where(Settlement.state != EQUAL)
    return list(session.scalars(statement.order_by(Settlement.day, Settlement.terminal_id)))


def _said(raw: bytes) -> dict[str, int]:
    event = Event.from_bytes(raw)
    try:
        fields = parse(event.type, event.payload)
    except SwipeError:  # stored as MALFORMED: it says nothing about any period
        return {"first_seq": 1, "last_seq": 0, "n_in": 0, "n_out": 0, "n_rej": 0, "day": 0}
    return {name: int(value) for name, value in fields.items()}


def _recount(session: Session, terminal_id: int, period: Run) -> tuple[Totals, list[Span]]:
    """Count the stored events of a period and find where their own counters disagree."""
    found = np.zeros(3, dtype=np.int64)
    breaks: list[Span] = []
    before: tuple[int, int, int] | None = None
    for events in _pieces(session, terminal_id, period):
        counts = np.stack(arrays.tap_counts(events), axis=1).astype(np.int64)
        found += counts.sum(axis=0)
        after_in = events["n_in"].astype(np.int64) + counts[:, 0]
        after_out = events["n_out"].astype(np.int64) + counts[:, 1]
        rows = zip(
            events["seq"].tolist(), events["n_in"].tolist(), events["n_out"].tolist(), strict=True
        )
        ends = zip(after_in.tolist(), after_out.tolist(), strict=True)
        for (seq, n_in, n_out), end in zip(rows, ends, strict=True):
            told = before is not None and before[1:] != (n_in, n_out)
            if before is not None and told and len(breaks) < RANGES_MAX:
                breaks.append((before[0], seq))
            before = (seq, *end)
    total: Totals = (int(found[0]), int(found[1]), int(found[2]))
    return total, breaks


def _pieces(session: Session, terminal_id: int, period: Run) -> Iterable[EventArray]:
    """Read the stored events of a period, some at a time, in order."""
    at = period.first
    when = arrived(session, terminal_id, period.first, period.last) or ANY_TIME
    while at <= period.last:
        wanted = {"terminal": terminal_id, "first": at, "last": period.last, **when.bounds}
        raws = [bytes(raw) for raw in session.scalars(_PERIOD, wanted)]
        if not raws:
            return
        events = arrays.view(b"".join(raws))
        yield events
        at = int(events["seq"][-1]) + 1
