# SPDX-License-Identifier: Apache-2.0
"""Tables of the fleet: what terminals said of themselves, and replacements of dead boxes."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Id, Millis


class FleetStatus(Base):
    """The newest status of a terminal, as it signed it."""

    __tablename__ = "fleet_status"

    terminal_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    received_ms: Mapped[Millis]
    boot: Mapped[int] = mapped_column(sa.BigInteger)
    uptime_s: Mapped[int] = mapped_column(sa.BigInteger)
    body: Mapped[str] = mapped_column(sa.Text)


class FleetHistory(Base):
    """A status as it was; only the newest of each terminal are kept."""

    __tablename__ = "fleet_history"

    id: Mapped[Id]
    terminal_id: Mapped[int] = mapped_column(sa.BigInteger, index=True)
    received_ms: Mapped[Millis]
    body: Mapped[str] = mapped_column(sa.Text)


class Replacement(Base):
    """A new box in the place of a dead one: ordered by one person, approved by another."""

    __tablename__ = "replacement"
    __table_args__ = (sa.CheckConstraint("state in ('ordered', 'approved', 'cancelled')", "state"),)

    id: Mapped[Id]
    terminal_id: Mapped[int] = mapped_column(sa.ForeignKey("terminal.id"), index=True)
    reason: Mapped[str] = mapped_column(sa.String(200))
    ordered_by: Mapped[str] = mapped_column(sa.String(64))
    ordered_ms: Mapped[Millis]
    state: Mapped[str] = mapped_column(sa.String(16))
    approved_by: Mapped[str | None] = mapped_column(sa.String(64))
    approved_ms: Mapped[Millis | None]
    key_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    last_seq: Mapped[int | None] = mapped_column(sa.BigInteger)
