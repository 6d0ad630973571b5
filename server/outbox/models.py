# SPDX-License-Identifier: Apache-2.0
"""Tables of messages to people and of the tries to send them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigInt, Id, Millis
from server.outbox.policy import Channel, State


def _one_of(column: str, words: type[Channel] | type[State]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return sa.CheckConstraint(f"{column} in ({listed})", column)


class OutboxMessage(Base):
    """One message to one person, or to the public; `once` is what causes it.

    `params` are what the template names: dates, branches, masked names, never an address.
    """

    __tablename__ = "outbox_message"
    __table_args__ = (
        _one_of("channel", Channel),
        _one_of("state", State),
        sa.Index("ix_outbox_message_due", "state", "due_ms"),
        sa.Index("ix_outbox_message_person", "volunteer_id", "created_ms"),
    )

    id: Mapped[Id]
    once: Mapped[str] = mapped_column(sa.String(96), unique=True)
    reference: Mapped[str] = mapped_column(sa.CHAR(32), unique=True)
    kind: Mapped[str] = mapped_column(sa.String(48))
    channel: Mapped[str] = mapped_column(sa.String(8))
    volunteer_id: Mapped[int | None] = mapped_column(BigInt)
    params: Mapped[dict[str, str]] = mapped_column(sa.JSON)
    state: Mapped[str] = mapped_column(sa.String(10))
    tries: Mapped[int]
    due_ms: Mapped[Millis]
    expires_ms: Mapped[Millis]
    outcome: Mapped[str] = mapped_column(sa.String(200))
    created_ms: Mapped[Millis]
    changed_ms: Mapped[Millis]


class OutboxTry(Base):
    """One try to send a message, noted before the provider is called; never changed."""

    __tablename__ = "outbox_try"

    id: Mapped[Id]
    message_id: Mapped[int] = mapped_column(sa.ForeignKey("outbox_message.id"), index=True)
    at_ms: Mapped[Millis]
    provider: Mapped[str] = mapped_column(sa.String(32))
