# SPDX-License-Identifier: Apache-2.0
"""What went out and came in, what nobody answered, what waits for staff."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.bank import partners
from server.bank.models import OUT, BankFile, BankLine

HOUR_MS = 3_600_000


def files(session: Session, code: str | None, limit: int, before: int = 0) -> list[dict[str, Any]]:
    """List files both ways, newest first, of one partner or of all; `before` is a row's id."""
    chosen = sa.select(BankFile).order_by(BankFile.id.desc()).limit(limit)
    if code is not None:
        chosen = chosen.where(BankFile.partner == code)
    if before:
        chosen = chosen.where(BankFile.id < before)
    return [shown(row) for row in session.scalars(chosen)]


def shown(row: BankFile) -> dict[str, Any]:
    """Give what may be told of a file."""
    return {
        "id": row.id, "partner": row.partner, "direction": row.direction, "kind": row.kind,
        "sequence": row.sequence, "name": row.name, "status": row.status, "sha256": row.sha256,
        "records": row.records, "accepted": row.accepted, "rejected": row.rejected,
        "quarantined": row.quarantined, "finding": row.finding, "answer": row.answer_name,
        "made_ms": row.made_ms, "answered_ms": row.answered_ms, "channel": row.channel,
    }  # fmt: skip


def unanswered(session: Session, now_ms: int, code: str | None = None) -> list[str]:
    """Name the files of ours that a partner should have answered by now."""
    late: list[str] = []
    for one in partners.listed(session):
        if code is not None and one.code != code:
            continue
        until = now_ms - one.declared.ack_hours * HOUR_MS
        late += session.scalars(
            sa.select(BankFile.name)
            .where(
                BankFile.partner == one.code, BankFile.direction == OUT,
                BankFile.status == "SENT", BankFile.made_ms <= until,
            )
            .order_by(BankFile.id)
        ).all()  # fmt: skip
    return late


def quarantined(session: Session, code: str | None = None) -> int:
    """Count the records that wait for somebody to say what their reason means."""
    chosen = sa.select(sa.func.count()).select_from(BankLine).where(BankLine.state == "QUAR")
    if code is not None:
        chosen = chosen.join(BankFile, BankFile.id == BankLine.file_id)
        chosen = chosen.where(BankFile.partner == code)
    return session.scalar(chosen) or 0


def lines(session: Session, file_id: int, after: int, limit: int) -> list[dict[str, Any]]:
    """List the refused records of a file behind a line."""
    rows = session.scalars(
        sa.select(BankLine)
        .where(BankLine.file_id == file_id, BankLine.line > after)
        .order_by(BankLine.line)
        .limit(limit)
    )
    return [
        {
            "line": row.line, "batch": row.batch, "state": row.state, "code": row.code,
            "field": row.field, "expected": row.expected, "found": row.found,
        }
        for row in rows
    ]  # fmt: skip
