# SPDX-License-Identifier: Apache-2.0
"""Branches at which cards are collected, as the bank lists them.

The list belongs to issuing, which stands above; its table is read here by name.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import from_millis
from server.people.services import BIRTHDAY_ZONE

_BRANCH = sa.table(
    "bank_branch",
    sa.column("code", sa.String),
    sa.column("name", sa.String),
    sa.column("from_day", sa.Date),
    sa.column("until_day", sa.Date),
)
LISTED_MAX = 500  # a city's branches of one bank; a page shows them all


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch that is open on a day."""

    code: str
    name: str


def day_of(now_ms: int) -> dt.date:
    """Return the day of an instant where the volunteers live."""
    return from_millis(now_ms).astimezone(BIRTHDAY_ZONE).date()


def open_branches(session: Session, day: dt.date) -> list[Branch]:
    """List the branches that are open on a day, by code."""
    rows = session.execute(
        sa.select(_BRANCH.c.code, _BRANCH.c.name)
        .where(_open_on(day))
        .order_by(_BRANCH.c.code)
        .limit(LISTED_MAX)
    )
    return [Branch(code, name) for code, name in rows]


def is_open(session: Session, code: str | None, day: dt.date) -> bool:
    """Say whether somebody who chose a branch can collect a card there.

    Where no bank has listed any branch, cards are handed out at the desk and none is chosen.
    """
    if code is None:
        return session.scalar(sa.select(_BRANCH.c.code).where(_open_on(day)).limit(1)) is None
    wanted = sa.select(_BRANCH.c.code).where(_BRANCH.c.code == code, _open_on(day))
    return session.scalar(wanted.limit(1)) is not None


def _open_on(day: dt.date) -> sa.ColumnElement[bool]:
    return sa.and_(
        _BRANCH.c.from_day <= day, sa.or_(_BRANCH.c.until_day.is_(None), _BRANCH.c.until_day >= day)
    )
