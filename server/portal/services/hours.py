# SPDX-License-Identifier: Apache-2.0
"""A volunteer's hours as the page shows them: total, grades, services, what needs attention."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Database
from server.people.models import Volunteer
from server.portal.display import local
from server.portal.names import Name
from server.portal.rules_table import Rule, rule_named, rule_numbers
from server.portal.services.closing import Closing
from server.portal.services.exceptions import ExceptionRow, open_exceptions
from server.portal.services.places import DEFAULT_ZONE_QUARTERS, Places
from server.reconciliation.models import Correction, ServiceInterval
from server.timebank.opening import opening_minutes
from server.timebank.services import balance

PAGE_ROWS = 50
MONTHS = 12
GRADES = ("A", "B", "C")
CREDITED = "credited"


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """One service; `start` and `end` are wall times of the site."""

    id: int
    day: date
    site: Name | None
    activity: Name | None
    start: datetime | None
    end: datetime | None
    minutes: int
    grade: str
    state: str
    provisional: bool
    rules: list[Rule]
    note: str

    @property
    def next_day(self) -> bool:
        """Say whether the service ended after midnight."""
        return bool(self.start and self.end and self.end.date() > self.start.date())


@dataclass(frozen=True, slots=True)
class Month:
    """Credited minutes of one month; `percent` of the busiest of the twelve."""

    first: date
    minutes: int
    percent: int


@dataclass(frozen=True, slots=True)
class Hours:
    """All that the volunteer's page shows; `opening_minutes` come from before this system."""

    masked_name: str
    number: str
    total_minutes: int
    opening_minutes: int
    grade_minutes: dict[str, int]
    attention: list[ExceptionRow]
    intervals: list[IntervalRow]
    count: int
    page: int
    months: list[Month]

    @property
    def pages(self) -> int:
        """Return the number of pages of services."""
        return max(1, -(-self.count // PAGE_ROWS))

    @property
    def any_provisional(self) -> bool:
        """Say whether a service on this page may still change by itself."""
        return any(row.provisional for row in self.intervals)

    @property
    def month_average(self) -> int:
        """Return the mean of the months, whole minutes."""
        return sum(month.minutes for month in self.months) // len(self.months)


def read_hours(database: Database, volunteer_id: int, page: int, now_ms: int) -> Hours:
    """Read one page of somebody's services and the figures above it.

    The total is what the ledger says, the grades what the current intervals say.
    """
    with database.reading() as session:
        person = session.get_one(Volunteer, volunteer_id)
        mine = _current(volunteer_id)
        found = session.scalars(
            sa.select(ServiceInterval)
            .where(mine)
            .order_by(ServiceInterval.start_ms.desc(), ServiceInterval.id.desc())
            .limit(PAGE_ROWS)
            .offset((page - 1) * PAGE_ROWS)
        ).all()
        return Hours(
            masked_name=person.masked_name,
            number=person.number,
            total_minutes=balance(session, volunteer_id),
            opening_minutes=opening_minutes(session, volunteer_id),
            grade_minutes=_grade_minutes(session, mine),
            attention=open_exceptions(session, person=volunteer_id),
            intervals=_rows(session, found),
            count=session.scalar(sa.select(sa.func.count()).where(mine)) or 0,
            page=page,
            months=_months(session, mine, now_ms),
        )


def read_months(database: Database, volunteer_id: int, now_ms: int) -> list[Month]:
    """Read the credited minutes of the last twelve months, the newest last."""
    with database.reading() as session:
        return _months(session, _current(volunteer_id), now_ms)


def month_starts(today: date) -> list[date]:
    """Return the first days of the twelve months that end with today's.

    >>> [f"{first:%y-%m}" for first in month_starts(date(2026, 2, 28))][:3]
    ['25-03', '25-04', '25-05']
    """
    newest = today.year * 12 + today.month - 1
    return [
        date(number // 12, number % 12 + 1, 1) for number in range(newest - MONTHS + 1, newest + 1)
    ]


def _current(volunteer_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(ServiceInterval.person == volunteer_id, ServiceInterval.current)


def _grade_minutes(session: Session, mine: sa.ColumnElement[bool]) -> dict[str, int]:
    sums = sa.select(ServiceInterval.grade, sa.func.sum(ServiceInterval.credited_minutes))
    found = {
        grade: int(minutes)
        for grade, minutes in session.execute(sums.where(mine).group_by(ServiceInterval.grade))
    }
    return {grade: found.get(grade, 0) for grade in GRADES}


def _months(session: Session, mine: sa.ColumnElement[bool], now_ms: int) -> list[Month]:
    starts = month_starts(local(now_ms, DEFAULT_ZONE_QUARTERS).date())
    days = session.execute(
        sa.select(ServiceInterval.service_day, sa.func.sum(ServiceInterval.credited_minutes))
        .where(mine, ServiceInterval.service_day >= starts[0])
        .group_by(ServiceInterval.service_day)
    )
    minutes = dict.fromkeys(starts, 0)
    for day, count in days:
        first = day.replace(day=1)
        if first in minutes:
            minutes[first] += int(count)
    busiest = max(minutes.values()) or 1
    return [Month(first, count, count * 100 // busiest) for first, count in minutes.items()]


def _rows(session: Session, found: Collection[ServiceInterval]) -> list[IntervalRow]:
    places = Places.read(session, (row.site for row in found), (row.activity for row in found))
    closing = Closing.read(session, {row.site for row in found if row.site})
    notes = _notes(session, found)
    return [_row(row, places, closing, notes.get(row.correction_id or 0, "")) for row in found]


def _notes(session: Session, found: Collection[ServiceInterval]) -> dict[int, str]:
    """Return what leaders wrote to the corrections behind these services."""
    numbers = {row.correction_id for row in found if row.correction_id}
    made = sa.select(Correction.id, Correction.reason).where(Correction.id.in_(numbers))
    return {row.id: row.reason for row in session.execute(made)}


def _row(row: ServiceInterval, places: Places, closing: Closing, note: str) -> IntervalRow:
    zone = places.zone(row.site)
    return IntervalRow(
        id=row.id,
        day=row.service_day,
        site=places.site(row.site),
        activity=places.activity(row.activity),
        start=_wall(row.start_ms, zone),
        end=_wall(row.end_ms, zone),
        minutes=row.credited_minutes,
        grade=row.grade if row.state == CREDITED else "",
        state=row.state,
        provisional=not closing.is_closed(row.site or 0, row.service_day, zone),
        rules=[rule_named(number) for number in rule_numbers(row.rules)],
        note=note,
    )


def _wall(instant_ms: int | None, zone: int) -> datetime | None:
    return local(instant_ms, zone) if instant_ms else None
