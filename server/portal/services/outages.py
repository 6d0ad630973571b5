# SPDX-License-Identifier: Apache-2.0
"""What the page of outages shows: what would be settled, what waits, what was done of late."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from server.db import Database
from server.portal.display import local
from server.portal.names import Name
from server.portal.rules_table import Rule, rule_named
from server.portal.services.exceptions import ExceptionRow, find_exceptions
from server.portal.services.places import Places
from server.reconciliation import outages
from server.reconciliation.corrections import Said
from server.reconciliation.credit import approvable
from server.reconciliation.models import OutageSettlement
from server.reconciliation.outages import APPROVED, LISTED_MAX, PROPOSED, Outage

RULES_MAX = 60  # the rules have numbers up to here


@dataclass(frozen=True, slots=True)
class Settlement:
    """One settlement, times as wall times of the site; `rows` are listed while it waits."""

    id: int
    rule: Rule
    start: datetime
    end: datetime
    reason: str
    state: str
    proposed_by: str
    decided_by: str
    effective: datetime | None
    entries: int
    settled: int | None
    rows: list[ExceptionRow]
    own: bool

    @property
    def minutes(self) -> int:
        """Return the minutes proposed by what still waits."""
        return sum(row.proposed_minutes for row in self.rows if row.open)


@dataclass(frozen=True, slots=True)
class OutagePage:
    """The page of a site: rules that can be settled so, a preview if asked for, settlements."""

    site: Name
    zone: int
    rules: list[Rule]
    preview: list[ExceptionRow] | None
    settlements: list[Settlement]

    @property
    def minutes(self) -> int:
        """Return the minutes the preview proposes."""
        return sum(row.proposed_minutes for row in self.preview or ())

    @property
    def people(self) -> int:
        """Return how many people the preview names."""
        return len({row.person for row in self.preview or ()})

    @property
    def full(self) -> bool:
        """Tell whether more may wait than one settlement takes."""
        return len(self.preview or ()) >= LISTED_MAX


def read_outages(
    database: Database, site: int, who: str, outage: Outage | None = None
) -> OutagePage:
    """Return the page of a site as `who` sees it; with an outage, what it would settle."""
    with database.reading() as session:
        places = Places.read(session, [site], [])
        preview = None
        if outage is not None:
            entries = outages.outage_entries(session, outage, LISTED_MAX)
            preview = find_exceptions(session, [entry.id for entry in entries])
        return OutagePage(
            site=places.site(site) or Name("", ""),
            zone=places.zone(site),
            rules=[rule_named(number) for number in range(1, RULES_MAX) if approvable(number)],
            preview=preview,
            settlements=[
                _settlement(session, row, places.zone(site), who)
                for row in outages.lately(session, site)
            ],
        )


def _settlement(session: Session, row: OutageSettlement, zone: int, who: str) -> Settlement:
    waits = row.state in (PROPOSED, APPROVED)
    return Settlement(
        id=row.id,
        rule=rule_named(row.rule),
        start=local(row.from_ms, zone),
        end=local(row.until_ms, zone),
        reason=row.reason,
        state=row.state,
        proposed_by=row.proposed_by,
        decided_by=row.decided_by or "",
        effective=local(row.effective_ms, zone) if row.effective_ms else None,
        entries=len(row.entries),
        settled=row.settled,
        rows=find_exceptions(session, row.entries) if waits else [],
        own=row.proposed_by == who,
    )


def propose(database: Database, outage: Outage, said: Said) -> None:
    """Ask a second person for a settlement; refusals as `reconciliation.outages.propose`."""
    with database.writing() as session:
        outages.propose(session, outage, said)


def decide(database: Database, site: int, number: int, act: str, said: Said) -> None:
    """Approve, refuse or call off a settlement of a site.

    Raises:
        Refused: there is none of that number, or it is not (or no longer) to be had.
    """
    with database.writing() as session:
        found = outages.find(session, site, number)
        if act == "undo":
            outages.undo(session, found, said)
        else:
            outages.answer(session, found, said, approve=act == "approve")
