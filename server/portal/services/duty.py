# SPDX-License-Identifier: Apache-2.0
"""A site as its leader sees it: who is on duty now, which terminals speak, what waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Database
from server.people.models import Volunteer
from server.portal.display import local, masked_number
from server.portal.errors import NotFound
from server.portal.names import Name
from server.portal.policy import HEARD_WITHIN_MS, ON_DUTY_LENGTH_MAX_MS, OVERLONG_MS
from server.portal.services.closing import REPORTING_STATES
from server.portal.services.exceptions import QUEUE_ROWS, ExceptionRow, queue, queue_length
from server.reconciliation.models import ServiceInterval
from server.structure.rights import Reach
from server.terminals.models import Activity, Site, Terminal
from server.terminals.places import sites_in_reach

MS_PER_MINUTE = 60_000
STILL_THERE = ("open", "held")  # a missed tap-out waits in the queue instead
ON_DUTY_ROWS = 500  # ten times the largest event; a list beyond that helps nobody


@dataclass(frozen=True, slots=True)
class OnDuty:
    """Somebody who tapped in and not yet out; `since` is wall time of the site."""

    masked_name: str
    masked_number: str
    activity: Name | None
    since: datetime
    minutes: int
    today: bool
    minor: bool
    overlong: bool


@dataclass(frozen=True, slots=True)
class SitePage:
    """All that the site leader's page shows."""

    id: int
    title: Name
    now: datetime
    on_duty: list[OnDuty]
    queue: list[ExceptionRow]
    queue_count: int
    page: int
    terminals: int
    terminals_heard: int

    @property
    def pages(self) -> int:
        """Return the number of pages of the queue."""
        return max(1, -(-self.queue_count // QUEUE_ROWS))


@dataclass(frozen=True, slots=True)
class SiteEntry:
    """A site in the list of sites."""

    id: int
    title: Name


def read_site(database: Database, site_id: int, page: int, now_ms: int) -> SitePage:
    """Read a site's page.

    Raises:
        NotFound: there is no such site.
    """
    with database.reading() as session:
        site = session.get(Site, site_id)
        if site is None:
            raise NotFound
        heard = sa.func.count().filter(Terminal.last_contact_ms >= now_ms - HEARD_WITHIN_MS)
        counted = sa.select(sa.func.count(), heard).where(
            Terminal.site_id == site_id, Terminal.state.in_(REPORTING_STATES)
        )
        terminals, terminals_heard = session.execute(counted).one()
        return SitePage(
            id=site.id,
            title=Name(site.name_zh, site.name_en),
            now=local(now_ms, site.tz_q),
            on_duty=_on_duty(session, site, now_ms),
            queue=queue(session, site_id, page),
            queue_count=queue_length(session, site_id),
            page=page,
            terminals=terminals,
            terminals_heard=terminals_heard,
        )


def read_sites(database: Database, within: Reach) -> list[SiteEntry]:
    """Read the list of the sites in reach."""
    with database.reading() as session:
        found = sites_in_reach(session, within)
        return [SiteEntry(site.id, Name(site.name_zh, site.name_en)) for site in found]


def _on_duty(session: Session, site: Site, now_ms: int) -> list[OnDuty]:
    found = session.execute(
        sa.select(ServiceInterval, Volunteer, Activity)
        .join(Volunteer, Volunteer.id == ServiceInterval.person)
        .outerjoin(Activity, Activity.id == ServiceInterval.activity)
        .where(
            ServiceInterval.current.is_(True),
            ServiceInterval.site == site.id,
            ServiceInterval.end_ms.is_(None),
            ServiceInterval.state.in_(STILL_THERE),
            ServiceInterval.start_ms >= now_ms - ON_DUTY_LENGTH_MAX_MS,
        )
        .order_by(ServiceInterval.start_ms)
        .limit(ON_DUTY_ROWS)
    )
    return [_person(row[0], row[1], row[2], site, now_ms) for row in found]


def _person(
    row: ServiceInterval, person: Volunteer, activity: Activity | None, site: Site, now_ms: int
) -> OnDuty:
    since = local(row.start_ms, site.tz_q)
    return OnDuty(
        masked_name=person.masked_name,
        masked_number=masked_number(person.number),
        activity=Name(activity.name_zh, activity.name_en) if activity else None,
        since=since,
        minutes=max(0, now_ms - row.start_ms) // MS_PER_MINUTE,
        today=since.date() == local(now_ms, site.tz_q).date(),
        minor=person.minor_until_ms is not None and now_ms < person.minor_until_ms,
        overlong=now_ms - row.start_ms > OVERLONG_MS,
    )
