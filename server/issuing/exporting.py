# SPDX-License-Identifier: Apache-2.0
"""Hand orders to a partner: what waits, and the moment it has gone out in a file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.issuing import dates, work_calendar
from server.issuing.models import CardOrder, CardStep, DueEvent, VestOrder
from server.issuing.policy import BY_SYSTEM
from server.people import audit
from server.people.models import Volunteer

# Parameters of one statement; SQLite takes 32 766, and steps have nine columns.
PIECE = 3_000


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One order as a partner's production file needs it; personal data is looked up by id.

    `vest` says whether the red vest is to be made along with the card.
    """

    order_id: int
    order_no: str
    volunteer_id: int
    number: str
    carrier: str
    branch_code: str
    reason: str
    photo_sha256: str | None
    vest: bool
    price_fen: int


def ready_for_export(session: Session, partner: str, limit: int, after: int = 0) -> list[OrderLine]:
    """Return orders that wait for a partner, oldest first, those behind an order's id."""
    vest = sa.exists().where(VestOrder.order_id == CardOrder.id, VestOrder.state == "ordered")
    rows = session.execute(
        sa.select(
            CardOrder.id.label("order_id"), CardOrder.order_no, CardOrder.volunteer_id,
            Volunteer.number,
            CardOrder.carrier, CardOrder.branch_code, CardOrder.reason, CardOrder.photo_sha256,
            vest.label("vest"), CardOrder.price_fen,
        )
        .join(Volunteer, Volunteer.id == CardOrder.volunteer_id)
        .where(
            CardOrder.partner == partner, CardOrder.state == "ordered", CardOrder.id > after,
            Volunteer.erased_ms.is_(None),
        )
        .order_by(CardOrder.id)
        .limit(limit)
    )  # fmt: skip
    return [OrderLine(**row._mapping) for row in rows]


def mark_exported(session: Session, order_ids: Collection[int], file_ref: str, now_ms: int) -> None:
    """Note that orders went out in a file; the days in which they must be made begin.

    Raises:
        Refused: one of them does not wait any more; then none is marked.
    """
    due = dates.due_after_export(work_calendar.read(session), now_ms)
    values = {
        "state": "exported", "batch_ref": file_ref, "changed_ms": now_ms,
        "due_make_ms": due.make_ms, "due_notice_ms": due.notice_ms,
    }  # fmt: skip
    ids = sorted(set(order_ids))
    for low in range(0, len(ids), PIECE):
        piece = ids[low : low + PIECE]
        chosen = CardOrder.id.in_(piece)
        marked = session.execute(
            sa.update(CardOrder)
            .where(chosen, CardOrder.state == "ordered", CardOrder.kind == "bank")
            .values(values)
            .returning(CardOrder.id),
            execution_options={"synchronize_session": "fetch"},
        ).all()
        if len(marked) != len(piece):
            raise Refused(
                "not-waiting",
                "有制卡单已不在待制卡状态",
                "an order does not wait to be made any more",
            )
        # An order that goes out again is late anew if it is late again.
        session.execute(sa.delete(DueEvent).where(DueEvent.order_id.in_(piece)))
        session.execute(sa.insert(CardStep), [_step(one, file_ref, now_ms) for one in piece])
    audit.record(
        session, now_ms, BY_SYSTEM, "cardorder.exported", f"file:{file_ref}", orders=len(ids)
    )


def _step(order_id: int, file_ref: str, now_ms: int) -> dict[str, object]:
    return {
        "order_id": order_id, "from_state": "ordered", "to_state": "exported",
        "event": "exported", "source": BY_SYSTEM, "cause_ref": f"file:{file_ref}",
        "actor": BY_SYSTEM, "at_ms": now_ms, "made_ms": now_ms,
    }  # fmt: skip
