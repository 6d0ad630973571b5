# SPDX-License-Identifier: Apache-2.0
"""What waits too long, and where leaders tap for others more than they should."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.people.models import Volunteer
from server.reconciliation.models import LostTerminal, ReconException, ServiceInterval
from server.reconciliation.parameters import DAY_MS
from server.terminals.models import Site, Terminal

# What a leader has to settle an entry of the queue in, before it is on the alarm list.
QUEUE_DAYS = 7
# Rule 45: four whole weeks, so that every day of the week weighs the same.
GROUP_DAYS = 28
# A leader helps out where a card was forgotten; one minute in five is no longer helping out.
GROUP_SHARE_PERCENT = 20
# Below ten hours one forgotten card on a quiet site would be a share of a hundred percent.
GROUP_MINUTES_MIN = 600


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something to look into: what (gap, queue, lost, group), whose, since when."""

    kind: str
    subject: str
    since_ms: int


def alarms(session: Session, now_ms: int) -> list[Alarm]:
    """Return missing records and unsettled entries, lost terminals, sites with many group taps."""
    return _waiting(session, now_ms) + _lost(session) + _groups(session, now_ms)


def _waiting(session: Session, now_ms: int) -> list[Alarm]:
    waiting = (
        sa.select(ReconException.rule, ReconException.made_ms, Volunteer.number)
        .join(Volunteer, Volunteer.id == ReconException.person)
        .where(ReconException.current, ReconException.state == "open")
        .where(ReconException.made_ms <= now_ms - QUEUE_DAYS * DAY_MS)
        .order_by(ReconException.made_ms)
    )
    return [
        Alarm("gap" if rule == 28 else "queue", f"volunteer:{number} rule:{rule}", made_ms)
        for rule, made_ms, number in session.execute(waiting)
    ]


def _lost(session: Session) -> list[Alarm]:
    lost = sa.select(LostTerminal.terminal_id, LostTerminal.since_ms, Terminal.name).join(
        Terminal, Terminal.id == LostTerminal.terminal_id
    )
    return [
        Alarm("lost", f"terminal:{number} {name}", since_ms)
        for number, since_ms, name in session.execute(lost.order_by(LostTerminal.terminal_id))
    ]


def _groups(session: Session, now_ms: int) -> list[Alarm]:
    """Find sites where too many of the credited minutes rest on taps by the leader (rule 45)."""
    since_ms = now_ms - GROUP_DAYS * DAY_MS
    minutes = sa.func.sum(ServiceInterval.credited_minutes)
    marked = sa.literal(",").concat(ServiceInterval.rules).concat(",").contains(",45,")
    by_leader = sa.func.sum(sa.case((marked, ServiceInterval.credited_minutes), else_=0))
    # The number of a site is the terminal's word; an alarm is not lost for want of its name.
    sums = (
        sa.select(ServiceInterval.site, Site.name_zh, by_leader, minutes)
        .outerjoin(Site, Site.id == ServiceInterval.site)
        .where(ServiceInterval.current, ServiceInterval.start_ms >= since_ms)
        .group_by(ServiceInterval.site, Site.name_zh)
        .having(by_leader >= GROUP_MINUTES_MIN, by_leader * 100 > minutes * GROUP_SHARE_PERCENT)
        .order_by(ServiceInterval.site)
    )
    return [
        Alarm("group", f"site:{number or 0} {name or '?'} {part * 100 // whole}%", since_ms)
        for number, name, part, whole in session.execute(sums)
    ]
