# SPDX-License-Identifier: Apache-2.0
"""Take the records of a file, kind by kind: gather while reading, act when all of it was right.

A loader sees every chunk first; only `finish` changes anything, and only within the caller's unit
of work. What the file's own checks found is in `chunk.findings` and noted by the caller.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.bank import order_events
from server.bank.files.checking import Chunk
from server.bank.files.frame import Header
from server.bank.files.layout import Kind
from server.bank.files.manifest import file_name
from server.bank.files.reasons import Finding, shown
from server.bank.models import BankFile, BankSummary
from server.bank.order_events import Load
from server.bank.staging import Stage
from server.benefits.services import DonationRow, book_donations
from server.db import one_of
from server.errors import Refused
from server.issuing import branches as issuing_branches
from server.issuing import dates
from server.issuing.branches import Branch
from server.issuing.models import CardOrder
from server.issuing.services import CardEvent, Detail, apply
from server.people.models import Volunteer

PIECE = 3_000  # rows of one statement


@dataclass(frozen=True, slots=True)
class Done:
    """What became of the records: refusals beyond the file's own findings, figures by batch."""

    refused: tuple[Finding, ...] = ()
    batches: tuple[tuple[int, int, int], ...] = ()


class Loader(Protocol):
    """What loads one kind of file."""

    def take(self, chunk: Chunk) -> None:
        """Gather the records of a chunk."""

    def finish(self) -> Done:
        """Give them their effect."""


def loader(session: Session, load: Load, header: Header) -> Loader:
    """Choose the loader of a kind."""
    if load.kind is Kind.ANSWER:
        return AnswerLoader(session, load, header)
    if load.kind is Kind.LOSS:
        return LossLoader(session, load)
    if load.kind is Kind.DONATION:
        return DonationLoader(session, load)
    if load.kind is Kind.TRANSACTIONS:
        return SummaryLoader(session, load)
    if load.kind is Kind.BRANCHES:
        return BranchLoader(session, load)
    return OrderLoader(session, load)


class OrderLoader:
    """Results, audits, arrivals, collections, cut cards: as sets."""

    def __init__(self, session: Session, load: Load) -> None:
        self._session, self._load = session, load
        self._stage = Stage(session, load.kind)

    def take(self, chunk: Chunk) -> None:
        """Stage the records."""
        self._stage.add(chunk)

    def finish(self) -> Done:
        """Judge all, move what may move, note the rest."""
        order_events.judge(self._session, self._load)
        if self._load.declared.on_reject == "batch":
            order_events.stop_batches(self._session)
        order_events.note_refused(self._session, self._load)
        order_events.settle(self._session, self._load)
        found = order_events.batches(self._session)
        order_events.drop(self._session)
        self._stage.drop()
        return Done((), tuple(found))


class AnswerLoader:
    """A partner's answer to one of our files: taken, refused, or some of its records refused."""

    def __init__(self, session: Session, load: Load, header: Header) -> None:
        self._session, self._load, self._refers = session, load, header.refers
        self._day = int(f"{header.date:%Y%m%d}")
        self._status = ""
        self._bad: list[tuple[int, int, str]] = []  # line here, line there, code

    def take(self, chunk: Chunk) -> None:
        """Gather status and refused lines."""
        rows = zip(chunk.texts("level"), chunk.texts("ref"), chunk.texts("status"),
                   chunk.texts("code"), strict=True)  # fmt: skip
        for place, (level, ref, status, code) in enumerate(rows):
            if level == "F":
                self._status = status
            elif level == "R" and ref.isdigit():
                self._bad.append((chunk.first_line + place, int(ref), code))

    def finish(self) -> Done:
        """Note the answer on our file; what the partner could not use goes to be corrected."""
        name = file_name(self._load.declared.code, Kind.ORDER, self._refers)
        ours = self._session.scalar(
            sa.select(BankFile).where(
                BankFile.partner == self._load.declared.code,
                BankFile.direction == "out",
                BankFile.name == name,
            )
        )
        if ours is None:
            return Done((Finding("R12", 1, "refers", "a file of ours", str(self._refers)),))
        ours.status = "NACK" if self._status == "RJCT" else "ACKD"
        ours.answered_ms, ours.rejected = self._load.now_ms, len(self._bad)
        self._session.flush()
        if not self._bad or ours.status == "NACK":
            return Done()
        return self._correct(name)

    def _correct(self, name: str) -> Done:
        numbers = self._session.scalars(
            sa.select(CardOrder.order_no).where(CardOrder.batch_ref == name).order_by(CardOrder.id)
        ).all()
        stage = Stage(self._session, Kind.ANSWER)
        stage.add_rows([
            {
                "line": line, "batch": self._refers, "day": self._day, "outcome": "RJ",
                "order_no": numbers[there - 2] if 2 <= there < len(numbers) + 2 else "",
                "reason": code,
            }
            for line, there, code in self._bad
        ])  # fmt: skip
        order_events.judge(self._session, self._load)
        order_events.note_refused(self._session, self._load)
        order_events.settle(self._session, self._load)
        found = order_events.batches(self._session)
        order_events.drop(self._session)
        stage.drop()
        return Done((), tuple(found))


_LOSS_EVENTS = {"LOST": "lost", "DMGD": "damaged", "REIS": "reissue_requested"}
_LOSS_SOURCES = {"HOTL": "hotline", "BRCH": "bank"}
# Codes of issuing → ours; all others are rules (R16).
_CODES = {"unknown-order": "R07", "foreign-partner": "R08", "not-following": "R09"}


class LossLoader:
    """Losses, damage and wishes for a new card: each touches cards and hotlist, so one by one."""

    def __init__(self, session: Session, load: Load) -> None:
        self._session, self._load = session, load
        self._rows: list[tuple[int, dict[str, str]]] = []

    def take(self, chunk: Chunk) -> None:
        """Gather the records."""
        self._rows += _dictionaries(chunk)

    def finish(self) -> Done:
        """Apply them in their order."""
        return Done(tuple(
            finding for line, row in self._rows if (finding := self._apply(line, row)) is not None
        ))  # fmt: skip

    def _apply(self, line: int, row: dict[str, str]) -> Finding | None:
        at_ms = _instant(row["date"], row["time"])
        if at_ms is None:
            return Finding("R01", line, "time", "HHMMSS", row["time"])
        result = apply(
            self._session,
            CardEvent(
                order_no=row["order_no"],
                event=_LOSS_EVENTS[row["event"]],
                at_ms=at_ms,
                cause_ref=f"file:{self._load.name}:{line}",
                source=_LOSS_SOURCES[row["channel"]],
                actor=self._load.actor,
                partner=self._load.declared.code,
                detail=self._detail(row),
            ),
            self._load.now_ms,
        )
        if result.ok:
            return None
        code = _CODES.get(result.code, "R16")
        return Finding(code, line, "event", result.code, result.state or row["order_no"])

    def _detail(self, row: dict[str, str]) -> Detail:
        if row["event"] != "REIS":
            return Detail()
        state = self._session.scalar(
            sa.select(CardOrder.state).where(CardOrder.order_no == row["order_no"])
        )
        return Detail(
            reason="DAMAGED" if state == "damaged" else "LOST",
            branch=row.get("branch") or None,
            id_checked=row["channel"] == "BRCH",  # a branch hands out nothing without a document
        )


class DonationLoader:
    """A month of donations: booked whole or not at all, because money is accounted by it."""

    def __init__(self, session: Session, load: Load) -> None:
        self._session, self._load = session, load
        self._months: set[str] = set()
        self._rows: list[DonationRow] = []
        self._lines: list[int] = []

    def take(self, chunk: Chunk) -> None:
        """Gather the records."""
        for line, row in _dictionaries(chunk):
            self._months.add(f"{row['month'][:4]}-{row['month'][4:]}")
            self._lines.append(line)
            self._rows.append(
                DonationRow(
                    row["number"], int(row["purchases"]), int(row["refunds"]),
                    int(row["amount_fen"]),
                )
            )  # fmt: skip

    def finish(self) -> Done:
        """Book the month."""
        if not self._rows:
            return Done()
        if len(self._months) > 1:
            months = ",".join(sorted(self._months))
            return Done((Finding("R16", self._lines[0], "month", "one month", shown(months)),))
        try:
            booked = book_donations(
                self._session, self._load.declared.code, next(iter(self._months)), self._rows,
                f"file:{self._load.name}", self._load.now_ms,
            )  # fmt: skip
        except Refused as refused:
            return Done((Finding("R16", self._lines[0], "month", refused.code, self._month),))
        codes = {"unknown-volunteer": "R10", "twice": "R06", "amount": "R13"}
        return Done(tuple(
            Finding(codes.get(fault.code, "R16"), self._lines[fault.row], fault.code, fault.en[:40],
                    self._rows[fault.row].number)
            for fault in booked.faults
        ))  # fmt: skip

    @property
    def _month(self) -> str:
        return next(iter(self._months))


class SummaryLoader:
    """What volunteers' purchases came to in a month, told once for each of them."""

    def __init__(self, session: Session, load: Load) -> None:
        self._session, self._load = session, load
        self._rows: list[tuple[int, dict[str, str]]] = []
        self._refused: list[Finding] = []

    def take(self, chunk: Chunk) -> None:
        """Gather records that name a volunteer."""
        self._rows += _dictionaries(chunk)

    def finish(self) -> Done:
        """Store what is new."""
        for low in range(0, len(self._rows), PIECE):
            self._store(self._rows[low : low + PIECE])
        return Done(tuple(self._refused))

    def _store(self, rows: list[tuple[int, dict[str, str]]]) -> None:
        numbers = sorted({row["number"] for _, row in rows})
        known = set(
            self._session.scalars(
                sa.select(Volunteer.number).where(one_of(self._session, Volunteer.number, numbers))
            )
        )
        told = {
            (month, number)
            for month, number in self._session.execute(
                sa.select(BankSummary.month, BankSummary.number).where(
                    BankSummary.partner == self._load.declared.code,
                    one_of(self._session, BankSummary.number, numbers),
                )
            )
        }
        for line, row in rows:
            key = (row["month"], row["number"])
            if row["number"] not in known:
                self._refused.append(Finding("R10", line, "number", "volunteer", row["number"]))
            elif key in told:
                self._refused.append(Finding("R06", line, "number", "once a month", row["number"]))
            else:
                told.add(key)
                self._session.add(
                    BankSummary(
                        partner=self._load.declared.code, month=row["month"],
                        number=row["number"], purchases=int(row["purchases"]),
                        amount_fen=int(row["amount_fen"]), points=int(row.get("points") or 0),
                        file_id=self._load.file_id,
                    )
                )  # fmt: skip
        self._session.flush()


class BranchLoader:
    """A partner's list of branches."""

    def __init__(self, session: Session, load: Load) -> None:
        self._session, self._load = session, load
        self._rows: list[tuple[int, dict[str, str]]] = []

    def take(self, chunk: Chunk) -> None:
        """Gather the records."""
        self._rows += _dictionaries(chunk)

    def finish(self) -> Done:
        """Add branches, or change their names and last days."""
        refused, listed = list[Finding](), list[Branch]()
        seen: set[str] = set()
        for line, row in self._rows:
            until = row.get("until")
            if row["branch"] in seen:
                refused.append(Finding("R06", line, "branch", "once", row["branch"]))
            elif until and until < row["from"]:
                refused.append(Finding("R16", line, "until", f">= {row['from']}", until))
            else:
                listed.append(
                    Branch(
                        self._load.declared.code, row["branch"], row["name"], _day(row["from"]),
                        _day(until) if until else None,
                    )
                )  # fmt: skip
            seen.add(row["branch"])
        issuing_branches.load(self._session, listed, self._load.actor, self._load.now_ms)
        return Done(tuple(refused))


def _dictionaries(chunk: Chunk) -> list[tuple[int, dict[str, str]]]:
    """Give the records without a finding as texts by field name, with their lines."""
    bad = {finding.line for finding in chunk.findings}
    columns = [chunk.texts(name) for name in chunk.layout.names]
    rows = []
    for place, values in enumerate(zip(*columns, strict=True)):
        line = chunk.first_line + place
        if line not in bad:
            rows.append((line, dict(zip(chunk.layout.names, values, strict=True))))
    return rows


def _day(text: str) -> dt.date:
    return dt.date(int(text[:4]), int(text[4:6]), int(text[6:]))


def _instant(day: str, time: str) -> int | None:
    hours, minutes, seconds = int(time[:2]), int(time[2:4]), int(time[4:])
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    start = dates.start_of(_day(day))
    return start + ((hours * 60 + minutes) * 60 + seconds) * 1000
