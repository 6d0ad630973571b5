# SPDX-License-Identifier: Apache-2.0
"""What a job at the desk means for the life of an own card: its order, the hotlist, the holder."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from card.profile import CardData
from server.desk.content import Bench
from server.desk.models import DeskJob
from server.errors import Refused
from server.issuing.models import CardOrder
from server.issuing.orders import NewOrder, latest, order
from server.issuing.policy import BY_STAFF, DAMAGED, EXPIRY, FIRST, LOST, OWN
from server.issuing.services import CardEvent, Detail, apply
from server.issuing.wording import APPLIED, REPEATED
from server.people import services as people
from server.people.models import Card, Volunteer
from server.people.services import CardReport
from server.phone_cards.models import PhoneCard
from server.updates import services as updates

# In a job's result: the numbers of updates that were to block the card and are called off.
ENDED_UPDATES = "ended_updates"
_BLOCK_ENDED = (
    "原排队的远程锁卡已撤销，其中的其他更新如仍需要请重新排队",
    "the block that waited for its next tap is called off; queue anew what else that update held",
)
CAUSES = (LOST, DAMAGED, EXPIRY)
_EVENT_OF = {LOST: "lost", DAMAGED: "damaged"}
_CARD_STATE_OF = {LOST: "lost", DAMAGED: "blocked"}
_ENDED = ("lost", "damaged", "expired")


@dataclass(frozen=True, slots=True)
class Old:
    """The card to be replaced: why, and whether a valid document was seen."""

    asn: str
    cause: str
    id_checked: bool


def first_order(session: Session, bench: Bench, volunteer: Volunteer, reference: str) -> str:
    """Return the order of a volunteer's first own card: the one that waits, or a new one.

    Raises:
        Refused: There is a card already, or the rules allow none.
    """
    waiting = latest(session, volunteer.id, OWN)
    if waiting is not None and waiting.state == "ordered":
        return waiting.order_no
    chips = sa.select(Card.id).where(
        Card.volunteer_id == volunteer.id,
        Card.state == "active",
        Card.id.not_in(sa.select(PhoneCard.card_id)),
    )
    if session.scalar(chips.limit(1)) is not None:
        raise Refused(
            "has-card", "此人已有可用的卡，请办理补换", "there is a card that works: replace it"
        )
    return _order(session, bench, volunteer.id, NewOrder(volunteer.id, OWN, FIRST), reference)


def replacement(session: Session, bench: Bench, old: Old, reference: str) -> tuple[Volunteer, str]:
    """End the use of a card at once and order the next; return its holder and the order.

    Raises:
        Refused: No such card, not an own card, or the rules of reissuing.
    """
    if old.cause not in CAUSES:
        raise Refused("reason", "请选择补换原因", f"a reason is one of {', '.join(CAUSES)}")
    card = people.find_card(session, old.asn)
    volunteer = session.get_one(Volunteer, card.volunteer_id)
    known = order_of(session, old.asn)
    if known is not None and known.kind != OWN:
        raise Refused(
            "bank-card", "银行卡由银行补换，请按银行流程办理", "the bank replaces its own cards"
        )
    event = _EVENT_OF.get(old.cause)
    if known is None:
        if event is not None and card.state == "active":
            report = CardReport(old.asn, bench.now_ms, old.cause, _CARD_STATE_OF[old.cause])
            people.report_card(session, report, bench.actor, bench.now_ms)
        wish = NewOrder(volunteer.id, OWN, FIRST)
    else:
        if event is not None and known.state not in _ENDED:
            _tell(session, bench, known.order_no, event, reference)
        wish = NewOrder(volunteer.id, OWN, old.cause, id_checked=old.id_checked)
    waiting = latest(session, volunteer.id, OWN)
    if waiting is not None and waiting.state == "ordered":
        return volunteer, waiting.order_no
    return volunteer, _order(session, bench, volunteer.id, wish, reference)


def made(session: Session, bench: Bench, job: DeskJob, data: CardData) -> None:
    """Note that the card of a job was made and read back."""
    assert job.order_no is not None
    detail = Detail(asn=job.asn, key_version=data.key_version, valid_to=data.valid_to)
    _tell(session, bench, job.order_no, "produced", job.reference, detail)


def handed_over(session: Session, bench: Bench, job: DeskJob, data: CardData) -> None:
    """Note that the holder has the card: from now on it counts, and the old one does not."""
    assert job.order_no is not None
    detail = Detail(asn=job.asn, key_version=data.key_version, valid_to=data.valid_to)
    for event in ("collected", "activated"):
        _tell(session, bench, job.order_no, event, job.reference, detail)
    if job.old_asn is None:
        return
    card = people.find_card(session, job.old_asn)
    if card.state != "replaced":
        since_ms = card.revoked_ms if card.revoked_ms is not None else bench.now_ms
        report = CardReport(card.asn, since_ms, f"desk:{job.reference}", "replaced")
        people.report_card(session, report, bench.actor, bench.now_ms)


def called_off(session: Session, bench: Bench, job: DeskJob) -> None:
    """Call off the order of a job that made no card."""
    if job.order_no is not None:
        _tell(session, bench, job.order_no, "cancelled", job.reference)


def blocked(session: Session, bench: Bench, job: DeskJob) -> None:
    """Put a card on the hotlist before its chip is blocked: terminals are told either way."""
    assert job.asn is not None
    card = people.find_card(session, job.asn)
    known = order_of(session, job.asn)
    if known is not None and known.state == "active":
        _tell(session, bench, known.order_no, "suspended", job.reference)
    elif card.state == "active":
        report = CardReport(job.asn, bench.now_ms, job.reason, "blocked")
        people.report_card(session, report, bench.actor, bench.now_ms)


def unblocked(session: Session, bench: Bench, job: DeskJob) -> None:
    """Take a card off the hotlist whose chip serves again, if it was blocked and nothing worse.

    A block that still waits for its next tap would undo all this: it ends, and the job says so.
    """
    assert job.asn is not None
    why = (f"卡片已在服务台解锁（{job.reference}）", f"unblocked at the desk ({job.reference})")
    ended = updates.end_blocks(session, job.asn, why, (bench.actor, bench.now_ms))
    if ended:
        job.result = {**(job.result or {}), ENDED_UPDATES: ended}
    card = people.find_card(session, job.asn)
    known = order_of(session, job.asn)
    if known is not None and known.state == "suspended":
        _tell(session, bench, known.order_no, "resumed", job.reference)
    elif card.state == "blocked":
        people.restore_card(session, job.asn, bench.actor, bench.now_ms)


def with_what_ended(job: DeskJob, told: tuple[str, str]) -> tuple[str, str]:
    """Return what a clerk is told, with what the job has called off if it did."""
    if not (job.result or {}).get(ENDED_UPDATES):
        return told
    return f"{told[0]}；{_BLOCK_ENDED[0]}", f"{told[1]}; {_BLOCK_ENDED[1]}"


def order_of(session: Session, asn: str) -> CardOrder | None:
    """Return the order of a card, None for one that was registered without."""
    return session.scalar(sa.select(CardOrder).where(CardOrder.asn == asn))


def _order(
    session: Session, bench: Bench, volunteer_id: int, wish: NewOrder, reference: str
) -> str:
    wanted = NewOrder(
        volunteer_id, OWN, wish.reason, id_checked=wish.id_checked, cause_ref=f"desk:{reference}"
    )
    return order(session, wanted, bench.actor, bench.now_ms).order_no


def _tell(
    session: Session, bench: Bench, order_no: str, event: str, reference: str,
    detail: Detail | None = None,
) -> None:  # fmt: skip
    """Apply an event to an order; the same again changes nothing.

    Raises:
        Refused: The event does not follow.
    """
    said = CardEvent(
        order_no, event, bench.now_ms, f"desk:{reference}", BY_STAFF, bench.actor,
        detail=detail or Detail(),
    )  # fmt: skip
    found = apply(session, said, bench.now_ms)
    if found.code not in (APPLIED, REPEATED):
        raise Refused(found.code, found.zh, found.en)
