# SPDX-License-Identifier: Apache-2.0
"""What a database comes to, in figures that a copy of it must give again."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Base
from server.evidence import STATE_ID, LogState
from server.reconciliation.models import ServiceInterval
from server.timebank.models import Entry
from swipe import merkle

PIECE = 10_000  # rows fetched at a time: memory does not grow with the database


@dataclass(frozen=True, slots=True)
class Figures:
    """Rows of every table, the public log, the ledger, and a digest of everybody's hours."""

    rows: dict[str, int]
    log_size: int
    log_root: str
    ledger_sum: int
    credited_minutes: int
    hours: str

    def to_json(self) -> dict[str, Any]:
        """Give them as plain values."""
        return asdict(self)

    def differences(self, other: Figures) -> list[str]:
        """Name every figure that is not the same, with both values.

        >>> one = Figures({"event": 2}, 2, "aa", 0, 60, "bb")
        >>> one.differences(Figures({"event": 1}, 2, "aa", 0, 60, "bb"))
        ['rows of event: 2, found 1']
        """
        found = [
            f"rows of {table}: {self.rows.get(table, 0)}, found {other.rows.get(table, 0)}"
            for table in sorted(self.rows | other.rows)
            if self.rows.get(table, 0) != other.rows.get(table, 0)
        ]
        for part in fields(self):
            ours, theirs = getattr(self, part.name), getattr(other, part.name)
            if part.name != "rows" and ours != theirs:
                found.append(f"{part.name}: {ours}, found {theirs}")
        return found


def figures(session: Session) -> Figures:
    """Compute the figures in one reading; every row of hours is read, others are counted."""
    state = session.get_one(LogState, STATE_ID)
    tree = merkle.CompactRange.from_bytes(state.frontier) if state.size else merkle.CompactRange()
    minutes, digest = hours(session)
    return Figures(
        rows={
            table.name: session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
        },
        log_size=state.size,
        log_root=tree.root().hex(),
        ledger_sum=int(
            session.scalar(sa.select(sa.func.coalesce(sa.func.sum(Entry.minutes), 0))) or 0
        ),
        credited_minutes=minutes,
        hours=digest,
    )


def hours(session: Session) -> tuple[int, str]:
    """Sum the credited minutes of everybody, and digest each current interval (SHA-256, hex)."""
    row = ServiceInterval
    found = session.execute(
        sa.select(
            row.person, row.key, row.start_ms, row.end_ms, row.credited_minutes, row.grade,
            row.state, row.rules,
        )
        .where(row.current)
        .order_by(row.person, row.start_ms, row.key)
        .execution_options(yield_per=PIECE)
    )  # fmt: skip
    total, digest = 0, hashlib.sha256()
    for interval in found:
        total += interval.credited_minutes
        digest.update(("|".join(map(str, interval)) + "\n").encode())
    return total, digest.hexdigest()
