# SPDX-License-Identifier: Apache-2.0
"""What pages show of requests, notices, explanations and accounts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Database
from server.people.models import Volunteer
from server.portal.display import local, masked_number
from server.portal.errors import NotFound
from server.portal.names import Name
from server.portal.services.places import DEFAULT_ZONE_QUARTERS, Places
from server.reconciliation.explaining import explain, history_of
from server.reconciliation.models import HoursRequest, Notification, ServiceInterval
from server.timebank.statements import Statement, statement

ROWS = 50


@dataclass(frozen=True, slots=True)
class Disputed:
    """The service that a dispute is about, in wall times of the site."""

    day: date
    start: datetime | None
    end: datetime | None
    minutes: int


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One request; times are wall times of the site, `about` is the service that is disputed."""

    id: int
    kind: str
    masked_name: str
    masked_number: str
    site: Name | None
    start: datetime | None
    end: datetime | None
    text: str
    state: str
    made: datetime
    due: datetime
    answer: str
    about: Disputed | None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something people are told; `read` says if they marked it so."""

    id: int
    at: datetime
    text: Name
    read: bool


@dataclass(frozen=True, slots=True)
class RequestsPage:
    """Requests and what was told, the newest first."""

    rows: list[RequestRow]
    notices: list[Notice]
    sites: list[tuple[int, Name]]


def read_requests(
    database: Database, *, person: int | None = None, site: int | None = None
) -> RequestsPage:
    """Read the requests of a volunteer, or those that wait at a site."""
    with database.reading() as session:
        wanted = (
            sa.select(HoursRequest, Volunteer, ServiceInterval)
            .join(Volunteer, Volunteer.id == HoursRequest.person)
            .outerjoin(ServiceInterval, ServiceInterval.id == HoursRequest.interval_id)
        )
        told = sa.select(Notification)
        if person is not None:
            wanted = wanted.where(HoursRequest.person == person)
            told = told.where(Notification.person == person)
        else:
            wanted = wanted.where(HoursRequest.site == site, HoursRequest.state == "open")
            told = told.where(Notification.site == site)
        found = session.execute(wanted.order_by(HoursRequest.id.desc()).limit(ROWS)).all()
        places = Places.read(session, [row.site for row, _person, _service in found], [])
        notices = session.scalars(told.order_by(Notification.id.desc()).limit(ROWS))
        return RequestsPage(
            [_row(row, who, service, places) for row, who, service in found],
            [
                Notice(
                    item.id,
                    local(item.at_ms, DEFAULT_ZONE_QUARTERS),
                    Name(item.zh, item.en),
                    item.read_ms is not None,
                )
                for item in notices
            ],
            _sites(session),
        )


def _sites(session: Session) -> list[tuple[int, Name]]:
    from_ids = Places.read(session, _site_ids(session), [])
    return [
        (number, Name(site.name_zh, site.name_en))
        for number, site in sorted(from_ids.sites.items())
    ]


def _site_ids(session: Session) -> list[int]:
    served = sa.select(ServiceInterval.site).where(ServiceInterval.site.is_not(None)).distinct()
    return [number for number in session.scalars(served) if number is not None]


def _row(
    row: HoursRequest, who: Volunteer, service: ServiceInterval | None, places: Places
) -> RequestRow:
    zone = places.zone(row.site)
    return RequestRow(
        id=row.id,
        kind=row.kind,
        masked_name=who.masked_name,
        masked_number=masked_number(who.number),
        site=places.site(row.site),
        start=local(row.start_ms, zone) if row.start_ms else None,
        end=local(row.end_ms, zone) if row.end_ms else None,
        text=row.text,
        state=row.state,
        made=local(row.made_ms, zone),
        due=local(row.due_ms, zone),
        answer=row.answer or "",
        about=_disputed(service, zone) if service else None,
    )


def _disputed(service: ServiceInterval, zone: int) -> Disputed:
    return Disputed(
        service.service_day,
        local(service.start_ms, zone) if service.start_ms else None,
        local(service.end_ms, zone) if service.end_ms else None,
        service.credited_minutes,
    )


def read_disputed(database: Database, person: int, interval: int) -> Disputed | None:
    """Read the service that somebody is about to dispute; None if it is not theirs."""
    with database.reading() as session:
        found = session.get(ServiceInterval, interval)
        if found is None or found.person != person:
            return None
        return _disputed(found, Places.read(session, [found.site], []).zone(found.site))


def read_explanation(database: Database, person: int, interval: int) -> dict[str, Any]:
    """Explain one of somebody's intervals.

    Raises:
        NotFound: the person has no such interval.
    """
    with database.reading() as session:
        row = session.get(ServiceInterval, interval)
        if row is None or row.person != person:
            raise NotFound
        zone = Places.read(session, [row.site], []).zone(row.site)
        return explain(session, row) | {
            "before": history_of(session, row), "day": row.service_day, "zone": zone,
        }  # fmt: skip


def read_account(database: Database, person: int) -> Statement:
    """Read somebody's account in the ledger."""
    with database.reading() as session:
        return statement(session, person, ROWS)
