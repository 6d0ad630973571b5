# SPDX-License-Identifier: Apache-2.0
"""What staff see of the uploads: how far each terminal is stored, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.ingest import ranges
from server.ingest.models import Batch, ChainState, EventFork, StoredRange


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
        StoredRange.terminal_id,
        sa.func.max(StoredRange.last_seq),
        sa.func.sum(StoredRange.last_seq - StoredRange.first_seq + 1),
    ).group_by(StoredRange.terminal_id)
    states = session.execute(sa.select(ChainState.terminal_id, ChainState.forked_from))
    forks = {row.terminal_id: row.forked_from for row in states}
    return {
        terminal_id: _holding(session, terminal_id, highest, int(events), forks)
        for terminal_id, highest, events in session.execute(statement)
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


def _holding(
    session: Session,
    terminal_id: int,
    highest: int,
    events: int,
    forks: dict[int, int | None],
) -> Holding:
    prefix = ranges.prefix(session, terminal_id)
    return Holding(
        terminal_id=terminal_id,
        up_to=prefix.up_to,
        missing_from=prefix.up_to + 1 if prefix.missing else None,
        missing=prefix.missing,
        highest=highest,
        events=events,
        forked_from=forks.get(terminal_id),
    )
