# SPDX-License-Identifier: Apache-2.0
"""Which functions a volunteer's card has: opted into one by one, off by default; and leaving.

Volunteering needs no consent to any of them. Leaving ends everything but finance and transit.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from card.layouts import Function
from server.errors import Refused
from server.issuing import cards, events
from server.issuing.events import CardEvent
from server.issuing.models import FUNCTIONS, CardOrder, Deregistration, FunctionConsent, VestOrder
from server.issuing.policy import BY_STAFF, FINAL
from server.people import audit
from server.people.models import Volunteer
from server.people.policy import is_volunteer_number

CHANNELS = ("online", "staff", "desk", "hotline", "terminal")
KEPT_AFTER_LEAVING = ("finance", "transit")
# What comes with being a volunteer and is nobody's to opt into.
ALWAYS = ("identity", "timekeeping", "training", "insurance")
REASON_MAX = 200
_ON_CARD = {
    "finance": Function.FINANCE,
    "health": Function.HEALTH,
    "transit": Function.TRANSIT,
    "travel": Function.TRAVEL,
}


def consents(session: Session, volunteer_id: int) -> dict[str, bool]:
    """Return each function and whether the volunteer has opted into it."""
    newest = (
        sa.select(sa.func.max(FunctionConsent.id))
        .where(FunctionConsent.volunteer_id == volunteer_id)
        .group_by(FunctionConsent.function)
    )
    rows = session.execute(
        sa.select(FunctionConsent.function, FunctionConsent.granted).where(
            FunctionConsent.id.in_(newest)
        )
    )
    return dict.fromkeys(FUNCTIONS, False) | {row.function: row.granted for row in rows}


@dataclass(frozen=True, slots=True)
class Choice:
    """A volunteer's choice about one function, and the channel it came by."""

    function: str
    granted: bool
    channel: str


def set_consent(
    session: Session, volunteer_id: int, choice: Choice, actor: str, now_ms: int
) -> None:
    """Turn one function on or off.

    Raises:
        Refused: there is no such function or channel, or the volunteer has left.
    """
    if choice.function not in FUNCTIONS or choice.channel not in CHANNELS:
        raise Refused("function", "没有这项功能或渠道", "there is no such function or channel")
    if choice.granted and session.get(Deregistration, volunteer_id) is not None:
        raise Refused("deregistered", "已注销的义工不再开通功能", "the volunteer is deregistered")
    number = session.scalars(sa.select(Volunteer.number).where(Volunteer.id == volunteer_id)).one()
    session.add(
        FunctionConsent(
            volunteer_id=volunteer_id, function=choice.function, granted=choice.granted,
            channel=choice.channel, actor=actor, at_ms=now_ms,
        )
    )  # fmt: skip
    action = "consent.given" if choice.granted else "consent.withdrawn"
    audit.record(
        session, now_ms, actor, action, f"volunteer:{number}",
        function=choice.function, channel=choice.channel,
    )  # fmt: skip


def functions(session: Session, volunteer_id: int) -> dict[str, bool]:
    """Return everything the card may be used for and whether it is on now."""
    here = session.get(Deregistration, volunteer_id) is None
    chosen = consents(session, volunteer_id)
    own = dict.fromkeys(ALWAYS, here)
    return own | {
        name: granted and (here or name in KEPT_AFTER_LEAVING) for name, granted in chosen.items()
    }


def card_functions(session: Session, volunteer_id: int) -> Function:
    """Return the functions as the card's file 0017 has them."""
    found = functions(session, volunteer_id)
    flags = Function.INSURANCE if found["insurance"] else Function(0)
    for name, flag in _ON_CARD.items():
        if found[name]:
            flags |= flag
    return flags


def deregister(
    session: Session, volunteer_id: int, reason: str, actor: str, now_ms: int
) -> Deregistration:
    """End a volunteer's membership: cards, orders, functions; history, finance and transit stay.

    Raises:
        Refused: left before, no volunteer, no reason.
    """
    volunteer = session.get(Volunteer, volunteer_id, with_for_update=True)
    if volunteer is None or not is_volunteer_number(volunteer.number):
        raise Refused("unknown-volunteer", "没有这个义工", "there is no such volunteer")
    if not 0 < len(reason.strip()) <= REASON_MAX:
        raise Refused("reason", "请说明原因", f"say why, in at most {REASON_MAX} characters")
    if session.get(Deregistration, volunteer_id) is not None:
        raise Refused("deregistered", "已注销", "the volunteer has left before")
    left = Deregistration(
        volunteer_id=volunteer_id, at_ms=now_ms, actor=actor, reason=reason.strip()
    )
    session.add(left)
    session.flush()
    audit.record(
        session, now_ms, actor, "volunteer.deregistered", f"volunteer:{volunteer.number}",
        reason=reason.strip(),
    )  # fmt: skip
    cause = f"deregistration:{volunteer.number}"
    open_orders = session.scalars(
        sa.select(CardOrder)
        .where(CardOrder.volunteer_id == volunteer_id, CardOrder.state.not_in(FINAL))
        .with_for_update()
    ).all()
    for order in open_orders:
        ending = CardEvent(order.order_no, "deregistered", now_ms, cause, BY_STAFF, actor)
        events.advance(session, order, ending, now_ms)
    cards.list_others(session, volunteer_id, actor, now_ms)
    session.execute(
        sa.update(VestOrder)
        .where(VestOrder.volunteer_id == volunteer_id, VestOrder.state.not_in(("collected",)))
        .values(state="cancelled", cause_ref=cause, changed_ms=now_ms)
    )
    for name, granted in consents(session, volunteer_id).items():
        if granted and name not in KEPT_AFTER_LEAVING:
            set_consent(session, volunteer_id, Choice(name, False, "staff"), actor, now_ms)
    return left
