# SPDX-License-Identifier: Apache-2.0
"""Apply what happened to a card: one event at a time, each with its cause, each only once.

What does not fit is a result with a code and both languages, never an exception: the caller may be
reading line 700 001 of a bank's file.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.issuing import cards, dates, orders
from server.issuing.models import CardOrder, CardStep, VestOrder
from server.issuing.policy import (
    BY_SYSTEM,
    CARD_STATES,
    INTERNAL,
    REISSUE_REQUESTED,
    REISSUE_SOURCES,
    TRANSITIONS,
    VEST_EVENTS,
    VEST_TRANSITIONS,
    Facts,
    step,
)
from server.issuing.wording import APPLIED, REPEATED, Result, result
from server.people import audit
from server.people.models import Card
from server.people.policy import is_card_serial

VALID_YEARS = 5
KEY_VERSION = 1
# A partner's clock may run ahead of ours by the length of a day, its dates have no hours.
AHEAD_MAX_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Detail:
    """What some events bring along.

    Attributes:
        asn: The card's serial, 20 digits, with "produced" or later.
        key_version: Version of the card's keys.
        valid_to: The card's last day.
        reject_code: Why a partner rejected the record.
        reason, branch, id_checked: Of a wish for a new card.
    """

    asn: str | None = None
    key_version: int = KEY_VERSION
    valid_to: dt.date | None = None
    reject_code: str | None = None
    reason: str = "LOST"
    branch: str | None = None
    id_checked: bool = False


@dataclass(frozen=True, slots=True)
class CardEvent:
    """Something happened to the card of an order.

    Attributes:
        at_ms: When, as told (ms UTC).
        cause_ref: What it was learnt from, such as file:NAME:LINE; the same again is "repeated".
        source: Whose word it is: bank, hotline, staff or system.
        actor: Who or which program says it here.
        partner: The partner whose file it stands in; it must be the order's.
    """

    order_no: str
    event: str
    at_ms: int
    cause_ref: str
    source: str
    actor: str = BY_SYSTEM
    partner: str | None = None
    detail: Detail = field(default_factory=Detail)


def apply(session: Session, event: CardEvent, now_ms: int) -> Result:
    """Apply one event to its order, with all that follows in the same unit of work."""
    order = session.scalar(
        sa.select(CardOrder).where(CardOrder.order_no == event.order_no).with_for_update()
    )
    if order is None:
        return result("unknown-order")
    if event.partner is not None and order.partner != event.partner:
        return result("foreign-partner")
    if event.at_ms > now_ms + AHEAD_MAX_MS:
        return result("future-dated", order.state)
    if event.event in VEST_EVENTS:
        return _apply_to_vest(session, order, event, now_ms)
    if _heard(session, order.id, event):
        return result(REPEATED, order.state)
    if event.event == REISSUE_REQUESTED:
        return _apply_wish(session, order, event, now_ms)
    if event.event in INTERNAL:
        return result("wrong-source", order.state)
    return advance(session, order, event, now_ms)


def advance(session: Session, order: CardOrder, event: CardEvent, now_ms: int) -> Result:
    """Apply an event of the table to an order that the caller has in hand and locked."""
    found = step(order.state, event.event, Facts(order.kind, event.source))
    code = found.code or _refusal(session, order, event)
    if code:
        return result(code, order.state)
    return _move(session, order, event, found.to, now_ms)


def _heard(session: Session, order_id: int, event: CardEvent) -> bool:
    known = session.scalar(
        sa.select(CardStep.id)
        .where(
            CardStep.order_id == order_id,
            CardStep.event == event.event,
            CardStep.cause_ref == event.cause_ref,
        )
        .limit(1)
    )
    return known is not None


def _refusal(session: Session, order: CardOrder, event: CardEvent) -> str:
    asn = event.detail.asn
    if asn is None and event.event == "activated":
        asn = order.asn  # somebody may have registered it meanwhile
    if asn is not None:
        if not is_card_serial(asn):
            return "card-serial"
        elsewhere = sa.select(CardOrder.id).where(CardOrder.asn == asn, CardOrder.id != order.id)
        known = sa.select(Card.id).where(Card.asn == asn, Card.volunteer_id != order.volunteer_id)
        if session.scalar(elsewhere.limit(1)) or session.scalar(known.limit(1)):
            return "asn-taken"
    if event.event == "found" and _replacement(session, order) is not None:
        return "replacement-ordered"
    return ""


def _replacement(session: Session, order: CardOrder) -> int | None:
    return session.scalar(
        sa.select(CardOrder.id)
        .where(CardOrder.replaces_id == order.id, CardOrder.state != "cancelled")
        .limit(1)
    )


def _move(session: Session, order: CardOrder, event: CardEvent, to: str, now_ms: int) -> Result:
    before = order.state
    order.state, order.changed_ms = to, now_ms
    _take_over(order, event)
    session.add(
        CardStep(
            order_id=order.id, from_state=before, to_state=to, event=event.event,
            source=event.source, cause_ref=event.cause_ref, actor=event.actor,
            at_ms=event.at_ms, made_ms=now_ms,
        )
    )  # fmt: skip
    if event.event == "activated":
        _activate(session, order, event, now_ms)
    elif to in CARD_STATES:
        cards.follow(session, order, event.event, event.at_ms, event.actor, now_ms)
    if event.source != "bank":
        audit.record(
            session, now_ms, event.actor, f"cardorder.{event.event}",
            f"cardorder:{order.order_no}", cause=event.cause_ref,
        )  # fmt: skip
    session.flush()
    return result(APPLIED, to)


def _take_over(order: CardOrder, event: CardEvent) -> None:
    """Note what the event brings along; bulk import does the same for plain events."""
    detail = event.detail
    order.asn = detail.asn or order.asn
    order.valid_to = detail.valid_to or order.valid_to
    if event.event == "rejected":
        order.reject_code = detail.reject_code
    if event.event == "arrived":
        order.due_branch_ms = dates.due_at_branch(event.at_ms)
    if order.state in ("ordered", "correction"):
        order.due_make_ms = order.due_notice_ms = order.due_branch_ms = order.batch_ref = None
        order.asn = None
    if event.event == "corrected":
        order.reject_code = None


def _activate(session: Session, order: CardOrder, event: CardEvent, now_ms: int) -> None:
    """Bind the new card and end the one it stands in for: both or neither."""
    if order.valid_to is None:
        day = dates.local_day(event.at_ms)
        order.valid_to = dates.months_after(day, 12 * VALID_YEARS) - dt.timedelta(days=1)
    cards.register(session, order, event.detail.key_version, event.actor, now_ms)
    old = session.get(CardOrder, order.replaces_id) if order.replaces_id else None
    if old is not None and (old.state, "replaced") in TRANSITIONS:
        cause = f"order:{order.order_no}"
        ending = CardEvent(old.order_no, "replaced", event.at_ms, cause, BY_SYSTEM, event.actor)
        _move(session, old, ending, "replaced", now_ms)


def _apply_wish(session: Session, order: CardOrder, event: CardEvent, now_ms: int) -> Result:
    """Order a new card in the place of this one, if the rules let it be made."""
    if event.source not in REISSUE_SOURCES:
        return result("wrong-source", order.state)
    known = session.scalar(
        sa.select(CardStep.order_id).where(
            CardStep.event == "ordered", CardStep.cause_ref == event.cause_ref
        )
        .join(CardOrder, CardOrder.id == CardStep.order_id)
        .where(CardOrder.volunteer_id == order.volunteer_id)
        .limit(1)
    )  # fmt: skip
    if known is not None:
        return result(REPEATED, order.state)
    detail = event.detail
    wish = orders.NewOrder(
        order.volunteer_id, order.kind, detail.reason, order.carrier, detail.branch,
        source=event.source, id_checked=detail.id_checked, cause_ref=event.cause_ref,
    )  # fmt: skip
    try:
        orders.order(session, wish, event.actor, now_ms)
    except Refused as refused:
        return Result(refused.code, refused.zh, refused.en, order.state)
    return result(APPLIED, order.state)


def _apply_to_vest(session: Session, order: CardOrder, event: CardEvent, now_ms: int) -> Result:
    vest = session.scalar(
        sa.select(VestOrder).where(VestOrder.order_id == order.id).with_for_update()
    )
    if vest is None:
        return result("no-vest", order.state)
    if vest.cause_ref == event.cause_ref:
        return result(REPEATED, order.state)
    to = VEST_TRANSITIONS.get((vest.state, event.event))
    if to is None:
        return result("not-following", order.state)
    vest.state, vest.cause_ref, vest.changed_ms = to, event.cause_ref, now_ms
    audit.record(
        session, now_ms, event.actor, f"vest.{to}", f"cardorder:{order.order_no}",
        cause=event.cause_ref,
    )  # fmt: skip
    return result(APPLIED, order.state)
