# SPDX-License-Identifier: Apache-2.0
"""Activities as the pages show them: what waits, what was asked for, one application, a form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Database
from server.portal.display import instant, local
from server.portal.errors import NotFound
from server.portal.forms import TIME_FAULT, wall_time
from server.portal.language import N_
from server.portal.names import Name
from server.reconciliation.models import ServiceInterval
from server.structure.rights import Place, Reach
from server.terminals import activities, places
from server.terminals.activities import Wish
from server.terminals.models import Activity, ActivityApplication, Site

NUMBER_FAULT = N_("Give a whole number.")

NUMBERS = ("every_days", "times", "planned_min", "capacity")


@dataclass(frozen=True, slots=True)
class ApplicationRow:
    """One application in a list; times are wall times of its site."""

    id: int
    code: str
    title: Name
    site: Name
    state: str
    start: datetime
    end: datetime
    times: int
    every_days: int
    capacity: int | None
    applied_by: str


@dataclass(frozen=True, slots=True)
class TimeRow:
    """One time of an approved activity: its code, when, how many served so far."""

    code: str
    start: datetime
    end: datetime
    served: int
    cancelled: bool


@dataclass(frozen=True, slots=True)
class ApplicationPage:
    """One application whole."""

    row: ApplicationRow
    place: Place
    planned_min: int
    minors: bool
    decided_by: str
    reason: str
    times: list[TimeRow]


@dataclass(frozen=True)
class ActivityForm:
    """The form as typed, so that it can be shown again."""

    site: str = ""
    code: str = ""
    name_zh: str = ""
    name_en: str = ""
    start: str = ""
    end: str = ""
    numbers: Mapping[str, str] = field(default_factory=dict)
    minors: bool = True

    @classmethod
    def parse(cls, typed: Mapping[str, str]) -> ActivityForm:
        """Take the form as typed."""
        texts = {
            name: typed.get(name, "").strip()[:100]
            for name in ("site", "code", "name_zh", "name_en", "start", "end")
        }
        numbers = {name: typed.get(name, "").strip()[:10] for name in NUMBERS}
        texts["code"] = texts["code"].upper()
        return cls(**texts, numbers=numbers, minors="minors" in typed)

    def faults(self) -> dict[str, str]:
        """Return what is no time or no number; the rules are the service's business."""
        found = {
            name: TIME_FAULT
            for name, text in (("start", self.start), ("end", self.end))
            if wall_time(text) is None
        }
        return found | {
            name: NUMBER_FAULT
            for name, text in self.numbers.items()
            if text and not (text.isascii() and text.isdigit())
        }

    def wish(self, site: Site) -> Wish:
        """Return what is wished for, times in the zone of the site."""
        start, end = wall_time(self.start), wall_time(self.end)
        assert start is not None
        assert end is not None, "faults() was asked"
        number = {name: int(text) if text else None for name, text in self.numbers.items()}
        return Wish(
            site.id,
            self.code,
            self.name_zh,
            self.name_en,
            instant(start, site.tz_q),
            instant(end, site.tz_q),
            every_days=number.get("every_days") or 0,
            times=number.get("times") or 1,
            planned_min=number.get("planned_min") or 0,
            capacity=number.get("capacity"),
            minors=self.minors,
        )


def read_list(
    database: Database, within: Reach, now_ms: int, *, waiting: bool
) -> list[ApplicationRow]:
    """Read the applications in reach."""
    with database.reading() as session:
        found = activities.listing(session, within, now_ms, waiting=waiting)
        return [_row(application, site, now_ms) for application, site in found]


def read_one(database: Database, application_id: int, now_ms: int) -> ApplicationPage:
    """Read one application.

    Raises:
        NotFound: there is no such application.
    """
    with database.reading() as session:
        found = session.get(ActivityApplication, application_id)
        if found is None:
            raise NotFound
        site = session.get_one(Site, found.site_id)
        return ApplicationPage(
            _row(found, site, now_ms),
            places.place_of_site(session, site.id),
            found.planned_min,
            found.minors,
            found.decided_by or "",
            found.reason,
            [_time(session, each, site) for each in activities.activities_of(session, found.id)],
        )


def read_template(database: Database, application_id: int) -> ActivityForm:
    """Read an application as a form for the next one, without its times."""
    with database.reading() as session:
        found = session.get(ActivityApplication, application_id)
        if found is None:
            return ActivityForm()
        numbers = {name: str(getattr(found, name) or "") for name in NUMBERS}
        return ActivityForm(
            str(found.site_id), found.code, found.name_zh, found.name_en,
            numbers=numbers, minors=found.minors,
        )  # fmt: skip


def site_names(database: Database, within: Reach) -> list[tuple[int, Name]]:
    """Read the sites in reach, to choose one."""
    with database.reading() as session:
        found = places.sites_in_reach(session, within)
        return [(site.id, Name(site.name_zh, site.name_en)) for site in found]


def _row(found: ActivityApplication, site: Site, now_ms: int) -> ApplicationRow:
    return ApplicationRow(
        id=found.id,
        code=found.code,
        title=Name(found.name_zh, found.name_en),
        site=Name(site.name_zh, site.name_en),
        state=activities.state_now(found, now_ms),
        start=local(found.start_ms, site.tz_q),
        end=local(found.end_ms, site.tz_q),
        times=found.times,
        every_days=found.every_days,
        capacity=found.capacity,
        applied_by=found.applied_by,
    )


def _time(session: Session, each: Activity, site: Site) -> TimeRow:
    people = sa.select(sa.func.count(sa.distinct(ServiceInterval.person))).where(
        ServiceInterval.activity == each.id, ServiceInterval.current
    )
    return TimeRow(
        each.code,
        local(each.start_ms, site.tz_q),
        local(each.end_ms, site.tz_q),
        session.scalars(people).one(),
        each.cancelled_ms is not None,
    )
