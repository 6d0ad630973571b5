# SPDX-License-Identifier: Apache-2.0
"""Balances of existing volunteers from a CSV file with control totals (rule 58).

The whole file is checked before anything is written; the import is one signed record, its minutes
have a grade of their own and are shown apart.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.people import audit
from server.people.models import Volunteer
from server.reconciliation.corrections import Said
from server.timebank.models import OPENING, VOLUNTEER, OpeningBalance, OpeningImport
from server.timebank.moves import PIECE, Move, Side, move

IMPORT_CONTEXT = b"yika/opening-import/1\0"
COLUMNS = ("number", "minutes", "reference")
TOTAL = "#total"
# Two hundred thousand volunteers in two files; a line is some thirty bytes.
FILE_BYTES_MAX = 16 * 1024 * 1024
LINES_MAX = 100_000
# The hours of forty years of service every day: more is a slip of the finger.
MINUTES_LINE_MAX = 40 * 365 * 8 * 60
REFERENCE_MAX = 64
FAULTS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its place in the file, the volunteer, the minutes, what the old system calls it."""

    line: int
    number: str
    minutes: int
    reference: str


@dataclass(frozen=True)
class Sheet:
    """A file as read: good lines, faults by line, control totals."""

    sha256: bytes
    lines: list[Line] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def minutes(self) -> int:
        """Return the sum of the minutes."""
        return sum(line.minutes for line in self.lines)


def read_sheet(content: bytes) -> Sheet:
    r"""Read a file: header, lines, and the control line `#total,LINES,MINUTES` at its end.

    >>> read_sheet(b"number,minutes,reference\n0000000019,90,A1\n#total,1,90\n").minutes
    90
    >>> read_sheet(b"number,minutes,reference\n0000000019,x,\n#total,1,90\n").faults[0]
    'line 2: minutes: not a whole number'
    """
    sheet = Sheet(hashlib.sha256(content).digest())
    if len(content) > FILE_BYTES_MAX:
        sheet.faults.append(f"file: more than {FILE_BYTES_MAX} bytes")
        return sheet
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        sheet.faults.append(f"file: {type(error).__name__}: {error}")
        return sheet
    if len(rows) < 2 or tuple(cell.strip() for cell in rows[0]) != COLUMNS:
        sheet.faults.append(f"line 1: the header is {','.join(COLUMNS)}, the last line {TOTAL},…")
        return sheet
    if len(rows) - 2 > LINES_MAX:
        sheet.faults.append(f"file: more than {LINES_MAX} lines")
        return sheet
    for place, row in enumerate(rows[1:-1], 2):
        _take_line(sheet, place, [cell.strip() for cell in row])
    _check_total(sheet, [cell.strip() for cell in rows[-1]], len(rows) - 2)
    return sheet


def _take_line(sheet: Sheet, place: int, row: list[str]) -> None:
    if len(row) != len(COLUMNS):
        sheet.faults.append(f"line {place}: {len(row)} columns, not {len(COLUMNS)}")
        return
    number, minutes, reference = row
    if not minutes.isascii() or not minutes.isdigit():
        sheet.faults.append(f"line {place}: minutes: not a whole number")
    elif not 0 < int(minutes) <= MINUTES_LINE_MAX:
        sheet.faults.append(f"line {place}: minutes: 1 to {MINUTES_LINE_MAX}")
    elif len(reference) > REFERENCE_MAX:
        sheet.faults.append(f"line {place}: reference: more than {REFERENCE_MAX} characters")
    else:
        sheet.lines.append(Line(place, number, int(minutes), reference))


def _check_total(sheet: Sheet, row: list[str], lines: int) -> None:
    wanted = [TOTAL, str(lines), str(sheet.minutes)]
    if not sheet.faults and row != wanted:
        sheet.faults.append(f"control: the file says {','.join(row)}, found {','.join(wanted)}")


def check_people(session: Session, sheet: Sheet) -> dict[str, int]:
    """Return the volunteers named; unknown numbers and repetitions become faults of the sheet."""
    found: dict[str, int] = {}
    numbers = [line.number for line in sheet.lines]
    for low in range(0, len(numbers), PIECE):
        wanted = sa.select(Volunteer.number, Volunteer.id).where(
            Volunteer.number.in_(numbers[low : low + PIECE])
        )
        found |= dict(iter(session.execute(wanted)))
    seen: set[str] = set()
    for line in sheet.lines:
        if line.number not in found:
            sheet.faults.append(f"line {line.line}: no such volunteer")
        elif line.number in seen:
            sheet.faults.append(f"line {line.line}: the volunteer occurs twice")
        seen.add(line.number)
    return found


def import_sheet(session: Session, sheet: Sheet, source: str, said: Said) -> OpeningImport:
    """Import a sheet as one signed record and one transfer a line, all or nothing.

    Raises:
        Refused: the sheet has faults, the same file was imported before, or nobody signs.
    """
    people = check_people(session, sheet)
    if sheet.faults:
        more = f" (+{len(sheet.faults) - 1})" if len(sheet.faults) > 1 else ""
        raise Refused("sheet", f"文件有误：{sheet.faults[0]}{more}", f"{sheet.faults[0]}{more}")
    if session.scalar(sa.select(OpeningImport.id).where(OpeningImport.sha256 == sheet.sha256)):
        raise Refused("imported", "这个文件已经导入过", "this file was imported before")
    if said.signer is None:
        raise Refused("unsigned", "没有签名密钥", "an import is signed")
    record = _record(sheet, source, said)
    made = OpeningImport(
        sha256=sheet.sha256, source=source, lines=len(sheet.lines), minutes=sheet.minutes,
        actor=said.actor, at_ms=said.now_ms, record=record,
        signature=said.signer.identity.sign(IMPORT_CONTEXT, record), key_id=said.signer.key_id,
    )  # fmt: skip
    session.add(made)
    session.flush()
    session.execute(
        sa.insert(OpeningBalance),
        [
            {
                "import_id": made.id, "line": line.line, "person": people[line.number],
                "minutes": line.minutes, "reference": line.reference,
            }
            for line in sheet.lines
        ],
    )  # fmt: skip
    moves = [
        Move(
            f"opening:{made.id}:{line.line}", "opening", people[line.number],
            {Side(OPENING): -line.minutes, Side(VOLUNTEER, people[line.number]): line.minutes},
            line.reference,
        )
        for line in sheet.lines
    ]  # fmt: skip
    move(session, moves, said.now_ms, said.actor)
    audit.record(
        session, said.now_ms, said.actor, "opening.imported", f"opening-import:{made.id}",
        lines=made.lines, minutes=made.minutes, sha256=sheet.sha256.hex(),
    )  # fmt: skip
    return made


def _record(sheet: Sheet, source: str, said: Said) -> bytes:
    document = {
        "sha256": sheet.sha256.hex(), "source": source, "lines": len(sheet.lines),
        "minutes": sheet.minutes, "actor": said.actor, "at_ms": said.now_ms,
        "reason": said.reason,
    }  # fmt: skip
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def opening_minutes(session: Session, person: int) -> int:
    """Return what a volunteer brought along from before this system."""
    total = sa.select(sa.func.coalesce(sa.func.sum(OpeningBalance.minutes), 0))
    return int(session.scalar(total.where(OpeningBalance.person == person)) or 0)
