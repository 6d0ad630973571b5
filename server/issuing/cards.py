# SPDX-License-Identifier: Apache-2.0
"""What an order does to the holder's chip card: register it, list it, take it off the hotlist.

The hotlist is what terminals refuse by; it changes in the unit of work of the step that causes it.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.issuing.models import CardOrder
from server.issuing.policy import CARD_STATES
from server.people import audit, sequences
from server.people.models import Card, Volunteer
from server.people.services import CardReport, mark_dirty, register_card, report_card

REASON = "cardorder {order_no} {event}"


def register(session: Session, order: CardOrder, key_version: int, actor: str, now_ms: int) -> None:
    """Bind the card of an order to its holder, if the order says which card it is.

    Raises:
        Refused: the serial is none, or somebody else's.
    """
    if order.asn is None:
        return
    number = session.scalars(
        sa.select(Volunteer.number).where(Volunteer.id == order.volunteer_id)
    ).one()
    register_card(session, number, order.asn, key_version, actor, now_ms)


def follow(
    session: Session, order: CardOrder, event: str, at_ms: int, actor: str, now_ms: int
) -> None:
    """Bring the card in line with the state its order has just taken.

    A card that is listed stays listed from the earliest instant that was told: a loss reported
    on Monday is not forgotten when the new card arrives on Friday.
    """
    card = _card(session, order)
    wanted = CARD_STATES.get(order.state)
    if card is None or wanted is None or card.state == wanted:
        return
    if wanted == "active":
        _take_off(session, card, event, actor, now_ms)
        return
    since_ms = min(at_ms, now_ms)
    if card.revoked_ms is not None:
        since_ms = min(since_ms, card.revoked_ms)
    reason = REASON.format(order_no=order.order_no, event=event)
    report_card(session, CardReport(card.asn, since_ms, reason, wanted), actor, now_ms)


def list_others(session: Session, volunteer_id: int, actor: str, now_ms: int) -> None:
    """Put every card of a volunteer that still works on the hotlist."""
    working = session.scalars(
        sa.select(Card).where(Card.volunteer_id == volunteer_id, Card.state == "active")
    ).all()
    for card in working:
        report = CardReport(card.asn, now_ms, "deregistered", "revoked")
        report_card(session, report, actor, now_ms)


def _card(session: Session, order: CardOrder) -> Card | None:
    if order.asn is None:
        return None
    return session.scalar(sa.select(Card).where(Card.asn == order.asn))


def _take_off(session: Session, card: Card, event: str, actor: str, now_ms: int) -> None:
    card.state, card.revoked_ms, card.reason = "active", None, None
    sequences.next_value(session, sequences.CARD_LISTING)
    mark_dirty(session, [card.volunteer_id])
    audit.record(session, now_ms, actor, f"card.{event}", f"card:{card.asn}")
