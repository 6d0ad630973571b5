# SPDX-License-Identifier: Apache-2.0
"""The calendar in the database: read it, load a year from the announcement, say what is known."""

from __future__ import annotations

import csv
import datetime as dt
import io
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.issuing.dates import SATURDAY, WorkCalendar
from server.issuing.models import CalendarDay, CalendarYear
from server.people import audit

EXCEPTIONS_MAX = 150  # no year has more free weekdays and worked weekends together
SOURCE_MAX, NAME_MAX = 200, 60
_WORDS = {"1": True, "work": True, "上班": True, "0": False, "free": False, "放假": False}


def read(session: Session) -> WorkCalendar:
    """Return the calendar as it stands."""
    days = session.execute(sa.select(CalendarDay.day, CalendarDay.working))
    years = session.execute(sa.select(CalendarYear.year, CalendarYear.provisional)).all()
    return WorkCalendar(
        {row.day: row.working for row in days},
        frozenset(row.year for row in years),
        frozenset(row.year for row in years if row.provisional),
    )


@dataclass(frozen=True, slots=True)
class NewYear:
    """A year as announced: the days that differ from their weekday, by day."""

    year: int
    days: dict[dt.date, tuple[bool, str]]
    source: str
    provisional: bool = False


def parse(text: str, year: int, source: str, *, provisional: bool = False) -> NewYear:
    """Read lines `day,working,name`; working is 1/0, work/free or 上班/放假.

    Raises:
        Refused: a line does not read so, names a day of another year, or no exception at all.

    >>> parse("2027-10-01,放假,国庆节", 2027, "notice").days
    {datetime.date(2027, 10, 1): (False, '国庆节')}
    """
    days: dict[dt.date, tuple[bool, str]] = {}
    for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
        if not row or row[0].startswith("#") or row[0] == "day":
            continue
        day, working = _day(row, number, year)
        days[day] = (working, row[2].strip()[:NAME_MAX] if len(row) > 2 else "")
    if len(days) > EXCEPTIONS_MAX:
        raise Refused("calendar-long", "日历的例外日过多", f"more than {EXCEPTIONS_MAX} days")
    return NewYear(year, days, source[:SOURCE_MAX], provisional)


def _day(row: list[str], number: int, year: int) -> tuple[dt.date, bool]:
    try:
        day, working = dt.date.fromisoformat(row[0].strip()), _WORDS[row[1].strip().lower()]
    except (ValueError, KeyError, IndexError) as error:
        raise Refused(
            "calendar-line", f"第 {number} 行须为 日期,上班/放假,名称",
            f"line {number}: expected day,work|free,name",
        ) from error  # fmt: skip
    if day.year != year:
        raise Refused("calendar-year", f"第 {number} 行不在 {year} 年", f"line {number}: {day}")
    if working == (day.weekday() < SATURDAY):
        raise Refused(
            "calendar-plain", f"第 {number} 行与星期一致，不必列出",
            f"line {number}: {day} differs in nothing from its weekday",
        )  # fmt: skip
    return day, working


def load(session: Session, new: NewYear, actor: str, now_ms: int) -> None:
    """Put a year in the place of what was known of it; due dates given before stay."""
    first, last = dt.date(new.year, 1, 1), dt.date(new.year, 12, 31)
    session.execute(sa.delete(CalendarDay).where(CalendarDay.day.between(first, last)))
    session.execute(sa.delete(CalendarYear).where(CalendarYear.year == new.year))
    session.add(CalendarYear(year=new.year, provisional=new.provisional, source=new.source))
    session.add_all(
        CalendarDay(day=day, working=working, name=name)
        for day, (working, name) in sorted(new.days.items())
    )
    audit.record(
        session, now_ms, actor, "calendar.loaded", f"calendar:{new.year}",
        days=len(new.days), provisional=new.provisional, source=new.source,
    )  # fmt: skip
