# SPDX-License-Identifier: Apache-2.0
"""What staff see of the uploads: how far each terminal is stored, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.ingest import ranges
from server.ingest.models import Batch, ChainState, EventFork, StoredRange
from server.ingest.ranges import Run
from server.terminals.models import Psam, Terminal

SERVING = ("active", "quarantined")


@dataclass(frozen=True, slots=True)
class Holding:
    """What the server holds of one terminal's chain."""

    terminal_id: int
    up_to: int
    missing_from: int | None
    missing: int
    highest: int
    events: int
    forked_from: int | None


def holdings(session: Session) -> dict[int, Holding]:
    """Return the holding of every terminal that ever uploaded, by terminal."""
    statement = sa.select(
        StoredRange.terminal_id, StoredRange.first_seq, StoredRange.last_seq
    ).order_by(StoredRange.terminal_id, StoredRange.first_seq)
    states = session.execute(sa.select(ChainState.terminal_id, ChainState.forked_from))
    forks = {row.terminal_id: row.forked_from for row in states}
    runs: dict[int, list[Run]] = {}
    for terminal_id, first, last in session.execute(statement):
        runs.setdefault(terminal_id, []).append(Run(first, last))
    return {
        terminal_id: _holding(terminal_id, stored, forks.get(terminal_id))
        for terminal_id, stored in runs.items()
    }


def receipt_ms(session: Session, terminal_id: int, anchor: bytes) -> int | None:
    """Return the server time of the receipt that an event's anchor names, None if unknown."""
    statement = sa.select(Batch.received_ms).where(
        Batch.terminal_id == terminal_id, Batch.anchor == anchor
    )
    found: int | None = session.scalar(statement.limit(1))
    return found


def fork_count(session: Session, terminal_id: int) -> int:
    """Return how many contradictions are kept as evidence against a terminal."""
    statement = (
        sa.select(sa.func.count())
        .select_from(EventFork)
        .where(EventFork.terminal_id == terminal_id)
    )
    return session.scalar(statement) or 0


def psams_apart(session: Session) -> list[tuple[int, str]]:
    """Return terminal and number of each PSAM set apart at a terminal that still serves."""
    statement = (
        sa.select(Psam.terminal_id, Psam.number)
        .join(Terminal, Terminal.id == Psam.terminal_id)
        .where(Psam.state == "quarantined", Terminal.state.in_(SERVING))
        .order_by(Psam.terminal_id, Psam.number)
    )
    return [(terminal_id, number.hex()) for terminal_id, number in session.execute(statement)]


def _holding(terminal_id: int, runs: list[Run], forked_from: int | None) -> Holding:
    prefix = ranges.prefix(runs)
    return Holding(
        terminal_id=terminal_id,
        up_to=prefix.up_to,
        missing_from=prefix.up_to + 1 if prefix.missing else None,
        missing=prefix.missing,
        highest=runs[-1].last,
        events=sum(run.last - run.first + 1 for run in runs),
        forked_from=forked_from,
    )
