# SPDX-License-Identifier: Apache-2.0
"""A person's whole history with the card: orders and steps, cards, functions, what is due."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.issuing.consents import functions
from server.issuing.models import CardOrder, CardStep, Deregistration, DueEvent, VestOrder
from server.people.models import Card


@dataclass(frozen=True, slots=True)
class OrderHistory:
    """One order with its steps and what fell due, oldest first."""

    order: CardOrder
    steps: list[CardStep]
    dues: list[DueEvent]
    vest: VestOrder | None


@dataclass(frozen=True, slots=True)
class History:
    """Everything issuing knows of a person, newest order first."""

    orders: list[OrderHistory]
    cards: list[Card]
    functions: dict[str, bool]
    left: Deregistration | None


def person_history(session: Session, volunteer_id: int) -> History:
    """Read a person's history; the caller says on the audit trail who looked."""
    orders = session.scalars(
        sa.select(CardOrder)
        .where(CardOrder.volunteer_id == volunteer_id)
        .order_by(CardOrder.id.desc())
    ).all()
    return History(
        [order_history(session, order) for order in orders],
        list(
            session.scalars(
                sa.select(Card).where(Card.volunteer_id == volunteer_id).order_by(Card.id.desc())
            )
        ),
        functions(session, volunteer_id),
        session.get(Deregistration, volunteer_id),
    )


def order_history(session: Session, order: CardOrder) -> OrderHistory:
    """Read one order with its steps."""
    return OrderHistory(
        order,
        list(
            session.scalars(
                sa.select(CardStep).where(CardStep.order_id == order.id).order_by(CardStep.id)
            )
        ),
        list(
            session.scalars(
                sa.select(DueEvent).where(DueEvent.order_id == order.id).order_by(DueEvent.id)
            )
        ),
        session.scalar(sa.select(VestOrder).where(VestOrder.order_id == order.id)),
    )
