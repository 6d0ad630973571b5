# SPDX-License-Identifier: Apache-2.0
"""The exception queue: what waits for a leader, and the leader's decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Database
from server.ingest.models import StoredEvent
from server.people.models import Volunteer
from server.portal.display import local, masked_number
from server.portal.errors import NotFound
from server.portal.names import Name
from server.portal.rules_table import Rule, rule_named
from server.portal.services.places import DEFAULT_ZONE_QUARTERS
from server.reconciliation.models import ReconException
from server.terminals.models import Site, Terminal

QUEUE_ROWS = 50
OPEN = "open"


@dataclass(frozen=True, slots=True)
class ExceptionRow:
    """One exception; times are wall times of the site, `zone` its zone in quarter hours."""

    id: int
    rule: Rule
    person: int
    masked_name: str
    masked_number: str
    terminal_name: str
    seq: int
    at: datetime | None
    site_id: int | None
    site: Name | None
    zone: int
    detail: Name
    proposed_start: datetime | None
    proposed_end: datetime | None
    open: bool

    @property
    def proposed_minutes(self) -> int:
        """Return the whole minutes of the proposal, 0 when an end is missing."""
        if self.proposed_start is None or self.proposed_end is None:
            return 0
        return int((self.proposed_end - self.proposed_start).total_seconds()) // 60


def open_exceptions(session: Session, *, person: int) -> list[ExceptionRow]:
    """Return what waits for a decision about one volunteer, the newest first."""
    wanted = _statement().where(ReconException.person == person, *_waiting())
    newest = wanted.order_by(ReconException.id.desc()).limit(QUEUE_ROWS)
    return [_row(found) for found in session.execute(newest)]


def queue_length(session: Session, site: int) -> int:
    """Return how many exceptions wait at a site."""
    waiting = _statement().where(_site() == site, *_waiting())
    counted = waiting.with_only_columns(sa.func.count(), maintain_column_froms=True)
    return session.scalar(counted) or 0


def queue(session: Session, site: int, page: int) -> list[ExceptionRow]:
    """Return one page of what waits at a site, the oldest first."""
    waiting = _statement().where(_site() == site, *_waiting()).order_by(ReconException.id)
    shown = waiting.limit(QUEUE_ROWS).offset((page - 1) * QUEUE_ROWS)
    return [_row(found) for found in session.execute(shown)]


def read_exception(database: Database, site: int, number: int) -> ExceptionRow:
    """Return one exception of a site.

    Raises:
        NotFound: there is none with this number, or it belongs to another site.
    """
    with database.reading() as session:
        return find_exception(session, site, number)


def find_exception(session: Session, site: int, number: int) -> ExceptionRow:
    """Return one exception of a site inside a unit of work; raises NotFound as above."""
    wanted = _statement().where(_site() == site, ReconException.id == number)
    found = session.execute(wanted).one_or_none()
    if found is None:
        raise NotFound
    return _row(found)


def find_exceptions(session: Session, numbers: Sequence[int]) -> list[ExceptionRow]:
    """Return these exceptions, the oldest first."""
    wanted = _statement().where(ReconException.id.in_(numbers)).order_by(ReconException.id)
    return [_row(found) for found in session.execute(wanted)]


def _site() -> sa.ColumnElement[int]:
    # The signed event names its site; a resolved tap names none, there its terminal's site counts.
    return sa.func.coalesce(sa.func.nullif(StoredEvent.site, 0), Terminal.site_id)


def _statement() -> sa.Select[*tuple[Any, ...]]:
    same_event = sa.and_(
        StoredEvent.terminal_id == ReconException.terminal, StoredEvent.seq == ReconException.seq
    )
    return (
        sa.select(ReconException, StoredEvent.utc_ms, Site, Volunteer, Terminal)
        .outerjoin(StoredEvent, same_event)
        .outerjoin(Terminal, Terminal.id == ReconException.terminal)
        .outerjoin(Site, Site.id == _site())
        .outerjoin(Volunteer, Volunteer.id == ReconException.person)
    )


def _waiting() -> tuple[sa.ColumnElement[bool], ...]:
    return (ReconException.state == OPEN, ReconException.current.is_(True))


def _row(found: Any) -> ExceptionRow:
    item: ReconException = found[0]
    site: Site | None = found[2]
    person: Volunteer | None = found[3]
    terminal: Terminal | None = found[4]
    zone = site.tz_q if site else DEFAULT_ZONE_QUARTERS
    return ExceptionRow(
        id=item.id,
        rule=rule_named(item.rule),
        person=item.person,
        masked_name=person.masked_name if person else "",
        masked_number=masked_number(person.number) if person else "",
        terminal_name=terminal.name if terminal else str(item.terminal),
        seq=item.seq,
        at=_wall(found[1], zone),
        site_id=site.id if site else None,
        site=Name(site.name_zh, site.name_en) if site else None,
        zone=zone,
        detail=Name(item.detail_zh, item.detail_en),
        proposed_start=_wall(item.proposed_start_ms, zone),
        proposed_end=_wall(item.proposed_end_ms, zone),
        open=item.state == OPEN and item.current,
    )


def _wall(instant_ms: int | None, zone: int) -> datetime | None:
    return local(instant_ms, zone) if instant_ms else None
