# SPDX-License-Identifier: Apache-2.0
"""Which days of a site are closed: every terminal of it has reported past their end.

A terminal that holds nothing unsent and left no gap has reported up to its last contact; any
other one up to the last event of its unbroken run. Until a day is closed a record of it may
still arrive, so its services are provisional.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.ingest.models import StoredEvent, StoredRange
from server.portal.display import instant
from server.terminals.models import Terminal

REPORTING_STATES = ("active", "quarantined")  # a revoked terminal will never report again


@dataclass(frozen=True, slots=True)
class Closing:
    """The instant (ms UTC) up to which each site has reported; absent = it has no terminal."""

    reported_ms: dict[int, int]

    @classmethod
    def read(cls, session: Session, sites: Collection[int]) -> Closing:
        """Read how far the terminals of some sites have reported."""
        found = session.execute(
            sa.select(Terminal, StoredEvent.utc_ms)
            .outerjoin(StoredRange, _prefix())
            .outerjoin(StoredEvent, _last_of_prefix())
            .where(Terminal.site_id.in_(sites), Terminal.state.in_(REPORTING_STATES))
        )
        gaps = _terminals_with_gaps(session)
        reported: dict[int, int] = {}
        for terminal, last_event_ms in found:
            told_all = terminal.unsent == 0 and terminal.id not in gaps
            at_ms = (terminal.last_contact_ms if told_all else last_event_ms) or 0
            reported[terminal.site_id] = min(at_ms, reported.get(terminal.site_id, at_ms))
        return cls(reported)

    def is_closed(self, site: int, day: date, zone: int) -> bool:
        """Say whether a service day (local to the site, zone in quarter hours) is closed.

        >>> late = Closing({1: instant(datetime(2026, 11, 22, 0, 0), 32)})
        >>> late.is_closed(1, date(2026, 11, 21), 32), late.is_closed(1, date(2026, 11, 22), 32)
        (True, False)
        """
        end_ms = instant(datetime.combine(day + timedelta(days=1), time()), zone)
        return self.reported_ms.get(site, end_ms) >= end_ms


def _prefix() -> sa.ColumnElement[bool]:
    return sa.and_(StoredRange.terminal_id == Terminal.id, StoredRange.first_seq == 1)


def _last_of_prefix() -> sa.ColumnElement[bool]:
    return sa.and_(StoredEvent.terminal_id == Terminal.id, StoredEvent.seq == StoredRange.last_seq)


def _terminals_with_gaps(session: Session) -> set[int]:
    return set(session.scalars(sa.select(StoredRange.terminal_id).where(StoredRange.first_seq > 1)))
