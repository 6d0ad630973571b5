# SPDX-License-Identifier: Apache-2.0
"""What the clock does to orders: tell holders, remind them, raise what is overdue.

Run by the worker; each thing is done once however often it runs, because it leaves a row behind.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence as Many
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Database
from server.issuing import branches, dates, events
from server.issuing.consents import deregister
from server.issuing.events import CardEvent
from server.issuing.models import CardOrder, DueEvent
from server.issuing.policy import BANK, BY_STAFF, BY_SYSTEM, FINAL
from server.outbox.policy import Channel
from server.outbox.services import Message, queue
from server.people import sequences
from server.people.models import Card, Sequence, Volunteer

DAY_MS = 86_400_000
PIECE = 500  # orders of one kind in one turn: short enough not to keep an upload waiting
TURNS_MAX = 40  # in one look at the clock: 20 000 orders, the rest a minute later
REMIND_DAYS = (60, 30, 7)
CALL_DAYS = 30  # from here on somebody telephones, too
PUBLIC_DAYS = 7  # and the notice is made public, with the name masked
EXPIRING_DAYS = 60
# How far orders have followed their cards, as a version of the hotlist.
CARD_FOLLOWED = "card_followed"
AT_BRANCH = ("arrived", "announced")
# How a card that somebody reported past the orders stands, and the event that says so.
_CARD_EVENTS = {"lost": "lost", "blocked": "suspended"}


@dataclass(frozen=True, slots=True)
class Turn:
    """How much one run of the clock did."""

    activated: int = 0
    announced: int = 0
    raised: int = 0
    expired: int = 0
    followed: int = 0


def run(session: Session, now_ms: int) -> Turn:
    """Do what is due now; return how much that was."""
    return Turn(
        _activate(session, now_ms),
        _announce(session, now_ms),
        _raise_overdue(session, now_ms) + _remind(session, now_ms) + _tell(session, now_ms),
        _expire(session, now_ms),
        _follow_cards(session, now_ms),
    )


def work(database: Database, now_ms: int) -> int:
    """Do all that is due, turn by turn, each in a unit of work of its own; return the turns."""
    for turn in range(TURNS_MAX):
        with database.writing() as session:
            if run(session, now_ms) == Turn():
                return turn
    return TURNS_MAX


def _orders(session: Session, *conditions: sa.ColumnElement[bool]) -> Many[CardOrder]:
    return session.scalars(
        sa.select(CardOrder)
        .where(*conditions)
        .order_by(CardOrder.id)
        .limit(PIECE)
        .with_for_update(skip_locked=True)
    ).all()


def _activate(session: Session, now_ms: int) -> int:
    """Turn on the cards that banks handed over; a bank tells of the hand-over only."""
    done = 0
    for order in _orders(session, CardOrder.state == "collected", CardOrder.kind == BANK):
        done += _advance(session, order, "activated", f"clock:collected:{order.order_no}", now_ms)
    return done


def _announce(session: Session, now_ms: int) -> int:
    """Tell the holders of cards that arrived, once a card."""
    done = 0
    for order in _orders(session, CardOrder.state == "arrived", CardOrder.due_branch_ms > now_ms):
        once = f"card.arrived/{order.order_no}/{dates.last_day(_due(order))}"
        queue(session, _message(session, "card.arrived", order, once), now_ms)
        done += _advance(session, order, "announced", f"outbox:{once}", now_ms)
    return done


def _advance(session: Session, order: CardOrder, event: str, cause: str, now_ms: int) -> int:
    happened = CardEvent(order.order_no, event, now_ms, cause, BY_SYSTEM)
    return events.advance(session, order, happened, now_ms).ok


def _raise_overdue(session: Session, now_ms: int) -> int:
    made = _not_raised("make_overdue")
    told = _not_raised("notice_overdue")
    late = _not_raised("branch_overdue")
    before_notice = ("exported", "produced", "audited", "arrived")
    done = 0
    for kind, column, chosen in (
        ("make_overdue", "due_make_ms",
         (CardOrder.state == "exported", CardOrder.due_make_ms <= now_ms, made)),
        ("notice_overdue", "due_notice_ms",
         (CardOrder.state.in_(before_notice), CardOrder.due_notice_ms <= now_ms, told)),
        ("branch_overdue", "due_branch_ms",
         (CardOrder.state.in_(AT_BRANCH), CardOrder.due_branch_ms <= now_ms, late)),
    ):  # fmt: skip
        for order in _orders(session, *chosen):
            _raise(session, order, kind, getattr(order, column), now_ms)
            done += 1
    return done


def _remind(session: Session, now_ms: int) -> int:
    """Remind of cards that wait: by message, by telephone, in the end by public notice."""
    done = 0
    for days in REMIND_DAYS:
        kind = f"reminder_{days}"
        waiting = _orders(
            session,
            CardOrder.state == "announced",
            CardOrder.due_branch_ms > now_ms,
            CardOrder.due_branch_ms <= now_ms + days * DAY_MS,
            _not_raised(kind),
        )
        for order in waiting:
            _raise(session, order, kind, _due(order) - days * DAY_MS, now_ms)
            once = f"card.{kind}/{order.order_no}/{dates.last_day(_due(order))}"
            queue(session, _message(session, "card.reminder", order, once), now_ms)
            if days == CALL_DAYS:
                _raise(session, order, "call", _due(order), now_ms)
            if days == PUBLIC_DAYS:
                _publish(session, order, now_ms)
            done += 1
    return done


def _publish(session: Session, order: CardOrder, now_ms: int) -> None:
    masked = session.scalars(
        sa.select(Volunteer.masked_name).where(Volunteer.id == order.volunteer_id)
    ).one()
    once = f"card.public/{order.order_no}/{dates.last_day(_due(order))}"
    params = _params(session, order) | {"name": masked}
    queue(session, Message("card.uncollected", None, once, params, Channel.PUBLIC), now_ms)


def _tell(session: Session, now_ms: int) -> int:
    """Tell of cards that were cut, and of those that expire soon."""
    done = 0
    for order in _orders(session, CardOrder.state == "cut_closed", _not_raised("cut_told")):
        _raise(session, order, "cut_told", now_ms, now_ms)
        once = f"card.cut_closed/{order.order_no}"
        queue(session, Message("card.cut_closed", order.volunteer_id, once), now_ms)
        done += 1
    soon = dates.local_day(now_ms) + dt.timedelta(days=EXPIRING_DAYS)
    ending = (CardOrder.state == "active", CardOrder.valid_to <= soon, _not_raised("expiring"))
    for order in _orders(session, *ending):
        assert order.valid_to is not None, "the query asks for a day"
        _raise(session, order, "expiring", dates.end_of(order.valid_to), now_ms)
        params = {"until": order.valid_to.isoformat()}
        once = f"card.expiring/{order.order_no}"
        queue(session, Message("card.expiring", order.volunteer_id, once, params), now_ms)
        done += 1
    return done


def _expire(session: Session, now_ms: int) -> int:
    today = dates.local_day(now_ms)
    done = 0
    for order in _orders(
        session, CardOrder.state.in_(("active", "suspended")), CardOrder.valid_to < today
    ):
        done += _advance(session, order, "expired", f"clock:valid-to:{order.valid_to}", now_ms)
    return done


def _follow_cards(session: Session, now_ms: int) -> int:
    """Take over what was reported about a card past its order: at a desk, by erasing a person.

    Every such report steps the hotlist's version: while that stands still, nobody looks.
    """
    version = sequences.current_value(session, sequences.CARD_LISTING)
    if version == sequences.current_value(session, CARD_FOLLOWED):
        return 0
    done = _follow_reports(session, now_ms) + _follow_erased(session, now_ms)
    if not done:
        session.execute(
            sa.update(Sequence).where(Sequence.name == CARD_FOLLOWED).values(value=version),
            execution_options={"synchronize_session": False},
        )
    return done


def _follow_reports(session: Session, now_ms: int) -> int:
    pairs = session.execute(
        sa.select(CardOrder, Card)
        .join(Card, Card.asn == CardOrder.asn)
        .where(
            sa.or_(
                sa.and_(CardOrder.state == "active", Card.state.in_(_CARD_EVENTS)),
                sa.and_(CardOrder.state == "lost", Card.state == "active"),
            )
        )
        .order_by(CardOrder.id)
        .limit(PIECE)
    ).all()
    done = 0
    for order, card in pairs:
        event = _CARD_EVENTS.get(card.state, "found")
        cause = f"card:{card.asn}:{card.revoked_ms or now_ms}"
        happened = CardEvent(order.order_no, event, card.revoked_ms or now_ms, cause, BY_STAFF)
        done += events.advance(session, order, happened, now_ms).ok
    return done


def _follow_erased(session: Session, now_ms: int) -> int:
    """Whose data was erased has left: no order of theirs goes on."""
    people = session.scalars(
        sa.select(CardOrder.volunteer_id)
        .join(Volunteer, Volunteer.id == CardOrder.volunteer_id)
        .where(CardOrder.state.not_in(FINAL), Volunteer.erased_ms.is_not(None))
        .distinct()
        .limit(PIECE)
    ).all()
    for person in people:
        deregister(session, person, "erased", BY_SYSTEM, now_ms)
    return len(people)


def _not_raised(kind: str) -> sa.ColumnElement[bool]:
    return ~sa.exists().where(DueEvent.order_id == CardOrder.id, DueEvent.kind == kind)


def _raise(session: Session, order: CardOrder, kind: str, due_ms: int, now_ms: int) -> None:
    session.add(DueEvent(order_id=order.id, kind=kind, due_ms=due_ms, raised_ms=now_ms))


def _due(order: CardOrder) -> int:
    assert order.due_branch_ms is not None, "the query asks for a due date"
    return order.due_branch_ms


def _message(session: Session, kind: str, order: CardOrder, once: str) -> Message:
    return Message(kind, order.volunteer_id, once, _params(session, order))


def _params(session: Session, order: CardOrder) -> dict[str, str]:
    return {
        "branch": branches.name_of(session, order.partner, order.branch_code),
        "until": dates.last_day(_due(order)).isoformat(),
    }
