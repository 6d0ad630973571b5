# SPDX-License-Identifier: Apache-2.0
"""Receive a file from a partner: check all of it, load it or refuse it, and always answer.

Everything a file does happens in one unit of work that begins when its manifest, digest, signature
and wrapping have held, and ends when its trailer has: until then only temporary tables know of it.
A file that was answered for good gets the same answer again and does nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.custody import KeyStore
from server.bank import answers, folders, loading, partners, wire
from server.bank.files import manifest as manifests
from server.bank.files.frame import Header
from server.bank.files.layout import Kind
from server.bank.files.manifest import SUFFIX, Named
from server.bank.files.reading import FileReader
from server.bank.files.reasons import FileRefused, Finding
from server.bank.folders import Folders
from server.bank.models import IN, BankFile, BankLine, BankPartner
from server.bank.order_events import Load
from server.bank.partners import Partner
from server.bank.policy import Terms, header_fault, refused_status, sequence_fault, status_of
from server.clock import Clock
from server.db import Database
from server.errors import Refused
from server.issuing.dates import local_day
from server.people import audit

NAME_MAX = 64
LINES_TOLD_MAX = 1_000  # of a file that its contract refuses for single records
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Intake:
    """What receiving needs: database, key store, folders, clock."""

    database: Database
    store: KeyStore
    folders: Folders
    clock: Clock


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file as it came: from whom, its path, its manifest's bytes, by which channel."""

    partner: str
    path: Path
    manifest: bytes
    channel: str = "console"
    actor: str = "system"

    @property
    def name(self) -> str:
        """Give the file's own name."""
        return self.path.name


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file; `answer` is the path of the answer as it travels, kept for ever."""

    name: str
    status: str
    records: int
    accepted: int
    rejected: int
    quarantined: int
    finding: Finding | None
    answer: Path | None
    repeated: bool = False

    @property
    def ok(self) -> bool:
        """Tell whether the file counted."""
        return self.status in ("ACCP", "PART")


@dataclass
class _Work:
    """What is known of a file so far, for the refusal that may come at any point."""

    partner: Partner
    delivery: Delivery
    now_ms: int
    dry_run: bool
    progress: Progress | None
    folder: Path
    named: Named | None = None
    wire_sha256: str = ""
    sha256: str = ""
    size: int = 0
    header: Header | None = None
    batches: tuple[tuple[int, int, int], ...] = field(default_factory=tuple)


def receive(
    intake: Intake, delivery: Delivery, *, dry_run: bool = False, progress: Progress | None = None
) -> Outcome:
    """Receive one file; what is wrong with it is in the outcome and in the answer.

    With `dry_run` nothing is kept and no answer is put down; the outcome says what would happen.

    Raises:
        Refused: there is no such partner, or it is switched off.
    """
    now_ms = intake.clock.utc_ms()
    with intake.database.reading() as session:
        partner = partners.get(session, delivery.partner)
        if partner.row.state != "active":
            raise Refused("partner-off", "该合作银行已停用", f"{partner.code} is switched off")
        session.expunge(partner.row)
    with intake.folders.work() as folder:
        work = _Work(partner, delivery, now_ms, dry_run, progress, folder)
        try:
            known = _unwrap(intake, work)
            return known or _load(intake, work)
        except FileRefused as refused:
            return _refuse(intake, work, refused)


def _unwrap(intake: Intake, work: _Work) -> Outcome | None:
    """Check all that can be checked without reading a record; find a file that is known."""
    delivery, partner = work.delivery, work.partner
    work.wire_sha256, work.size = (
        wire.digest_of(delivery.path) if delivery.path.exists() else ("0" * 64, 0)
    )
    work.sha256 = work.wire_sha256
    work.named = manifests.named(delivery.name)
    if work.named is None:
        raise FileRefused(Finding("F09", 0, "name", "YIKA_CODE_KND_NNNNNNNN.dat", delivery.name))
    if work.named.partner != partner.code:
        raise FileRefused(Finding("F10", 0, "name", partner.code, work.named.partner))
    wire.checked_manifest(delivery.manifest, delivery.name, delivery.path)
    wire.check_signature(partner, delivery.manifest)
    known = _known(intake, work, BankFile.wire_sha256 == work.wire_sha256)
    if known is not None:
        return known
    content = wire.content_of(partner, intake.store, delivery.path, work.folder)
    if content != delivery.path:
        work.sha256, work.size = wire.digest_of(content)
        return _known(intake, work, BankFile.sha256 == work.sha256)
    return None


def _known(intake: Intake, work: _Work, same: sa.ColumnElement[bool]) -> Outcome | None:
    """Give the outcome of a file that was answered for good."""
    with intake.database.reading() as session:
        row = session.scalar(
            sa.select(BankFile).where(
                BankFile.partner == work.partner.code,
                BankFile.direction == IN,
                BankFile.name == work.delivery.name,
                BankFile.status != "HELD",
                same,
            )
        )
        if row is None:
            return None
        answer = intake.folders.archive(work.partner.code) / f"{row.id}-{row.answer_name}"
        outcome = _outcome(row, answer, repeated=True)
    if not work.dry_run:
        _give_answer(intake, work, outcome)
    return outcome


def _load(intake: Intake, work: _Work) -> Outcome:
    """Read the content and give it its effect, all in one unit of work."""
    content = work.delivery.path
    for name in ("content", "opened"):
        if (work.folder / name).exists():
            content = work.folder / name
            break
    with intake.database.writing() as session:
        row = _loaded(session, work, content)
        outcome = _answered(intake, session, work, row)
        if work.dry_run:
            session.rollback()
    _finish(intake, work, outcome)
    return outcome


def _loaded(session: Session, work: _Work, content: Path) -> BankFile:
    # Files of one partner take turns, so that the numbers are looked at by one of them only.
    session.execute(
        sa.select(BankPartner.id).where(BankPartner.code == work.partner.code).with_for_update()
    )
    with content.open("rb") as stream:
        reader = FileReader(
            stream, work.partner.declared.incoming, lambda header: _accept(session, work, header)
        )
        row = _row(session, work)
        load = Load(
            work.partner.declared, reader.header.kind, work.delivery.name, work.delivery.actor,
            work.now_ms, row.id,
        )  # fmt: skip
        loader = loading.loader(session, load, reader.header)
        for chunk in reader.chunks():
            _note(session, row.id, chunk.findings)
            loader.take(chunk)
            if work.progress is not None:
                work.progress(reader.sums.count)
    done = loader.finish()
    _note(session, row.id, done.refused)
    row.records = reader.sums.count
    _count(session, row)
    work.batches = done.batches
    if row.rejected and _whole_only(work.partner, reader.header.kind):
        raise _stopped(session, row.id)
    audit.record(
        session, work.now_ms, work.delivery.actor, "bankfile.loaded", f"bankfile:{row.name}",
        status=row.status, records=row.records, rejected=row.rejected,
        quarantined=row.quarantined, sha256=row.sha256, channel=row.channel,
    )  # fmt: skip
    return row


def _whole_only(partner: Partner, kind: Kind) -> bool:
    """Tell whether one rejected record stops the file: by contract, and always where money is."""
    return partner.declared.on_reject == "file" or kind is Kind.DONATION


def _accept(session: Session, work: _Work, header: Header) -> None:
    """Hold the header against name, day, environment and the numbers used so far."""
    assert work.named is not None
    work.header = header
    if header.kind is not work.named.kind:
        raise FileRefused(Finding("F25", 1, "kind", work.named.kind, header.kind))
    declared = work.partner.declared
    terms = Terms(
        work.partner.code, local_day(work.now_ms), declared.age_days, declared.test,
        work.named.sequence,
    )  # fmt: skip
    fault = header_fault(header, terms)
    if fault is None and header.kind is not Kind.ANSWER:
        fault = sequence_fault(last_number(session, work.partner.code), header.sequence)
    elif fault is None and _taken(session, work):
        fault = Finding("F15", 1, "sequence", "one answer", str(header.sequence))
    if fault is not None:
        raise FileRefused(fault)


def last_number(session: Session, code: str) -> int:
    """Return the number of the last file of a partner that counted; answers do not use it up."""
    return session.scalar(
        sa.select(sa.func.coalesce(sa.func.max(BankFile.sequence), 0)).where(
            BankFile.partner == code,
            BankFile.direction == IN,
            BankFile.kind != Kind.ANSWER,
            BankFile.status.in_(("ACCP", "PART")),
        )
    ) or 0  # fmt: skip


def _taken(session: Session, work: _Work) -> bool:
    return session.scalar(
        sa.select(BankFile.id).where(
            BankFile.partner == work.partner.code,
            BankFile.direction == IN,
            BankFile.name == work.delivery.name,
            BankFile.status.in_(("ACCP", "PART")),
        )
    ) is not None  # fmt: skip


def _row(session: Session, work: _Work) -> BankFile:
    """Make the file's row, or take up the one of an earlier try that had to wait."""
    name = work.delivery.name[:NAME_MAX]
    row = session.scalar(
        sa.select(BankFile).where(
            BankFile.partner == work.partner.code,
            BankFile.direction == IN,
            BankFile.name == name,
            BankFile.sha256 == work.sha256,
        )
    )
    if row is None:
        row = BankFile(
            partner=work.partner.code, direction=IN, name=name, sha256=work.sha256,
            status="HELD", made_ms=work.now_ms,
        )  # fmt: skip
        session.add(row)
    row.kind = work.named.kind if work.named else "ANS"
    row.sequence = work.named.sequence if work.named else 0
    row.wire_sha256, row.size = work.wire_sha256, work.size
    row.business_date = work.header.date if work.header else None
    row.test = work.header.test if work.header else work.partner.declared.test
    row.records = row.accepted = row.rejected = row.quarantined = 0
    row.finding = None
    row.channel, row.actor = work.delivery.channel, work.delivery.actor
    session.flush()
    return row


def _note(session: Session, file_id: int, findings: tuple[Finding, ...]) -> None:
    if findings:
        session.execute(
            sa.insert(BankLine),
            [
                {"file_id": file_id, "batch": 0, "state": "RJCT", **asdict(finding)}
                for finding in {finding.line: finding for finding in findings}.values()
            ],
        )


def _count(session: Session, row: BankFile) -> None:
    counts = dict(
        session.execute(
            sa.select(BankLine.state, sa.func.count())
            .where(BankLine.file_id == row.id)
            .group_by(BankLine.state)
        ).all()
    )
    row.rejected, row.quarantined = counts.get("RJCT", 0), counts.get("QUAR", 0)
    row.accepted = row.records - row.rejected - row.quarantined
    row.status = status_of(row.rejected + row.quarantined)


def _stopped(session: Session, file_id: int) -> FileRefused:
    rows = session.scalars(
        sa.select(BankLine)
        .where(BankLine.file_id == file_id, BankLine.state == "RJCT")
        .order_by(BankLine.line)
        .limit(LINES_TOLD_MAX)
    )
    lines = tuple(Finding(row.code, row.line, row.field, row.expected, row.found) for row in rows)
    return FileRefused(Finding("F26", lines[0].line, "", "whole", lines[0].code), lines)


def _refuse(intake: Intake, work: _Work, refused: FileRefused) -> Outcome:
    """Keep a refused file and answer it; of a file that waits only the last try is known."""
    with intake.database.writing() as session:
        row = _row(session, work)
        row.status, row.finding = refused_status(refused.finding), asdict(refused.finding)
        _note(session, row.id, refused.lines)
        row.rejected = len(refused.lines)
        audit.record(
            session, work.now_ms, work.delivery.actor, "bankfile.refused", f"bankfile:{row.name}",
            code=refused.finding.code, line=refused.finding.line, field=refused.finding.field,
            sha256=row.sha256, channel=row.channel,
        )  # fmt: skip
        outcome = _answered(intake, session, work, row)
        if work.dry_run:
            session.rollback()
    _finish(intake, work, outcome)
    return outcome


def _answered(intake: Intake, session: Session, work: _Work, row: BankFile) -> Outcome:
    """Write the answer and keep it as it will travel, before the unit of work ends."""
    accepted = row.status in ("ACCP", "PART")
    known = manifests.named(row.name) is not None
    answered = row.name if known else manifests.file_name(work.partner.code, Kind.ANSWER, 0)
    name = answers.answer_name(answered, accepted)
    content = work.folder / "answer"
    answers.write(session, work.partner, row, work.batches, content)
    packed = wire.pack(work.partner, intake.store, name, content, work.folder)
    row.answer_name, row.answer_sha256 = name, packed.wire_sha256
    row.answered_ms = work.now_ms
    kept = intake.folders.archive(work.partner.code) / f"{row.id}-{name}"
    if work.dry_run:
        return _outcome(row, None)
    shutil.copyfile(packed.path, kept)
    kept.with_name(kept.name + SUFFIX).write_bytes(packed.manifest)
    session.flush()
    return _outcome(row, kept)


def _outcome(row: BankFile, answer: Path | None, *, repeated: bool = False) -> Outcome:
    finding = Finding(**row.finding) if row.finding else None
    return Outcome(
        row.name, row.status, row.records, row.accepted, row.rejected, row.quarantined, finding,
        answer, repeated,
    )  # fmt: skip


def _finish(intake: Intake, work: _Work, outcome: Outcome) -> None:
    """Keep the file as it came, and put the answer down; of a try run neither."""
    if work.dry_run:
        return
    delivery = work.delivery
    archive = intake.folders.archive(work.partner.code)
    if outcome.status != "HELD":
        folders.keep(archive, delivery.path, delivery.manifest, work.wire_sha256)
    _give_answer(intake, work, outcome)


def _give_answer(intake: Intake, work: _Work, outcome: Outcome) -> None:
    """Put the answer where the partner finds it."""
    if outcome.answer is None or not outcome.answer.exists():
        return
    note = outcome.answer.with_name(outcome.answer.name + SUFFIX)
    name = outcome.answer.name.split("-", 1)[1]
    folders.publish(
        intake.folders.outbox(work.partner.code), name, outcome.answer, note.read_bytes()
    )


def collect(intake: Intake, code: str, channel: str = "sftp") -> list[Outcome]:
    """Receive every whole file in a partner's folder, lowest number first, and take it away.

    A file that has to wait stays where it is.
    """
    outcomes = []
    for path in intake.folders.waiting(code):
        note = path.with_name(path.name + SUFFIX)
        with note.open("rb") as file:
            manifest = file.read(manifests.MANIFEST_BYTES_MAX + 1)
        outcome = receive(intake, Delivery(code, path, manifest, channel))
        if outcome.status != "HELD":
            folders.remove(path)
        outcomes.append(outcome)
    return outcomes
