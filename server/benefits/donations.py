# SPDX-License-Identifier: Apache-2.0
"""“十分关爱”: the bank's donations in volunteers' names, booked month by month from its files.

A month of a partner is booked whole or not at all, once; a file that says otherwise later is
refused, because money was accounted by the first one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.benefits.models import Donation
from server.benefits.policy import DonationRow, donation_fen, total_fen
from server.db import one_of
from server.errors import Refused
from server.people import audit
from server.people.models import Volunteer

MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
PIECE = 3_000  # rows looked up and inserted at once


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that cannot be booked: its place in the file, counted from 0, and why."""

    row: int
    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Booked:
    """What a donation file came to; with faults nothing of it was booked."""

    rows: int
    purchases: int
    refunds: int
    amount_fen: int
    repeated: bool = False
    faults: tuple[Fault, ...] = ()


def book_donations(
    session: Session, partner: str, month: str, rows: Sequence[DonationRow], cause_ref: str,
    now_ms: int,
) -> Booked:  # fmt: skip
    """Book a partner's donations of a month (YYYY-MM), attributed to volunteers by number.

    Each row's `amount_fen` must be ten fen a purchase less ten fen a refund. The same month with
    the same rows again changes nothing and says so.

    Raises:
        Refused: the month is none, or was booked with other rows.
    """
    if MONTH.fullmatch(month) is None:
        raise Refused("month", "月份须为 YYYY-MM", "a month is YYYY-MM")
    people = _people(session, rows)
    faults = tuple(_faults(rows, people))
    sums = (
        len(rows), sum(row.purchases for row in rows), sum(row.refunds for row in rows),
        total_fen(rows),
    )  # fmt: skip
    if faults:
        return Booked(*sums, faults=faults)
    if _known(session, partner, month, rows, people):
        return Booked(*sums, repeated=True)
    values = [
        {
            "partner": partner, "month": month, "volunteer_id": people[row.number],
            "purchases": row.purchases, "refunds": row.refunds, "amount_fen": row.amount_fen,
            "cause_ref": cause_ref, "made_ms": now_ms,
        }
        for row in rows
    ]  # fmt: skip
    for low in range(0, len(values), PIECE):
        session.execute(sa.insert(Donation), values[low : low + PIECE])
    audit.record(
        session, now_ms, "system", "donation.booked", f"donation:{partner}:{month}",
        rows=sums[0], amount_fen=sums[3], cause=cause_ref,
    )  # fmt: skip
    return Booked(*sums)


def month_total_fen(session: Session, partner: str, month: str) -> int:
    """Return what a partner donated in a month."""
    return session.scalar(
        sa.select(sa.func.coalesce(sa.func.sum(Donation.amount_fen), 0)).where(
            Donation.partner == partner, Donation.month == month
        )
    ) or 0  # fmt: skip


def _people(session: Session, rows: Sequence[DonationRow]) -> dict[str, int]:
    found: dict[str, int] = {}
    numbers = sorted({row.number for row in rows})
    for low in range(0, len(numbers), PIECE):
        listed = one_of(session, Volunteer.number, numbers[low : low + PIECE])
        pairs = session.execute(sa.select(Volunteer.number, Volunteer.id).where(listed))
        found |= {row.number: row.id for row in pairs}
    return found


def _faults(rows: Sequence[DonationRow], people: dict[str, int]) -> list[Fault]:
    faults = []
    seen: set[str] = set()
    for place, row in enumerate(rows):
        if row.number not in people:
            faults.append(Fault(place, "unknown-volunteer", "没有这个义工号", "no such volunteer"))
        elif row.number in seen:
            faults.append(Fault(place, "twice", "同一义工出现两次", "listed twice"))
        elif row.purchases < 0 or row.refunds < 0:
            faults.append(Fault(place, "count", "笔数不能为负", "a count is below zero"))
        elif row.amount_fen != donation_fen(row.purchases, row.refunds):
            faults.append(
                Fault(place, "amount", "金额须为每笔十分", "the amount is not ten fen a purchase")
            )
        seen.add(row.number)
    return faults


def _known(
    session: Session, partner: str, month: str, rows: Sequence[DonationRow], people: dict[str, int]
) -> bool:
    """Tell whether the month is booked with just these rows."""
    booked = {
        (one.volunteer_id, one.purchases, one.refunds, one.amount_fen)
        for one in session.execute(
            sa.select(
                Donation.volunteer_id, Donation.purchases, Donation.refunds, Donation.amount_fen
            ).where(Donation.partner == partner, Donation.month == month)
        )
    }
    if not booked:
        return False
    if booked == {(people[r.number], r.purchases, r.refunds, r.amount_fen) for r in rows}:
        return True
    raise Refused(
        "month-booked", f"{month} 已按另一文件入账", f"{month} is booked with other rows already"
    )
