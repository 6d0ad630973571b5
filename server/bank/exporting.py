# SPDX-License-Identifier: Apache-2.0
"""Write production orders for a partner: only the fields of its white list, and always the same.

A file is kept as it travelled; sent again it is the same bytes. Written again from the database it
has the same content as long as nobody's data has changed since.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.custody import KeyStore
from server.applications.services import bank_record
from server.bank import folders, partners, wire
from server.bank.files.frame import Header
from server.bank.files.layout import Kind
from server.bank.files.manifest import SUFFIX, file_name
from server.bank.files.writing import FileWriter, fits
from server.bank.intake import Intake
from server.bank.models import OUT, BankFile, BankPartner
from server.bank.partners import Partner
from server.errors import Refused
from server.issuing.dates import local_day
from server.issuing.models import CardOrder, CardStep
from server.issuing.services import CardEvent, apply, mark_exported, ready_for_export
from server.people import audit
from server.people.models import Volunteer
from server.people.personal import Reader

ORDERS_MAX = 1_000_000  # of one file
PIECE = 5_000  # orders written at a time
WHY = "bank production file"
CARRIERS = {"debit": "D", "credit": "C"}
# Field of the file → what the application calls it; the other fields come from the order itself.
OPENED = {
    "name": "name", "document_kind": "document_kind", "document_no": "document_number",
    "birth": "birth", "mobile": "mobile", "address": "address", "photo_sha256": "photo_sha256",
}  # fmt: skip
# Volunteer and names of fields → their values, with the reading on record.
Opener = Callable[[int, Sequence[str]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Skipped:
    """An order that stayed behind, and why."""

    order_no: str
    zh: str
    en: str


@dataclass(frozen=True)
class Exported:
    """A file that went out, or would go out; no name when there is nothing to order."""

    name: str
    sequence: int
    orders: int
    sha256: str
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One order as it is written."""

    order_id: int
    values: dict[str, str]


def export(
    intake: Intake,
    code: str,
    actor: str,
    *,
    limit: int = ORDERS_MAX,
    dry_run: bool = False,
    opener: Opener | None = None,
) -> Exported:
    """Write the orders that wait for a partner into one file and put it where it finds it.

    An order whose data does not fit stays behind and is named; it stops no other. Personal fields
    come from applications unless an `opener` of another source is given.

    Raises:
        Refused: there is no such partner, or it is switched off.
    """
    now_ms = intake.clock.utc_ms()
    with intake.folders.work() as work, intake.database.writing() as session:
        partner = _locked(session, code)
        sequence = last_number(session, code) + 1
        name = file_name(code, Kind.ORDER, sequence)
        reader = Reader(actor, WHY, now_ms)
        opened = opener or _opener(session, intake.store, reader)
        lines, skipped = _lines(session, partner, opened, limit)
        if not lines:
            return Exported("", sequence, 0, "", tuple(skipped))
        content = work / "content"
        _write(partner, sequence, local_day(now_ms), lines, content)
        sha256, _ = wire.digest_of(content)
        if dry_run:
            session.rollback()
            return Exported(name, sequence, len(lines), sha256, tuple(skipped))
        mark_exported(session, [line.order_id for line in lines], name, now_ms)
        packed = wire.pack(partner, intake.store, name, content, work)
        session.add(
            BankFile(
                partner=code, direction=OUT, kind=Kind.ORDER, sequence=sequence, name=name,
                sha256=sha256, wire_sha256=packed.wire_sha256, size=content.stat().st_size,
                business_date=local_day(now_ms), test=partner.declared.test, status="SENT",
                records=len(lines), accepted=0, rejected=0, quarantined=0, channel="out",
                actor=actor, made_ms=now_ms,
            )
        )  # fmt: skip
        audit.record(
            session, now_ms, actor, "bankfile.sent", f"bankfile:{name}",
            orders=len(lines), skipped=len(skipped), sha256=sha256,
            fields=list(partner.declared.whitelist),
        )  # fmt: skip
        kept = intake.folders.archive(code) / f"out-{name}"
        shutil.copyfile(packed.path, kept)
        kept.with_name(kept.name + SUFFIX).write_bytes(packed.manifest)
    _put(intake, code, name)
    return Exported(name, sequence, len(lines), sha256, tuple(skipped))


def resend(intake: Intake, code: str, sequence: int, actor: str) -> str:
    """Put a file that went out before where the partner finds it: the same bytes; return its name.

    Raises:
        Refused: no such file went out.
    """
    name = file_name(code, Kind.ORDER, sequence)
    with intake.database.writing() as session:
        row = _sent(session, code, name)
        audit.record(
            session, intake.clock.utc_ms(), actor, "bankfile.resent", f"bankfile:{name}",
            sha256=row.wire_sha256,
        )  # fmt: skip
    _put(intake, code, name)
    return name


def write_again(
    intake: Intake,
    code: str,
    sequence: int,
    actor: str,
    target: Path,
    opener: Opener | None = None,
) -> Exported:
    """Write the content of an earlier file anew from the database, for comparison.

    Raises:
        Refused: no such file went out, or the data has changed since: then the kept file counts.
    """
    name = file_name(code, Kind.ORDER, sequence)
    now_ms = intake.clock.utc_ms()
    with intake.database.writing() as session:
        partner = partners.get(session, code)
        row = _sent(session, code, name)
        assert row.business_date is not None
        opened = opener or _opener(session, intake.store, Reader(actor, WHY, now_ms))
        lines, _ = _described(partner, _orders_of(session, name), opened)
        _write(partner, sequence, row.business_date, lines, target)
        sha256, _ = wire.digest_of(target)
        if sha256 != row.sha256:
            target.unlink()
            raise Refused(
                "data-changed", "此后资料有变，请用 resend 重发原文件",
                "the data has changed since: resend sends the kept file",
            )  # fmt: skip
    return Exported(name, sequence, len(lines), sha256)


def withdraw(intake: Intake, code: str, sequence: int, actor: str) -> int:
    """Take back a file that a partner refused: its orders wait again; return how many.

    Raises:
        Refused: no such file went out, or the partner did not refuse it.
    """
    name = file_name(code, Kind.ORDER, sequence)
    now_ms = intake.clock.utc_ms()
    with intake.database.writing() as session:
        row = _sent(session, code, name)
        if row.status != "NACK":
            raise Refused(
                "not-refused", "该文件未被银行退回", f"{name} was not refused by the partner"
            )
        numbers = session.scalars(
            sa.select(CardOrder.order_no).where(CardOrder.batch_ref == name).order_by(CardOrder.id)
        ).all()
        for number in numbers:
            event = CardEvent(number, "withdrawn", now_ms, f"file:{name}:NAK", "staff", actor)
            apply(session, event, now_ms)
        audit.record(
            session, now_ms, actor, "bankfile.withdrawn", f"bankfile:{name}", orders=len(numbers)
        )
    return len(numbers)


def last_number(session: Session, code: str) -> int:
    """Return the number of the last file that went out to a partner."""
    return session.scalar(
        sa.select(sa.func.coalesce(sa.func.max(BankFile.sequence), 0)).where(
            BankFile.partner == code, BankFile.direction == OUT
        )
    ) or 0  # fmt: skip


def _locked(session: Session, code: str) -> Partner:
    session.execute(sa.select(BankPartner.id).where(BankPartner.code == code).with_for_update())
    partner = partners.get(session, code)
    if partner.row.state != "active":
        raise Refused("partner-off", "该合作银行已停用", f"{code} is switched off")
    return partner


def _sent(session: Session, code: str, name: str) -> BankFile:
    row = session.scalar(
        sa.select(BankFile).where(
            BankFile.partner == code, BankFile.direction == OUT, BankFile.name == name
        )
    )
    if row is None:
        raise Refused("unknown-file", f"没有发出过 {name}", f"{name} never went out")
    return row


def _put(intake: Intake, code: str, name: str) -> None:
    kept = intake.folders.archive(code) / f"out-{name}"
    manifest = kept.with_name(kept.name + SUFFIX).read_bytes()
    folders.publish(intake.folders.outbox(code), name, kept, manifest)


def _opener(session: Session, store: KeyStore, reader: Reader) -> Opener:
    return lambda volunteer_id, fields: bank_record(session, store, volunteer_id, fields, reader)


@dataclass(frozen=True, slots=True)
class _Order:
    order_id: int
    volunteer_id: int
    own: dict[str, str]
    photo_sha256: str | None


def _lines(
    session: Session, partner: Partner, opener: Opener, limit: int
) -> tuple[list[Line], list[Skipped]]:
    orders = (
        _order(row.order_id, row.volunteer_id, row.photo_sha256, (
            row.order_no, row.number, row.carrier, row.branch_code, row.reason,
        ))
        for row in ready_for_export(session, partner.code, limit)
    )  # fmt: skip
    return _described(partner, orders, opener)


def _orders_of(session: Session, name: str) -> list[_Order]:
    rows = session.execute(
        sa.select(
            CardOrder.id, CardOrder.volunteer_id, CardOrder.photo_sha256, CardOrder.order_no,
            Volunteer.number, CardOrder.carrier, CardOrder.branch_code, CardOrder.reason,
        )
        .join(CardStep, CardStep.order_id == CardOrder.id)
        .join(Volunteer, Volunteer.id == CardOrder.volunteer_id)
        .where(CardStep.event == "exported", CardStep.cause_ref == f"file:{name}")
        .order_by(CardOrder.id)
    )  # fmt: skip
    return [_order(row[0], row[1], row[2], tuple(row[3:])) for row in rows]


def _order(
    order_id: int, volunteer_id: int, photo: str | None, own: tuple[str | None, ...]
) -> _Order:
    order_no, number, carrier, branch, reason = own
    values = {
        "order_no": order_no or "", "number": number or "",
        "carrier": CARRIERS.get(carrier or "", ""), "branch": branch or "", "reason": reason or "",
    }  # fmt: skip
    return _Order(order_id, volunteer_id, values, photo)


def _described(
    partner: Partner, orders: Iterable[_Order], opener: Opener
) -> tuple[list[Line], list[Skipped]]:
    """Open what the white list names, and nothing else; set aside what does not fit."""
    wanted = [name for name in partner.declared.whitelist if name in OPENED]
    lines, skipped = list[Line](), list[Skipped]()
    for order in orders:
        number = order.own["order_no"]
        try:
            opened = opener(order.volunteer_id, [OPENED[name] for name in wanted])
        except Refused as refused:
            skipped.append(Skipped(number, refused.zh, refused.en))
            continue
        values = order.own | {name: _text(name, opened[OPENED[name]]) for name in wanted}
        photo = values.get("photo_sha256", "")
        if not photo or (order.photo_sha256 and photo != order.photo_sha256):
            skipped.append(Skipped(number, "照片与申请时不同或缺失", "photo changed or missing"))
            continue
        values["photo_ref"] = f"{values['number']}-{photo[:12]}.jpg"
        misfit = _misfit(partner, values)
        if misfit:
            skipped.append(Skipped(number, f"{misfit} 放不下", f"{misfit} does not fit"))
            continue
        lines.append(Line(order.order_id, values))
    return lines, skipped


def _misfit(partner: Partner, values: dict[str, str]) -> str:
    for field in partner.declared.layouts[Kind.ORDER].fields:
        value = values.get(field.name, "")
        if not fits(field, value) or not (value or field.optional):
            return field.name
    return ""


def _text(name: str, value: object) -> str:
    text = "" if value is None else str(value)
    return text.replace("-", "") if name == "birth" else text


def _write(
    partner: Partner, sequence: int, date: dt.date, lines: Sequence[Line], target: Path
) -> None:
    layout = partner.declared.layouts[Kind.ORDER]
    header = Header(partner.code, Kind.ORDER, sequence, date, partner.declared.test)
    with target.open("wb") as file:
        writer = FileWriter(file, header, layout, partner.declared.profile)
        for low in range(0, len(lines), PIECE):
            piece = lines[low : low + PIECE]
            writer.add({
                name: [line.values.get(name, "") for line in piece] for name in layout.names
            })  # fmt: skip
        writer.finish()
