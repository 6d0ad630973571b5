# SPDX-License-Identifier: Apache-2.0
"""The answer to a partner's file, in its own format: one line for the file, the batches, the lines.

What is not listed was accepted. The same file always gets the same bytes: they are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.bank.files.frame import Header
from server.bank.files.layout import Kind
from server.bank.files.reasons import Finding
from server.bank.files.writing import FileWriter
from server.bank.models import BankFile, BankLine
from server.bank.partners import Partner
from server.bank.policy import fitted, status_of
from server.issuing.dates import local_day

PIECE = 10_000  # lines written at a time
TEXT_WIDTH = 40
FIELDS = ("level", "ref", "status", "code", "field", "expected", "found", "accepted", "rejected")
Row = tuple[str, ...]


def answer_name(name: str, accepted: bool) -> str:
    """Name the answer to a file.

    >>> answer_name("YIKA_BANK-1_RES_00000007.dat", True)
    'ACK_BANK-1_RES_00000007.dat'
    """
    return ("ACK" if accepted else "NAK") + "_" + name.removeprefix("YIKA_")


def write(
    session: Session,
    partner: Partner,
    row: BankFile,
    batches: Sequence[tuple[int, int, int]],
    target: Path,
) -> None:
    """Write the answer to a file whose lines are noted already."""
    header = Header(
        partner.code, Kind.ANSWER, max(row.sequence, 1), local_day(row.made_ms),
        partner.declared.test, row.sequence,
    )  # fmt: skip
    layout = partner.declared.layouts[Kind.ANSWER]
    with target.open("wb") as file:
        writer = FileWriter(file, header, layout, partner.declared.profile)
        finding = Finding(**row.finding) if row.finding else None
        others = row.rejected + row.quarantined
        writer.add(_columns([
            _row("F", finding.line if finding else 0, row.status, finding, row.accepted, others),
            *(_row("B", batch, status_of(bad), None, good, bad) for batch, good, bad in batches),
        ]))  # fmt: skip
        for piece in _lines(session, row.id):
            writer.add(_columns(piece))
        writer.finish()


def _lines(session: Session, file_id: int) -> Iterable[list[Row]]:
    found = session.execute(
        sa.select(
            BankLine.line, BankLine.state, BankLine.code, BankLine.field, BankLine.expected,
            BankLine.found,
        )
        .where(BankLine.file_id == file_id)
        .order_by(BankLine.line)
        .execution_options(yield_per=PIECE)
    )  # fmt: skip
    for piece in found.partitions():
        yield [
            _row("R", line, "QUAR" if state == "QUAR" else "RJCT",
                 Finding(code, line, field, expected, value), 0, 1)
            for line, state, code, field, expected, value in piece
        ]  # fmt: skip


def _row(
    level: str, ref: int, status: str, finding: Finding | None, accepted: int, rejected: int
) -> Row:
    shown = ("RJCT" if status == "HELD" else str(status),)
    texts = (finding.code, finding.field, finding.expected, finding.found) if finding else ("",) * 4
    code, field, expected, found = texts
    return (
        level, str(ref), *shown, code, field, fitted(expected.strip(), TEXT_WIDTH),
        fitted(found.strip(), TEXT_WIDTH), str(accepted), str(rejected),
    )  # fmt: skip


def _columns(rows: Sequence[Row]) -> dict[str, list[str]]:
    return {name: [row[place] for row in rows] for place, name in enumerate(FIELDS)}
