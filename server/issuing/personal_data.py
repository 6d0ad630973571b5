# SPDX-License-Identifier: Apache-2.0
"""What issuing knows of a person, for their own copy of it and for its erasure."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.custody import KeyStore
from server.issuing.consents import deregister
from server.issuing.history import person_history
from server.issuing.models import CardOrder, FunctionConsent, SearchPrint, VestOrder
from server.issuing.policy import BY_SYSTEM, FINAL
from server.people.models import Volunteer
from server.privacy import dossier, erasing

REASON = "erased"


def orders_of(session: Session, _store: KeyStore, person: Volunteer) -> list[dict[str, Any]]:
    """Return every order of a card for a person with its steps, oldest first."""
    found = person_history(session, person.id).orders
    return [
        {
            "order": one.order.order_no,
            "kind": one.order.kind,
            "carrier": one.order.carrier,
            "partner": one.order.partner,
            "branch": one.order.branch_code,
            "reason": one.order.reason,
            "state": one.order.state,
            "card": one.order.asn,
            "price_fen": one.order.price_fen,
            "steps": [
                {
                    "at": dossier.instant(step.at_ms),
                    "event": step.event,
                    "state": step.to_state,
                    "source": step.source,
                    "by": step.actor,
                }
                for step in one.steps
            ],
        }
        for one in reversed(found)
    ]


def vests_of(session: Session, _store: KeyStore, person: Volunteer) -> list[dict[str, Any]]:
    """Return the vest of a person, if one was ordered."""
    rows = session.scalars(sa.select(VestOrder).where(VestOrder.volunteer_id == person.id))
    return [
        {
            "ordered": dossier.instant(row.created_ms),
            "state": row.state,
            "changed": dossier.instant(row.changed_ms),
        }
        for row in rows
    ]


def consents_of(session: Session, _store: KeyStore, person: Volunteer) -> list[dict[str, Any]]:
    """Return every choice of a person about a function of the card, oldest first."""
    rows = session.scalars(
        sa.select(FunctionConsent)
        .where(FunctionConsent.volunteer_id == person.id)
        .order_by(FunctionConsent.id)
    )
    return [
        {
            "at": dossier.instant(row.at_ms),
            "function": row.function,
            "granted": row.granted,
            "channel": row.channel,
        }
        for row in rows
    ]


def erase_orders(session: Session, person: Volunteer, now_ms: int) -> None:
    """End what is being made for a person, and take them out of the search; the steps stay.

    A card with a name on it cannot be made any more: the name is gone.
    """
    session.execute(
        sa.delete(SearchPrint)
        .where(SearchPrint.volunteer_id == person.id)
        .execution_options(synchronize_session=False)
    )
    open_order = sa.select(CardOrder.id).where(
        CardOrder.volunteer_id == person.id, CardOrder.state.not_in(FINAL)
    )
    if session.scalar(open_order.limit(1)) is not None:
        deregister(session, person.id, REASON, BY_SYSTEM, now_ms)


dossier.PARTS |= {"orders": orders_of, "vests": vests_of, "consents": consents_of}
erasing.PARTS["issuing"] = erase_orders
