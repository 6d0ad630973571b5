# SPDX-License-Identifier: Apache-2.0
"""Take in volunteers who served before this system, with the minutes they bring along.

A plan is made of the whole file first and shown; only a plan without a fault is carried out, in
one unit of work. It can be undone until somebody has used what it made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.custody import KeyStore
from keys.fingerprint_key import FingerprintKey
from server.applications import import_policy, records, settings
from server.applications.branches import day_of
from server.applications.checking import birth_of, document_of
from server.applications.documents import TAIL_LENGTH, Document
from server.applications.entering import masked
from server.applications.import_policy import TOTAL, Brought
from server.applications.models import Application, VolunteerImport, VolunteerImportLine
from server.applications.policy import (
    ENDED_STATES,
    Carrier,
    Channel,
    Fault,
    State,
    clean_name,
    mobile,
)
from server.applications.records import Contact, Details
from server.applications.tables import Row, Sheet, read_sheet
from server.errors import Refused
from server.people import audit, personal
from server.people.applicants import NewApplicant, add_applicant
from server.people.models import Volunteer
from server.reconciliation.corrections import Said
from server.timebank import opening

RECENT = 20
FAULTS_MAX = 1_000  # a report longer than this is read by nobody; the count stays true
IMPORT_CONTEXT = b"yika/volunteer-import/1\0"


@dataclass(frozen=True, slots=True)
class LineFault:
    """What is wrong with one line, and in which column."""

    line: int
    column: str
    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Planned:
    """One line that would be taken in."""

    line: int
    brought: Brought
    document: Document
    prints: tuple[bytes, bytes]


@dataclass(slots=True)
class Plan:
    """What a file comes to before anything is written: lines, faults, totals, columns."""

    sha256: bytes
    coding: str
    mapping: dict[str, str]
    lines: list[Planned] = field(default_factory=list)
    faults: list[LineFault] = field(default_factory=list)
    read: int = 0

    @property
    def minutes(self) -> int:
        """Return the sum of the minutes of the good lines."""
        return sum(one.brought.minutes for one in self.lines)

    def blame(self, line: int, column: str, fault: tuple[str, str, str]) -> None:
        """Note a fault: code, Chinese, English."""
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(LineFault(line, column, *fault))

    def document(self) -> dict[str, object]:
        """Return the report for machines; it holds no name and no number of a document."""
        return {
            "sha256": self.sha256.hex(),
            "coding": self.coding,
            "mapping": self.mapping,
            "lines": self.read,
            "good": len(self.lines),
            "minutes": self.minutes,
            "faults": [
                {"line": one.line, "column": one.column, "code": one.code, "zh": one.zh,
                 "en": one.en}
                for one in self.faults
            ],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to import: its bytes, columns by name where titles do not tell, totals, coding."""

    content: bytes = field(repr=False)
    columns: Mapping[str, str] = field(default_factory=dict)
    totals: tuple[int, int] | None = None  # lines and minutes, as the old system says
    encoding: str = ""


def plan(session: Session, store: KeyStore, wanted: Wanted, now_ms: int) -> Plan:
    """Look at a whole file and say what importing it would do; writes nothing.

    Raises:
        Refused: the file cannot be read at all, or a needed column is not found.
    """
    sheet = read_sheet(wanted.content, wanted.encoding)
    mapping = import_policy.mapping_of(sheet.header, wanted.columns)
    if lacking := import_policy.unmapped(mapping, wanted.columns):
        raise Refused(
            "columns", f"找不到这些列：{'、'.join(lacking)}", f"no column for {', '.join(lacking)}"
        )
    made = Plan(
        hashlib.sha256(wanted.content).digest(),
        sheet.coding,
        {name: sheet.header[place] for name, place in mapping.items()},
    )
    rows, totals = _without_totals(made, sheet)
    _read_lines(session, records.fingerprints(session, store), made, (rows, mapping), now_ms)
    _refuse_known(session, made)
    _check_totals(made, totals or wanted.totals)
    return made


def recent(session: Session, limit: int = RECENT) -> list[VolunteerImport]:
    """Return the latest imports, the newest first."""
    statement = sa.select(VolunteerImport).order_by(VolunteerImport.id.desc()).limit(limit)
    return list(session.scalars(statement))


def carry_out(
    session: Session, store: KeyStore, made: Plan, source: str, said: Said
) -> VolunteerImport:
    """Take in everybody of a plan, with official numbers and their minutes.

    Raises:
        Refused: the plan has faults or no line, or the same file stands imported.
    """
    if made.faults or not made.lines:
        raise Refused("plan", "文件有误，未导入", "the file has faults: nothing was imported")
    before = sa.select(VolunteerImport).where(VolunteerImport.sha256 == made.sha256)
    earlier = session.scalars(before).all()
    if any(row.undone_ms is None for row in earlier):
        raise Refused("imported", "这个文件已经导入过", "this file was imported before")
    row = VolunteerImport(
        sha256=made.sha256, source=source[:200], mapping=made.mapping, lines=len(made.lines),
        minutes=made.minutes, opening_id=None, actor=said.actor, at_ms=said.now_ms,
    )  # fmt: skip
    session.add(row)
    session.flush()
    numbers = {one.line: _take_in(session, store, row, one, said) for one in made.lines}
    lines = [
        opening.Line(one.line, numbers[one.line], one.brought.minutes, one.brought.reference)
        for one in made.lines
        if one.brought.minutes
    ]
    if lines:
        digest = hashlib.sha256(IMPORT_CONTEXT + made.sha256 + bytes([len(earlier) % 256]))
        sheet = opening.Sheet(digest.digest(), lines)
        row.opening_id = opening.import_sheet(session, sheet, source, said).id
    session.flush()
    audit.record(
        session, said.now_ms, said.actor, "volunteers.imported", f"volunteer-import:{row.id}",
        lines=row.lines, minutes=row.minutes, sha256=made.sha256.hex(), reason=said.reason,
    )  # fmt: skip
    return row


def _without_totals(made: Plan, sheet: Sheet) -> tuple[tuple[Row, ...], tuple[int, int] | None]:
    """Part the line of control totals from the others."""
    last = sheet.rows[-1]
    if last.cells[0].casefold() != TOTAL:
        return sheet.rows, None
    figures = [cell for cell in last.cells[1:] if cell]
    if len(figures) != 2 or not all(text.isascii() and text.isdigit() for text in figures):
        fault = ("totals", "控制行应为 #total,行数,分钟数", "totals are #total,LINES,MINUTES")
        made.blame(last.line, TOTAL, fault)
        return sheet.rows[:-1], None
    return sheet.rows[:-1], (int(figures[0]), int(figures[1]))


def _read_lines(
    session: Session,
    key: FingerprintKey,
    made: Plan,
    rows: tuple[tuple[Row, ...], Mapping[str, int]],
    now_ms: int,
) -> None:
    rules, today = settings.current_rules(session), day_of(now_ms)
    seen: dict[bytes, int] = {}
    for row in rows[0]:
        made.read += 1
        read = import_policy.brought(row.cells, rows[1])
        faults = (
            [read]
            if isinstance(read, Fault)
            else import_policy.line_faults(read.form, rules, today)
        )
        for fault in faults:
            column = made.mapping.get(fault.field, fault.field)
            made.blame(row.line, column, (fault.code, fault.zh, fault.en))
        if faults or isinstance(read, Fault):
            continue
        document, birth = document_of(read.form), birth_of(read.form)
        assert document is not None
        assert birth is not None
        prints = (
            records.document_fingerprint(key, document),
            records.person_fingerprint(key, clean_name(read.form.name) or "", birth),
        )
        if prints[0] in seen:
            first = seen[prints[0]]
            again = ("repeated", f"与第 {first} 行证件相同", f"the document of line {first} again")
            made.blame(row.line, made.mapping["document_number"], again)
            continue
        seen[prints[0]] = row.line
        made.lines.append(Planned(row.line, read, document, prints))


def _refuse_known(session: Session, made: Plan) -> None:
    """Make faults of lines whose person is registered here already."""
    by_print = {one.prints[0]: one for one in made.lines}
    listed = list(by_print)
    for low in range(0, len(listed), records.PIECE):
        rows = session.execute(
            sa.select(Application.document_fingerprint, Volunteer.number)
            .join(Volunteer, Volunteer.id == Application.volunteer_id)
            .where(
                Application.document_fingerprint.in_(listed[low : low + records.PIECE]),
                Application.state.not_in(ENDED_STATES),
            )
        )
        for found, number in rows:
            one = by_print.pop(found or b"")
            shown = masked(number)
            fault = ("known", f"此人已登记，编号 {shown}", f"registered already under {shown}")
            made.blame(one.line, made.mapping["document_number"], fault)
    made.lines = [one for one in made.lines if one.prints[0] in by_print]


def _check_totals(made: Plan, totals: tuple[int, int] | None) -> None:
    if made.faults:
        return
    if totals is None:
        fault = (
            "totals",
            "缺少控制总数：末行写 #total,行数,分钟数，或在导入时填写",
            "control totals are missing: end with #total,LINES,MINUTES or give them",
        )
        made.blame(0, TOTAL, fault)
    elif totals != (len(made.lines), made.minutes):
        told, found = f"{totals[0]}, {totals[1]}", f"{len(made.lines)}, {made.minutes}"
        fault = (
            "totals",
            f"控制总数不符：应为 {told}，实为 {found}",
            f"control totals differ: {told} are told, {found} found",
        )
        made.blame(0, TOTAL, fault)


def _take_in(
    session: Session, store: KeyStore, row: VolunteerImport, one: Planned, said: Said
) -> str:
    """Take in one person; return the number."""
    form, birth = one.brought.form, birth_of(one.brought.form)
    assert birth is not None
    new = NewApplicant(
        clean_name(form.name) or "", birth, with_code=False, official=True
    )  # fmt: skip
    volunteer, _ = add_applicant(session, store, new, said.actor, said.now_ms)
    key = personal.key_of(session, store, volunteer)
    contact = Contact(
        clean_name(form.emergency_name) or "", mobile(form.emergency_mobile) or ""
    )  # fmt: skip
    details = Details(
        one.document, mobile(form.mobile) or "", " ".join(form.address.split()), contact
    )
    session.add(
        Application(
            volunteer_id=volunteer.id,
            preliminary_number=None,
            state=State.APPROVED,
            carrier=Carrier.DEBIT,
            branch_code=None,
            organisation_id=None,
            document_kind=one.document.kind,
            document_tail=one.document.number[-TAIL_LENGTH:],
            document_fingerprint=one.prints[0],
            person_fingerprint=one.prints[1],
            channel=Channel.IMPORT,
            entered_by=said.actor,
            submitted_ms=said.now_ms,
            changed_ms=said.now_ms,
            decided_by=said.actor,
            decided_ms=said.now_ms,
            reason=said.reason[:200] or None,
            **records.seal_details(key, volunteer.id, details),
        )
    )
    session.add(
        VolunteerImportLine(
            import_id=row.id, line=one.line, volunteer_id=volunteer.id, minutes=one.brought.minutes
        )
    )
    return volunteer.number
