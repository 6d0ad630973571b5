# SPDX-License-Identifier: Apache-2.0
"""A card that is taken off the hotlist past its order: the order follows, or it is refused.

Without this a lost card could serve again while another is being made in its place.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.issuing import events
from server.issuing.events import CardEvent
from server.issuing.models import CardOrder
from server.issuing.policy import BY_STAFF, CARD_STATES
from server.people import services as people
from server.people.models import Card

# How an order goes on whose card serves again; from other states nothing leads back.
_EVENT_OF = {"lost": "found", "suspended": "resumed"}


def follow_restored(session: Session, card: Card, actor: str, now_ms: int) -> None:
    """Let the order of a restored card go on, in the same unit of work.

    Raises:
        Refused: a new card was ordered in its place, or the order has ended.
    """
    order = session.scalar(sa.select(CardOrder).where(CardOrder.asn == card.asn).with_for_update())
    if order is None or CARD_STATES.get(order.state, "active") == "active":
        return
    event = _EVENT_OF.get(order.state)
    if event is None:
        raise Refused(
            "order-ended", f"此卡的订单已结束（{order.state}），不能解挂，请补办新卡",
            f"the card's order is {order.state}: it cannot serve again, order a new card",
        )  # fmt: skip
    cause = f"card:{card.asn}:{now_ms}"
    happened = CardEvent(order.order_no, event, now_ms, cause, BY_STAFF, actor)
    found = events.advance(session, order, happened, now_ms)
    if not found.ok:
        raise Refused(found.code, found.zh, found.en)


people.RESTORED.append(follow_restored)
