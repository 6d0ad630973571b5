# SPDX-License-Identifier: Apache-2.0
"""Benefit campaigns: whom the Foundation or a partner may invite.

Invited is who holds a card that works, opted into offers, and has served the minutes asked for.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.benefits.insurance import registered
from server.benefits.models import Campaign
from server.errors import Refused
from server.issuing.models import CardOrder, FunctionConsent
from server.people import audit
from server.people.models import Volunteer
from server.timebank.models import VOLUNTEER, Account

NAME_MAX = 120
MINUTES_MAX = 60 * 24 * 365 * 50


@dataclass(frozen=True, slots=True)
class NewCampaign:
    """A campaign: what it is called, from which day to which, who has served enough."""

    name_zh: str
    name_en: str
    from_day: dt.date
    until_day: dt.date
    least_minutes: int = 0


def add(session: Session, new: NewCampaign, actor: str, now_ms: int) -> Campaign:
    """Add a campaign.

    Raises:
        Refused: a name, the days or the minutes are none.
    """
    names = (new.name_zh.strip(), new.name_en.strip())
    good = all(0 < len(name) <= NAME_MAX for name in names)
    if not good or new.until_day < new.from_day or not 0 <= new.least_minutes <= MINUTES_MAX:
        raise Refused("campaign", "活动名称、日期或时长不对", "name, days or minutes are none")
    made = Campaign(
        name_zh=names[0], name_en=names[1], from_day=new.from_day, until_day=new.until_day,
        least_minutes=new.least_minutes, made_by=actor, made_ms=now_ms,
    )  # fmt: skip
    session.add(made)
    session.flush()
    audit.record(session, now_ms, actor, "campaign.added", f"campaign:{made.id}")
    return made


def eligible(session: Session, campaign: Campaign, after: str, limit: int) -> list[str]:
    """Return numbers of volunteers who may be invited, in order, behind a number ("" for all)."""
    holds = sa.exists().where(CardOrder.volunteer_id == Volunteer.id, CardOrder.state == "active")
    newest = (
        sa.select(FunctionConsent.granted)
        .where(FunctionConsent.volunteer_id == Volunteer.id, FunctionConsent.function == "offers")
        .order_by(FunctionConsent.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    minutes = (
        sa.select(Account.minutes)
        .where(Account.kind == VOLUNTEER, Account.owner == Volunteer.id)
        .limit(1)
        .scalar_subquery()
    )
    return list(
        session.scalars(
            sa.select(Volunteer.number)
            .where(
                registered(),
                holds,
                newest,
                sa.func.coalesce(minutes, 0) >= campaign.least_minutes,
                Volunteer.number > after,
            )
            .order_by(Volunteer.number)
            .limit(limit)
        )
    )
