# SPDX-License-Identifier: Apache-2.0
"""Worklists of staff: what is to be done with cards, by due date, the most pressing first."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import InstrumentedAttribute

from server.issuing import dates
from server.issuing.models import CardOrder, DueEvent
from server.people.models import Volunteer

PAGE = 50
EXPIRING_DAYS = 90
NAMES = ("order", "overdue", "announce", "collect", "call", "expiring", "rejected")


@dataclass(frozen=True, slots=True)
class Line:
    """One order on a worklist; `due_ms` is what the list goes by, None where nothing is due."""

    order_id: int
    order_no: str
    volunteer_id: int
    masked_name: str
    number_tail: str
    kind: str
    carrier: str | None
    partner: str | None
    branch_code: str | None
    state: str
    reject_code: str | None
    due_ms: int | None
    late: bool


def counts(session: Session, now_ms: int) -> dict[str, int]:
    """Return how long each list is."""
    return {
        name: session.scalar(
            sa.select(sa.func.count()).select_from(CardOrder).where(*_chosen(name, now_ms))
        )
        or 0
        for name in NAMES
    }


def read(session: Session, name: str, now_ms: int, page: int = 1) -> list[Line]:
    """Return one page of a list.

    Raises:
        KeyError: there is no such list.
    """
    due = _due_column(name)
    rows = session.execute(
        sa.select(CardOrder, Volunteer.masked_name, Volunteer.number)
        .join(Volunteer, Volunteer.id == CardOrder.volunteer_id)
        .where(*_chosen(name, now_ms))
        .order_by(due, CardOrder.id)
        .offset((page - 1) * PAGE)
        .limit(PAGE)
    )
    return [_line(order, masked, number, due.key, now_ms) for order, masked, number in rows]


def done_calling(session: Session, order_id: int, actor: str, now_ms: int) -> bool:
    """Note that a holder was telephoned; False where nobody was to be."""
    event = session.scalar(
        sa.select(DueEvent).where(
            DueEvent.order_id == order_id, DueEvent.kind == "call", DueEvent.done_ms.is_(None)
        )
    )
    if event is None:
        return False
    event.done_ms, event.done_by = now_ms, actor
    return True


def _due_column(name: str) -> InstrumentedAttribute[int | None] | InstrumentedAttribute[int]:
    return {
        "order": CardOrder.created_ms,
        "overdue": CardOrder.due_make_ms,
        "announce": CardOrder.due_notice_ms,
        "collect": CardOrder.due_branch_ms,
        "call": CardOrder.due_branch_ms,
        "expiring": CardOrder.changed_ms,
        "rejected": CardOrder.changed_ms,
    }[name]


def _chosen(name: str, now_ms: int) -> tuple[sa.ColumnElement[bool], ...]:
    soon = dates.local_day(now_ms) + dt.timedelta(days=EXPIRING_DAYS)
    to_call = sa.exists().where(
        DueEvent.order_id == CardOrder.id, DueEvent.kind == "call", DueEvent.done_ms.is_(None)
    )
    lists: dict[str, tuple[sa.ColumnElement[bool], ...]] = {
        "order": (CardOrder.state == "ordered",),
        "overdue": (CardOrder.state == "exported", CardOrder.due_make_ms <= now_ms),
        "announce": (CardOrder.state.in_(("produced", "audited", "arrived")),),
        "collect": (CardOrder.state.in_(("arrived", "announced")),),
        "call": (CardOrder.state == "announced", to_call),
        "expiring": (CardOrder.state == "active", CardOrder.valid_to <= soon),
        "rejected": (CardOrder.state == "correction",),
    }
    return lists[name]


def _line(order: CardOrder, masked: str, number: str, due: str, now_ms: int) -> Line:
    due_ms: int | None = getattr(order, due)
    if due == "changed_ms":
        due_ms = dates.end_of(order.valid_to) if order.valid_to else None
    if due == "created_ms":
        due_ms = None
    return Line(
        order_id=order.id,
        order_no=order.order_no,
        volunteer_id=order.volunteer_id,
        masked_name=masked,
        number_tail=number[-4:],
        kind=order.kind,
        carrier=order.carrier,
        partner=order.partner,
        branch_code=order.branch_code,
        state=order.state,
        reject_code=order.reject_code,
        due_ms=due_ms,
        late=due_ms is not None and due_ms <= now_ms,
    )
