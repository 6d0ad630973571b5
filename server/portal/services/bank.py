# SPDX-License-Identifier: Apache-2.0
"""What the pages of bank files show, narrowed to the partners that somebody may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from server.bank import quarantine, status
from server.bank.files.reasons import REASONS
from server.bank.models import BankFile, BankPartner
from server.db import Database
from server.portal.names import Name
from server.structure.rights import Reach

ROWS = 50


@dataclass(frozen=True)
class Files:
    """A page of the list."""

    rows: list[dict[str, Any]]
    late: list[str]
    more: int


@dataclass(frozen=True)
class FilePage:
    """One file, why it was refused (if it was), and a page of its refused lines."""

    row: dict[str, Any]
    why: Name | None
    lines: list[dict[str, Any]]
    more: int


def partners_in(database: Database, reach: Reach) -> list[str]:
    """Return the codes of the partners in reach."""
    with database.reading() as session:
        codes = session.scalars(sa.select(BankPartner.code).order_by(BankPartner.code)).all()
    return [code for code in codes if reach.everywhere or code in reach.partners]


def files(database: Database, reach: Reach, before: int, now_ms: int) -> Files:
    """List files, newest first."""
    codes = partners_in(database, reach)
    with database.reading() as session:
        chosen = sa.select(BankFile).where(BankFile.partner.in_(codes))
        if before:
            chosen = chosen.where(BankFile.id < before)
        found = session.scalars(chosen.order_by(BankFile.id.desc()).limit(ROWS))
        rows = [status.shown(row) for row in found]
        late = [name for code in codes for name in status.unanswered(session, now_ms, code)]
    return Files(rows, late, rows[-1]["id"] if len(rows) == ROWS else 0)


def find(database: Database, code: str, name: str) -> int | None:
    """Return the number of the newest file of a name."""
    with database.reading() as session:
        return session.scalar(
            sa.select(sa.func.max(BankFile.id)).where(
                BankFile.partner == code, BankFile.name == name
            )
        )


def file(database: Database, reach: Reach, file_id: int, after: int) -> FilePage | None:
    """Give one file; None when there is none in reach."""
    with database.reading() as session:
        row = session.get(BankFile, file_id)
        if row is None or not (reach.everywhere or row.partner in reach.partners):
            return None
        found = status.shown(row)
        lines = status.lines(session, file_id, after, ROWS)
    for line in lines:
        line["why"] = Name(REASONS[line["code"]].zh, REASONS[line["code"]].en)
    finding = found["finding"]
    why = Name(REASONS[finding["code"]].zh, REASONS[finding["code"]].en) if finding else None
    return FilePage(found, why, lines, lines[-1]["line"] if len(lines) == ROWS else 0)


def settle(
    database: Database, place: tuple[int, int], reason: str, actor: str, now_ms: int
) -> None:
    """Say what the unknown reason of a record means."""
    with database.writing() as session:
        quarantine.settle(session, place, reason, actor, now_ms)
