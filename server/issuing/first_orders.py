# SPDX-License-Identifier: Apache-2.0
"""Order the first cards of everybody whose application was approved, many at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from server.applications.services import Orderable, freeze, orderable
from server.errors import Refused
from server.issuing import orders
from server.issuing.orders import NewOrder
from server.issuing.policy import BANK, FIRST, OWN

PIECE = 500


@dataclass(frozen=True, slots=True)
class Ordered:
    """Numbers of the orders made, and whom none could be made for: volunteer number → code."""

    ordered: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def order_ready(session: Session, limit: int, actor: str, now_ms: int) -> Ordered:
    """Order cards for those who wait; who cannot have one (a closed branch) keeps nobody waiting.

    Whoever chose no branch, because no bank lists any, gets an own card from the desk.
    """
    done = Ordered()
    after = 0
    while len(done.ordered) < limit:
        waiting = orderable(session, after, min(PIECE, limit - len(done.ordered)))
        if not waiting:
            break
        after = waiting[-1].volunteer_id
        made = []
        for one in waiting:
            try:
                order = orders.order(session, _wanted(one), actor, now_ms)
            except Refused as refused:
                done.refused[one.number] = refused.code
            else:
                done.ordered.append(order.order_no)
                made.append(one.volunteer_id)
        freeze(session, made, now_ms)
    return done


def _wanted(one: Orderable) -> NewOrder:
    cause = f"application:{one.number}"
    if not one.branch_code:
        return NewOrder(
            one.volunteer_id, OWN, FIRST, photo_sha256=one.photo_sha256.hex(), cause_ref=cause
        )
    return NewOrder(
        one.volunteer_id, BANK, FIRST, one.carrier, one.branch_code, one.photo_sha256.hex(),
        cause_ref=cause,
    )  # fmt: skip
