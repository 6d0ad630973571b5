# SPDX-License-Identifier: Apache-2.0
"""The queue of what must be derived again: people, and boots of terminals whose people are meant.

Take a piece of people, derive, then cross it out. Uploads note boots only; who tapped in them is
found out in the background, once for many uploads.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.people.models import DirtyBoot, DirtyPerson
from server.rows import among

# Written once: to build a statement costs more than to run it.
_OLDEST = (
    sa.select(DirtyPerson.id, DirtyPerson.volunteer_id)
    .where(DirtyPerson.id > sa.bindparam("after"))
    .order_by(DirtyPerson.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
)
_NUMBERS: sa.BindParameter[int] = sa.bindparam("numbers", expanding=True)
# No unit of work holds rows of the queue as objects.
_APART = {"synchronize_session": False}
_NOTED = sa.insert(DirtyBoot).inline()
_ANY_BOOT = sa.select(DirtyBoot.id).limit(1)
_BOOTS = (
    sa.select(DirtyBoot.id, DirtyBoot.terminal_id, DirtyBoot.boot)
    .order_by(DirtyBoot.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
)
_TAKEN = sa.delete(DirtyBoot).where(DirtyBoot.id.in_(_NUMBERS)).execution_options(**_APART)


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

    def only(self, volunteer_ids: Container[int]) -> Piece:
        """Return the part of the piece that names some people."""
        return Piece({row: who for row, who in self.rows.items() if who in volunteer_ids})


def take(session: Session, after: int, limit: int) -> Piece:
    """Read the oldest rows after a row number, 0 for the start."""
    rows = session.execute(_OLDEST, {"after": after, "most": limit})
    return Piece({row.id: row.volunteer_id for row in rows})


def cross_out(session: Session, piece: Piece) -> None:
    """Remove exactly the rows of a piece; rows that came since stay."""
    derived = sa.delete(DirtyPerson).where(among(session, DirtyPerson.id, list(piece.rows)))
    session.execute(derived.execution_options(**_APART))


def note_boots(session: Session, terminal_id: int, boots: Iterable[int]) -> None:
    """Queue boots of a terminal about which an upload told something new."""
    for boot in sorted(set(boots)):
        session.connection().execute(_NOTED, {"terminal_id": terminal_id, "boot": boot})


def boots_wait(session: Session) -> bool:
    """Tell whether any boot is noted."""
    return session.scalar(_ANY_BOOT) is not None


def take_boots(session: Session, limit: int) -> dict[int, set[int]]:
    """Take the oldest noted boots out of the queue, by terminal."""
    rows = session.execute(_BOOTS, {"most": limit}).all()
    session.execute(_TAKEN, {"numbers": [row.id for row in rows]})
    boots: dict[int, set[int]] = {}
    for row in rows:
        boots.setdefault(row.terminal_id, set()).add(row.boot)
    return boots


def length(session: Session) -> int:
    """Return how many rows wait, people and boots together."""
    people = sa.select(sa.func.count()).select_from(DirtyPerson)
    boots = sa.select(sa.func.count()).select_from(DirtyBoot)
    return (session.scalar(people) or 0) + (session.scalar(boots) or 0)
