# SPDX-License-Identifier: Apache-2.0
"""The queue of people whose hours must be derived again: take a piece, then cross it out."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.people.models import DirtyPerson


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of the queue: who waits, and the rows that say so."""

    rows: dict[int, int]  # row id → volunteer id

    @property
    def people(self) -> frozenset[int]:
        """Return the volunteers who are to be derived."""
        return frozenset(self.rows.values())

    @property
    def last(self) -> int:
        """Return the last row of the piece."""
        return max(self.rows)

    def only(self, volunteer_id: int) -> Piece:
        """Return the part of the piece that names one person."""
        return Piece({row: who for row, who in self.rows.items() if who == volunteer_id})


def take(session: Session, after: int, limit: int) -> Piece:
    """Read the oldest rows after a row number, 0 for the start."""
    statement = (
        sa.select(DirtyPerson.id, DirtyPerson.volunteer_id)
        .where(DirtyPerson.id > after)
        .order_by(DirtyPerson.id)
        .limit(limit)
    )
    return Piece({row.id: row.volunteer_id for row in session.execute(statement)})


def cross_out(session: Session, piece: Piece) -> None:
    """Remove exactly the rows of a piece; rows that came since stay."""
    session.execute(sa.delete(DirtyPerson).where(DirtyPerson.id.in_(piece.rows)))


def length(session: Session) -> int:
    """Return how many rows wait."""
    return session.scalar(sa.select(sa.func.count()).select_from(DirtyPerson)) or 0
