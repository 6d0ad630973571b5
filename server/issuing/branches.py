# SPDX-License-Identifier: Apache-2.0
"""Branches of partners where cards are fetched, with the days from and until which they serve."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.issuing.models import BankBranch
from server.people import audit


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch as a partner's list names it; `until_day` is its last day."""

    partner: str
    code: str
    name: str
    from_day: dt.date
    until_day: dt.date | None = None


def on(session: Session, partner: str | None, day: dt.date) -> list[BankBranch]:
    """Return the branches open on a day, of one partner or of all, by code."""
    chosen = sa.select(BankBranch).where(
        BankBranch.from_day <= day,
        sa.or_(BankBranch.until_day.is_(None), BankBranch.until_day >= day),
    )
    if partner is not None:
        chosen = chosen.where(BankBranch.partner == partner)
    return list(session.scalars(chosen.order_by(BankBranch.partner, BankBranch.code)))


def open_branch(session: Session, code: str, day: dt.date) -> BankBranch:
    """Return the branch of a code that is open on a day.

    Raises:
        Refused: it is closed, or there is none: another one must be chosen.
    """
    for branch in on(session, None, day):
        if branch.code == code:
            return branch
    raise Refused(
        "branch-closed",
        f"网点 {code} 不办理领证，请改选",
        f"branch {code} is closed: choose another",
    )


def name_of(session: Session, partner: str | None, code: str | None) -> str:
    """Return what a branch is called now, its code where nothing is known."""
    named = session.scalar(
        sa.select(BankBranch.name)
        .where(BankBranch.partner == partner, BankBranch.code == code)
        .order_by(BankBranch.from_day.desc())
        .limit(1)
    )
    return named or code or ""


def load(session: Session, listed: list[Branch], actor: str, now_ms: int) -> int:
    """Add branches or change their names and last days; return how many are new."""
    new = 0
    for branch in listed:
        if branch.until_day is not None and branch.until_day < branch.from_day:
            raise Refused(
                "branch-days",
                f"网点 {branch.code} 的日期颠倒",
                f"{branch.code}: ends before it opens",
            )
        known = session.scalar(
            sa.select(BankBranch).where(
                BankBranch.partner == branch.partner,
                BankBranch.code == branch.code,
                BankBranch.from_day == branch.from_day,
            )
        )
        if known is None:
            session.add(
                BankBranch(
                    partner=branch.partner, code=branch.code, name=branch.name,
                    from_day=branch.from_day, until_day=branch.until_day,
                )
            )  # fmt: skip
            new += 1
        else:
            known.name, known.until_day = branch.name, branch.until_day
    audit.record(session, now_ms, actor, "branches.loaded", "branch:*", listed=len(listed), new=new)
    return new
