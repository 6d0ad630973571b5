# SPDX-License-Identifier: Apache-2.0
"""Do one thing to many orders: looked at before, called off within minutes, then done one by one.

Nothing happens while the undo window is open; when it is over the worker applies the action to
each order by itself, so that one that has moved on meanwhile keeps no other from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.issuing import events
from server.issuing.events import CardEvent
from server.issuing.models import BulkAction, CardOrder
from server.issuing.policy import BY_STAFF, Facts, step
from server.issuing.wording import APPLIED
from server.people import audit
from server.people.models import Volunteer

ACTIONS = ("corrected", "cancelled", "suspended", "resumed", "announced")
ORDERS_MAX = 500  # one screen after the other: more is a command's work
UNDO_MS = 5 * 60_000
REASON_MAX = 200
SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Preview:
    """What an action would do to one order; `code` is empty where it would be done."""

    order_no: str
    masked_name: str
    state: str
    to: str
    code: str


def preview(session: Session, action: str, order_nos: Sequence[str]) -> list[Preview]:
    """Say order by order what an action would do, changing nothing.

    Raises:
        Refused: there is no such action, or too many orders.
    """
    _check(action, order_nos)
    rows = session.execute(
        sa.select(CardOrder, Volunteer.masked_name)
        .join(Volunteer, Volunteer.id == CardOrder.volunteer_id)
        .where(CardOrder.order_no.in_(order_nos))
        .order_by(CardOrder.id)
    )
    shown = []
    for order, masked in rows:
        found = step(order.state, action, Facts(order.kind, BY_STAFF))
        shown.append(Preview(order.order_no, masked, order.state, found.to, found.code))
    return shown


@dataclass(frozen=True, slots=True)
class Wanted:
    """An action on orders, and why."""

    action: str
    order_nos: Sequence[str]
    reason: str


def begin(session: Session, wanted: Wanted, actor: str, now_ms: int) -> BulkAction:
    """Note an action; it takes effect when its undo window is over.

    Raises:
        Refused: nothing it could be done to, or no reason.
    """
    reason = wanted.reason.strip()
    if not 0 < len(reason) <= REASON_MAX:
        raise Refused("reason", "请说明原因", f"say why, in at most {REASON_MAX} characters")
    good = [one.order_no for one in preview(session, wanted.action, wanted.order_nos) if one.to]
    if not good:
        raise Refused("bulk-empty", "没有可以这样处理的制卡单", "there is nothing to do it to")
    made = BulkAction(
        action=wanted.action, orders=good, reason=reason, actor=actor, state="waiting",
        made_ms=now_ms, effective_ms=now_ms + UNDO_MS, results={},
    )  # fmt: skip
    session.add(made)
    session.flush()
    audit.record(
        session, now_ms, actor, "bulk.begun", f"bulk:{made.id}",
        does=made.action, orders=len(good), reason=reason,
    )  # fmt: skip
    return made


def undo(session: Session, bulk_id: int, actor: str, now_ms: int) -> None:
    """Call an action off while its window is open.

    Raises:
        Refused: there is none, or it was done.
    """
    found = session.get(BulkAction, bulk_id, with_for_update=True)
    if found is None or found.state != "waiting":
        raise Refused("bulk-done", "该操作已生效或不存在", "it took effect, or there is none")
    found.state = "undone"
    audit.record(session, now_ms, actor, "bulk.undone", f"bulk:{bulk_id}")


def run(session: Session, now_ms: int) -> int:
    """Do the actions whose window is over; return to how many orders."""
    due = session.scalars(
        sa.select(BulkAction)
        .where(BulkAction.state == "waiting", BulkAction.effective_ms <= now_ms)
        .order_by(BulkAction.id)
        .with_for_update(skip_locked=True)
    ).all()
    done = 0
    for action in due:
        results = {}
        for order_no in action.orders:
            told = CardEvent(
                order_no, action.action, now_ms, f"bulk:{action.id}", BY_STAFF, action.actor
            )
            results[order_no] = events.apply(session, told, now_ms).code
        action.results, action.state = results, "done"
        done += sum(code == APPLIED for code in results.values())
    return done


def lately(session: Session) -> list[BulkAction]:
    """Return the newest actions."""
    return list(
        session.scalars(sa.select(BulkAction).order_by(BulkAction.id.desc()).limit(SHOWN_MAX))
    )


def _check(action: str, order_nos: Sequence[str]) -> None:
    if action not in ACTIONS:
        raise Refused("bulk-action", "没有这种批量操作", "there is no such action")
    if not 0 < len(order_nos) <= ORDERS_MAX:
        raise Refused(
            "bulk-size", f"请选择 1 到 {ORDERS_MAX} 张", f"choose 1 to {ORDERS_MAX} orders"
        )
