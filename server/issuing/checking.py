# SPDX-License-Identifier: Apache-2.0
"""Invariant I12 and its kin, checked over what is stored: it reads and changes nothing.

Every order is the end of an unbroken chain of steps with causes; every card that was ordered from
a partner ends in exactly one final state; none was made for nothing that the rules refuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.issuing.models import CardOrder, CardStep, Deregistration
from server.issuing.policy import (
    BANK,
    BY_HOTLINE,
    CARD_STATES,
    CREDIT,
    ENDED,
    EVENT_SOURCES,
    EXPIRY,
    FINAL,
    FIRST,
    IN_HAND,
    ONLY,
    TRANSITIONS,
)
from server.issuing.reissue_policy import FEES_FEN
from server.people.models import Card

# Which due date an order must have in a state: else nothing would ever ask after it.
_DUE_OF = {
    "exported": "due_make_ms", "produced": "due_notice_ms", "audited": "due_notice_ms",
    "arrived": "due_branch_ms", "announced": "due_branch_ms",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that must not be: the order, and which rule it breaks."""

    order_no: str
    rule: str
    detail: str

    def __str__(self) -> str:
        return f"{self.order_no}: {self.rule}: {self.detail}"


def violations(session: Session) -> list[Violation]:
    """Return everything in the tables of issuing that must not be; an empty list is good."""
    found: list[Violation] = []
    left = set(session.scalars(sa.select(Deregistration.volunteer_id)))
    working = set(session.scalars(sa.select(Card.asn).where(Card.state == "active")))
    steps = _steps(session)
    by_person = sa.select(CardOrder).order_by(CardOrder.volunteer_id, CardOrder.kind, CardOrder.id)
    for _, orders in groupby(session.scalars(by_person), lambda one: (one.volunteer_id, one.kind)):
        before: list[CardOrder] = []
        for order in orders:
            own = steps.get(order.id, [])
            found += _chain(order, own)
            found += _ends(order, own, order.volunteer_id in left)
            found += _reissue(order, steps, before)
            found += _card(order, working)
            before.append(order)
    return found


def _steps(session: Session) -> dict[int, list[CardStep]]:
    steps: dict[int, list[CardStep]] = {}
    for step in session.scalars(sa.select(CardStep).order_by(CardStep.id)):
        steps.setdefault(step.order_id, []).append(step)
    return steps


def _chain(order: CardOrder, steps: list[CardStep]) -> Iterator[Violation]:
    state: str | None = None
    for place, step in enumerate(steps):
        where = f"step {place + 1} {step.event}"
        if step.from_state != state:
            yield Violation(order.order_no, "chain", f"{where} from {step.from_state}, was {state}")
        if not step.cause_ref:
            yield Violation(order.order_no, "no-cause", where)
        if state is None:
            if step.to_state != "ordered":
                yield Violation(order.order_no, "chain", f"begins with {step.to_state}")
        elif not _allowed(order.kind, step):
            yield Violation(order.order_no, "not-in-table", f"{step.from_state} {where}")
        state = step.to_state
    if state != order.state:
        yield Violation(order.order_no, "chain", f"ends with {state}, the order is {order.state}")


def _allowed(kind: str, step: CardStep) -> bool:
    key = (step.from_state or "", step.event)
    return (
        TRANSITIONS.get(key) == step.to_state
        and ONLY.get(key, kind) == kind
        and step.source in EVENT_SOURCES[step.event]
    )


def _ends(order: CardOrder, steps: list[CardStep], left: bool) -> Iterator[Violation]:
    ends = [step for step in steps if step.to_state in FINAL]
    if len(ends) > 1 or (ends and ends[0] is not steps[-1]):
        yield Violation(order.order_no, "final", f"{len(ends)} final states, or life after one")
    if left and order.state not in FINAL:
        yield Violation(order.order_no, "left", f"{order.state} though the volunteer has left")
    due = _DUE_OF.get(order.state)
    if due is not None and order.kind == BANK and getattr(order, due) is None:
        yield Violation(order.order_no, "no-due-date", order.state)


def _reissue(
    order: CardOrder, steps: dict[int, list[CardStep]], before: list[CardOrder]
) -> Iterator[Violation]:
    if order.price_fen != FEES_FEN[order.reason]:
        yield Violation(order.order_no, "price", f"{order.price_fen} fen for {order.reason}")
    if order.reason == FIRST:
        made = [old for old in before if old.state != "cancelled" or _was_made(steps, old)]
        if made:
            yield Violation(order.order_no, "first-twice", f"after {made[-1].order_no}")
        return
    old = next((one for one in before if one.id == order.replaces_id), None)
    if old is None:
        yield Violation(order.order_no, "replaces-nothing", order.reason)
        return
    reached = {step.to_state for step in steps.get(old.id, [])}
    grounds = ("expired", *IN_HAND) if order.reason == EXPIRY else ENDED
    if not reached.intersection(grounds):
        yield Violation(order.order_no, "no-reason", f"{order.reason} of {old.order_no}")
    if order.carrier == CREDIT and order.kind == BANK:
        if "cut_closed" in reached:
            yield Violation(order.order_no, "credit-cut-closed", old.order_no)
        source = steps[order.id][0].source if order.id in steps else ""
        if order.reason != EXPIRY and source != BY_HOTLINE:
            yield Violation(order.order_no, "not-by-hotline", source)


def _was_made(steps: dict[int, list[CardStep]], order: CardOrder) -> bool:
    return any(step.to_state in IN_HAND for step in steps.get(order.id, []))


def _card(order: CardOrder, working: set[str]) -> Iterator[Violation]:
    """See that terminals refuse what is no card any more."""
    ended = order.state != "active" and (order.state in CARD_STATES or order.state in FINAL)
    if ended and order.asn in working:
        yield Violation(order.order_no, "card-works", f"though the order is {order.state}")
