# SPDX-License-Identifier: Apache-2.0
"""Tables of card updates and of the sessions that carry them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Id, Millis

WAITING = "state = 'waiting'"
UPDATE_STATES = ("waiting", "done", "failed", "cancelled", "replaced")


class CardUpdate(Base):
    """What one card is to say at its next tap; `wanted` is sealed, it may hold a mobile number."""

    __tablename__ = "card_update"
    __table_args__ = (
        sa.CheckConstraint(
            "state in ('waiting', 'done', 'failed', 'cancelled', 'replaced')", "state"
        ),
        # One card has one waiting update, also when two people queue one in the same moment.
        sa.Index(
            "uq_card_update_waiting", "asn", unique=True,
            sqlite_where=sa.text(WAITING), postgresql_where=sa.text(WAITING),
        ),
    )  # fmt: skip

    id: Mapped[Id]
    reference: Mapped[str] = mapped_column(sa.CHAR(32), unique=True)
    asn: Mapped[str] = mapped_column(sa.CHAR(20), index=True)
    wanted: Mapped[bytes]
    script: Mapped[bytes | None]
    fields: Mapped[str] = mapped_column(sa.String(200))
    state: Mapped[str] = mapped_column(sa.String(16))
    reason: Mapped[str] = mapped_column(sa.String(200))
    created_by: Mapped[str] = mapped_column(sa.String(64))
    created_ms: Mapped[Millis]
    attempts: Mapped[int] = mapped_column(default=0)
    outcome: Mapped[str | None] = mapped_column(sa.String(400))
    carrier: Mapped[str | None] = mapped_column(sa.String(64))
    ended_ms: Mapped[Millis | None]


class CarrySession(Base):
    """One attempt at a card: the answers so far, sealed; the operation is made anew from them."""

    __tablename__ = "carry_session"

    id: Mapped[str] = mapped_column(sa.CHAR(32), primary_key=True)
    update_id: Mapped[int] = mapped_column(sa.ForeignKey("card_update.id"), index=True)
    terminal_id: Mapped[int] = mapped_column(sa.BigInteger)
    step: Mapped[int]
    fresh: Mapped[bool]  # it works the script out itself
    answers: Mapped[bytes]
    last: Mapped[str] = mapped_column(sa.Text)
    expires_ms: Mapped[Millis]
