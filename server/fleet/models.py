# SPDX-License-Identifier: Apache-2.0
"""Tables of the fleet: what terminals said of themselves."""

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
