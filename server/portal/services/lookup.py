# SPDX-License-Identifier: Apache-2.0
"""Staff look up a volunteer and report a card lost; every look-up is on the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Database
from server.people import audit
from server.people.models import Card, Volunteer
from server.people.services import CardReport, report_card
from server.portal.display import local, masked_number
from server.portal.errors import NotFound
from server.portal.services.exceptions import open_exceptions
from server.portal.services.places import DEFAULT_ZONE_QUARTERS
from server.timebank.services import balance

ASN_SHOWN = 4  # the last digits, enough to tell two cards of a person apart


@dataclass(frozen=True, slots=True)
class CardRow:
    """One card of a volunteer."""

    id: int
    masked_asn: str
    state: str
    reason: str
    issued: date


@dataclass(frozen=True, slots=True)
class PersonPage:
    """What staff see of a volunteer: nothing that identifies beyond the masked name."""

    id: int
    masked_name: str
    masked_number: str
    total_minutes: int
    exceptions: int
    cards: list[CardRow]

    def card(self, number: int) -> CardRow:
        """Return one of the cards.

        Raises:
            NotFound: the volunteer has no such card.
        """
        for card in self.cards:
            if card.id == number:
                return card
        raise NotFound


def look_up(database: Database, number: str, actor: str, now_ms: int) -> int:
    """Return the id of the volunteer with a number; found or not, the look-up is recorded.

    Raises:
        NotFound: no volunteer has this number.
    """
    with database.writing() as session:
        found = session.scalar(sa.select(Volunteer.id).where(Volunteer.number == number))
        audit.record(
            session, now_ms, actor, "volunteer.looked-up", f"volunteer:{number}", found=bool(found)
        )
    if found is None:
        raise NotFound
    return found


def read_person(database: Database, volunteer_id: int, actor: str, now_ms: int) -> PersonPage:
    """Read what staff see of a volunteer; the reading is recorded too.

    Raises:
        NotFound: there is no such volunteer.
    """
    with database.writing() as session:
        person = session.get(Volunteer, volunteer_id)
        if person is None:
            raise NotFound
        audit.record(session, now_ms, actor, "volunteer.viewed", f"volunteer:{person.number}")
        return _page(session, person)


def report_lost(
    database: Database, volunteer_id: int, card_id: int, report: LostReport, now_ms: int
) -> None:
    """Block a card from now on; terminals learn it with their next hotlist.

    Raises:
        NotFound: the volunteer has no such card.
        Refused: the card is not in a state that can be reported.
    """
    with database.writing() as session:
        card = session.get(Card, card_id)
        if card is None or card.volunteer_id != volunteer_id:
            raise NotFound
        report_card(session, CardReport(card.asn, now_ms, report.reason), report.actor, now_ms)


@dataclass(frozen=True, slots=True)
class LostReport:
    """Who reports a card lost, and why."""

    actor: str
    reason: str


def _page(session: Session, person: Volunteer) -> PersonPage:
    cards = session.scalars(
        sa.select(Card).where(Card.volunteer_id == person.id).order_by(Card.id.desc())
    )
    return PersonPage(
        id=person.id,
        masked_name=person.masked_name,
        masked_number=masked_number(person.number),
        total_minutes=balance(session, person.id),
        exceptions=len(open_exceptions(session, person=person.id)),
        cards=[_card(card) for card in cards],
    )


def _card(card: Card) -> CardRow:
    return CardRow(
        id=card.id,
        masked_asn=f"**** {card.asn[-ASN_SHOWN:]}",
        state=card.state,
        reason=card.reason or "",
        issued=local(card.issued_ms, DEFAULT_ZONE_QUARTERS).date(),
    )
