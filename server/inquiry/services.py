# SPDX-License-Identifier: Apache-2.0
"""Sum up a card's holder for the display of a terminal; no name and no number is told."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Problem
from server.inquiry.policy import stars
from server.people.models import Card
from server.reconciliation.models import ServiceInterval
from server.terminals.models import Site, Terminal
from server.timebank.policy import coins
from server.timebank.services import balance

QUARTER_S = 15 * 60
DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True)
class Summary:
    """What the display shows; minutes are whole, `total_min` is all service, coins what is left."""

    today_min: int
    total_min: int
    level: int
    coins: str
    state: str


def summarise(session: Session, terminal: Terminal, asn: str, now_ms: int) -> Summary:
    """Return the figures of a card's holder, by the 20 digits of its serial.

    Today is the day at the terminal's site.

    Raises:
        Problem: 404, nobody registered the card.
    """
    card = session.scalar(sa.select(Card).where(Card.asn == asn))
    if card is None:
        raise Problem(404, "unknown-card", "此卡未登记", "nobody registered this card")
    mine = ServiceInterval.current & (ServiceInterval.person == card.volunteer_id)
    minutes = sa.func.coalesce(sa.func.sum(ServiceInterval.credited_minutes), 0)
    today = local_day(now_ms, session.get_one(Site, terminal.site_id).tz_q)
    total = session.scalar(sa.select(minutes).where(mine)) or 0
    of_today = session.scalar(sa.select(minutes).where(mine, ServiceInterval.service_day == today))
    return Summary(
        today_min=min(int(of_today or 0), DAY_MIN),
        total_min=int(total),
        level=stars(int(total)),
        coins=coins(balance(session, card.volunteer_id)),
        state=card.state,
    )


def local_day(utc_ms: int, tz_q: int) -> dt.date:
    """Return the calendar day at an offset in quarter hours.

    >>> local_day(1_795_276_799_000, 32).isoformat(), local_day(1_795_276_800_000, 32).isoformat()
    ('2026-11-21', '2026-11-22')
    """
    return dt.datetime.fromtimestamp(utc_ms // 1000 + tz_q * QUARTER_S, dt.UTC).date()
