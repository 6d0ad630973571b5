# SPDX-License-Identifier: Apache-2.0
"""Tables of the desk: jobs, their sessions with a card, the cards' journals, boxes and stock.

What a job puts on a card and what a card answered is sealed; the rest holds serials, masked
commands and reasons, never a name, a key or a PIN.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Id, Millis
from server.desk.policy import KINDS, LINE_STATES, STATES, STOCK_KINDS

REFERENCE_LENGTH = 32


def _one_of(column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} in ({listed})", column)


class DeskJob(Base):
    """One thing to be done with one card; `sealed` is what it puts on the card."""

    __tablename__ = "desk_job"
    __table_args__ = (
        _one_of("kind", KINDS),
        _one_of("state", STATES),
        sa.Index("ix_desk_job_state", "state", "id"),
    )

    id: Mapped[Id]
    reference: Mapped[str] = mapped_column(sa.CHAR(REFERENCE_LENGTH), unique=True)
    kind: Mapped[str] = mapped_column(sa.String(16))
    state: Mapped[str] = mapped_column(sa.String(12))
    volunteer_id: Mapped[int | None] = mapped_column(sa.ForeignKey("volunteer.id"), index=True)
    asn: Mapped[str | None] = mapped_column(sa.CHAR(20), index=True)
    old_asn: Mapped[str | None] = mapped_column(sa.CHAR(20))
    order_no: Mapped[str | None] = mapped_column(sa.CHAR(12))
    box_id: Mapped[int | None] = mapped_column(sa.ForeignKey("desk_box.id"), index=True)
    sealed: Mapped[bytes | None]
    reason: Mapped[str] = mapped_column(sa.String(200))
    actor: Mapped[str] = mapped_column(sa.String(64))
    writes: Mapped[int] = mapped_column(default=0)
    outcome_zh: Mapped[str] = mapped_column(sa.String(300), default="")
    outcome_en: Mapped[str] = mapped_column(sa.String(300), default="")
    result: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    created_ms: Mapped[Millis]
    changed_ms: Mapped[Millis]


class DeskSession(Base):
    """One time a card lay on the reader for a job: answers so far (sealed), transcript (masked)."""

    __tablename__ = "desk_session"

    id: Mapped[str] = mapped_column(sa.CHAR(REFERENCE_LENGTH), primary_key=True)
    job_id: Mapped[int] = mapped_column(sa.ForeignKey("desk_job.id"), index=True)
    actor: Mapped[str] = mapped_column(sa.String(64))
    chip: Mapped[str] = mapped_column(sa.String(64))
    step: Mapped[int]
    over: Mapped[bool] = mapped_column(default=False)
    sealed: Mapped[bytes]
    transcript: Mapped[str] = mapped_column(sa.Text)
    began_ms: Mapped[Millis]
    expires_ms: Mapped[Millis]


class DeskEntry(Base):
    """One line of a card's journal: what was begun, written, stopped, done. Append-only."""

    __tablename__ = "desk_entry"

    id: Mapped[Id]
    asn: Mapped[str] = mapped_column(sa.CHAR(20), index=True)
    job_id: Mapped[int] = mapped_column(sa.ForeignKey("desk_job.id"), index=True)
    at_ms: Mapped[Millis]
    entry: Mapped[dict[str, Any]] = mapped_column(sa.JSON)


class DeskKeyFact(Base):
    """What cards said about one of their keys: attempts left, version and check value in force."""

    __tablename__ = "desk_key_fact"

    name: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    asn: Mapped[str] = mapped_column(sa.CHAR(20), index=True)
    left: Mapped[int | None]
    known: Mapped[str] = mapped_column(sa.String(80))


class DeskBox(Base):
    """A box of blank cards and the people they are for."""

    __tablename__ = "desk_box"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(sa.String(80), unique=True)
    opened_by: Mapped[str] = mapped_column(sa.String(64))
    opened_ms: Mapped[Millis]
    closed_ms: Mapped[Millis | None]


class DeskBoxLine(Base):
    """One person on a box's list: the next card of the box is for the first who waits."""

    __tablename__ = "desk_box_line"
    __table_args__ = (
        _one_of("state", LINE_STATES),
        sa.UniqueConstraint("box_id", "position"),
        sa.UniqueConstraint("box_id", "volunteer_id"),
    )

    id: Mapped[Id]
    box_id: Mapped[int] = mapped_column(sa.ForeignKey("desk_box.id"))
    position: Mapped[int]
    volunteer_id: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"))
    state: Mapped[str] = mapped_column(sa.String(8))
    job_id: Mapped[int | None] = mapped_column(sa.ForeignKey("desk_job.id"))


class DeskStock(Base):
    """One movement of a box's blanks: received, issued, spoilt, counted. Append-only."""

    __tablename__ = "desk_stock"
    __table_args__ = (_one_of("what", STOCK_KINDS),)

    id: Mapped[Id]
    box_id: Mapped[int] = mapped_column(sa.ForeignKey("desk_box.id"), index=True)
    what: Mapped[str] = mapped_column(sa.String(8))
    count: Mapped[int]
    asn: Mapped[str | None] = mapped_column(sa.CHAR(20))
    reason: Mapped[str] = mapped_column(sa.String(200))
    actor: Mapped[str] = mapped_column(sa.String(64))
    at_ms: Mapped[Millis]
