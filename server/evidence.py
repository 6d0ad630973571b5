# SPDX-License-Identifier: Apache-2.0
"""The public log: one RFC 6962 tree over everything accepted, its frontier kept under lock.

Leaves are the hashes of stored events and of enrolments, in the order of storing. Who appends
holds the lock of the single state row until its unit of work ends, so that leaf numbers have
no gap and no two checkpoints disagree.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Id, Millis


class LogState(Base):
    """Size and frontier of the tree; exactly one row, id 1."""

    __tablename__ = "log_state"

    id: Mapped[Id]
    size: Mapped[int] = mapped_column(sa.BigInteger)
    frontier: Mapped[bytes]


class LogRecord(Base):
    """A leaf that is not an event: what was enrolled, by whom, approved by whom."""

    __tablename__ = "log_record"

    leaf_index: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    at_ms: Mapped[Millis]
    kind: Mapped[str] = mapped_column(sa.String(32))
    body: Mapped[bytes]
