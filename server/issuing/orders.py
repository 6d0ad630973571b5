# SPDX-License-Identifier: Apache-2.0
"""Order cards: first ones, and new ones in the place of old ones, by the rules of reissuing."""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.issuing import branches, dates
from server.issuing.models import CardOrder, CardStep, Deregistration, VestOrder
from server.issuing.policy import BANK, BY_STAFF, BY_SYSTEM, FIRST
from server.issuing.reissue_policy import Decision, Request, reissue
from server.people import audit
from server.people.models import Sequence, Volunteer
from server.people.policy import check_digit, is_volunteer_number

CARD_ORDER = "card_order"
SEQUENCE_DIGITS = 11


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A card wanted for a volunteer.

    Attributes:
        kind: "own" or "bank"; a bank card has carrier and branch.
        reason: FIRST, EXPIRY, DAMAGED or LOST.
        source: Who asks: staff, the bank's file, its hotline.
        id_checked: A valid document was seen.
        cause_ref: What made it be ordered.
    """

    volunteer_id: int
    kind: str
    reason: str = FIRST
    carrier: str | None = None
    branch_code: str | None = None
    photo_sha256: str | None = None
    source: str = BY_STAFF
    id_checked: bool = False
    cause_ref: str = "page:order"


def order(session: Session, new: NewOrder, actor: str, now_ms: int) -> CardOrder:
    """Order a card.

    Raises:
        Refused: the rules of reissuing, a closed branch, no official number.
    """
    volunteer = session.get(Volunteer, new.volunteer_id, with_for_update=True)
    if (
        volunteer is None
        or volunteer.erased_ms is not None
        or not is_volunteer_number(volunteer.number)
    ):
        raise Refused(
            "no-official-number", "没有正式义工号，不能制卡", "no official number: no card is made"
        )
    old = latest(session, new.volunteer_id, new.kind)
    wish = _with_old(new, old)
    decision = _decide(session, wish, old, now_ms)
    if not decision.allowed:
        raise Refused(decision.code, decision.zh, decision.en)
    partner = _partner(session, wish, now_ms)
    made = CardOrder(
        order_no=next_numbers(session, 1)[0], volunteer_id=new.volunteer_id, kind=wish.kind,
        carrier=wish.carrier, partner=partner, branch_code=wish.branch_code, reason=wish.reason,
        state="ordered", photo_sha256=wish.photo_sha256, price_fen=decision.price_fen,
        replaces_id=old.id if old else None, created_ms=now_ms, changed_ms=now_ms,
    )  # fmt: skip
    session.add(made)
    session.flush()
    session.add(first_step(made, new, actor, now_ms))
    _order_vest(session, made, now_ms)
    audit.record(
        session, now_ms, actor, "cardorder.ordered", f"cardorder:{made.order_no}",
        number=volunteer.number, reason=made.reason, kind=made.kind,
    )  # fmt: skip
    return made


def may_order(session: Session, new: NewOrder, now_ms: int) -> Decision:
    """Say what `order` would decide, changing nothing."""
    old = latest(session, new.volunteer_id, new.kind)
    return _decide(session, _with_old(new, old), old, now_ms)


def latest(session: Session, volunteer_id: int, kind: str) -> CardOrder | None:
    """Return the latest order of a kind that was not called off."""
    return session.scalar(
        sa.select(CardOrder)
        .where(
            CardOrder.volunteer_id == volunteer_id,
            CardOrder.kind == kind,
            CardOrder.state != "cancelled",
        )
        .order_by(CardOrder.id.desc())
        .limit(1)
    )


def first_branch(session: Session, volunteer_id: int) -> str:
    """Return the branch chosen with the first bank card, "" when there was none."""
    found = session.scalar(
        sa.select(CardOrder.branch_code)
        .where(CardOrder.volunteer_id == volunteer_id, CardOrder.kind == BANK)
        .order_by(CardOrder.id)
        .limit(1)
    )
    return found or ""


def next_numbers(session: Session, count: int) -> Many[str]:
    """Take numbers for orders: eleven digits and a check digit."""
    last: int = session.execute(
        sa.update(Sequence)
        .where(Sequence.name == CARD_ORDER)
        .values(value=Sequence.value + count)
        .returning(Sequence.value),
        execution_options={"synchronize_session": False},
    ).scalar_one()
    return [order_number(value) for value in range(last - count + 1, last + 1)]


def order_number(sequence: int) -> str:
    """Return the order number of a sequence value.

    >>> order_number(1)
    '000000000019'
    """
    digits = f"{sequence:0{SEQUENCE_DIGITS}d}"
    return digits + check_digit(digits)


def first_step(made: CardOrder, new: NewOrder, actor: str, now_ms: int) -> CardStep:
    """Return the step with which an order begins."""
    return CardStep(
        order_id=made.id, from_state=None, to_state="ordered", event="ordered",
        source=new.source, cause_ref=new.cause_ref, actor=actor, at_ms=now_ms, made_ms=now_ms,
    )  # fmt: skip


def deregistered(session: Session, volunteer_id: int) -> bool:
    """Tell whether a volunteer has left."""
    return session.get(Deregistration, volunteer_id) is not None


def _with_old(new: NewOrder, old: CardOrder | None) -> NewOrder:
    """Fill in from the old card what a reissue takes over: carrier, branch, photo."""
    if old is None or new.reason == FIRST:
        return new
    branch = new.branch_code or old.branch_code
    return NewOrder(
        new.volunteer_id, old.kind, new.reason, old.carrier, branch,
        new.photo_sha256 or old.photo_sha256, new.source, new.id_checked, new.cause_ref,
    )  # fmt: skip


def _decide(session: Session, wish: NewOrder, old: CardOrder | None, now_ms: int) -> Decision:
    left = None
    if old is not None and old.valid_to is not None:
        left = (old.valid_to - dates.local_day(now_ms)).days
    return reissue(
        Request(
            kind=wish.kind,
            carrier=wish.carrier or "",
            reason=wish.reason,
            old_state=old.state if old else "",
            source=wish.source,
            branch=wish.branch_code or "",
            first_branch=_branch_to_go_to(session, wish, now_ms),
            id_checked=wish.id_checked,
            expires_in_days=left,
            deregistered=deregistered(session, wish.volunteer_id),
        )
    )


def _branch_to_go_to(session: Session, wish: NewOrder, now_ms: int) -> str:
    """Return the branch first chosen; where it closed since, the one now asked for."""
    first = first_branch(session, wish.volunteer_id)
    is_open = any(b.code == first for b in branches.on(session, None, dates.local_day(now_ms)))
    return first if is_open else wish.branch_code or ""


def _partner(session: Session, wish: NewOrder, now_ms: int) -> str | None:
    if wish.kind != BANK:
        return None
    if wish.carrier is None or not wish.branch_code:
        raise Refused("carrier", "请选择卡种与领证网点", "choose carrier and branch")
    return branches.open_branch(session, wish.branch_code, dates.local_day(now_ms)).partner


def _order_vest(session: Session, made: CardOrder, now_ms: int) -> None:
    """Order the red vest along with the first card of a life."""
    known = session.scalar(
        sa.select(VestOrder.id).where(VestOrder.volunteer_id == made.volunteer_id)
    )
    if known is None:
        session.add(
            VestOrder(
                volunteer_id=made.volunteer_id, order_id=made.id, state="ordered", price_fen=0,
                cause_ref=f"{BY_SYSTEM}:first-card", created_ms=now_ms, changed_ms=now_ms,
            )
        )  # fmt: skip
