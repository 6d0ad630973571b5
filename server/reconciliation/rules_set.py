# SPDX-License-Identifier: Apache-2.0
"""What staff set for the rules: parameters of places, lost terminals; and what time brings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.people import audit
from server.people.models import Card
from server.people.services import CardReport, mark_dirty, report_card
from server.reconciliation.corrections import Said
from server.reconciliation.models import (
    LostTerminal,
    ReconException,
    RuleParameter,
    ServiceInterval,
)
from server.reconciliation.parameters import DAY_MS, DEFAULT_POLICY, LIMITS
from server.terminals import services as terminals
from server.terminals.models import Activity, Site

CLONE_RULE = 29
CLONE_REASON = "两次有效刷卡同一计数 two valid taps with one counter (29)"


@dataclass(frozen=True, slots=True)
class Place:
    """For whom a parameter is set: an activity, a site, a region, or nothing = everybody."""

    activity: int | None = None
    site: int | None = None
    region: str = ""


def set_parameters(
    session: Session, place: Place, settings: Mapping[str, int], from_ms: int, said: Said
) -> RuleParameter:
    """Set parameters of a place from an instant on, and queue everybody who may be touched.

    Raises:
        Refused: a name is unknown, a value beyond its limits, or the place does not exist.
    """
    if not settings:
        raise Refused("no-settings", "没有要设置的参数", "nothing to set")
    for name, value in settings.items():
        low, high = LIMITS.get(name, (1, 0))
        if not low <= value <= high:
            known = ", ".join(f"{key} {least}–{most}" for key, (least, most) in LIMITS.items())
            raise Refused("setting", f"参数不对：{name}", f"{name}={value}: use {known}")
    if place.site is not None and session.get(Site, place.site) is None:
        raise Refused("unknown-site", "没有这个服务点", f"no site {place.site}")
    if place.activity is not None and session.get(Activity, place.activity) is None:
        raise Refused("unknown-activity", "没有这个活动", f"no activity {place.activity}")
    made = RuleParameter(
        from_ms=from_ms, activity=place.activity, site=place.site, region=place.region,
        settings=dict(settings), actor=said.actor, reason=said.reason, at_ms=said.now_ms,
    )  # fmt: skip
    session.add(made)
    session.flush()
    touched = sa.select(ServiceInterval.person).where(
        ServiceInterval.current, ServiceInterval.start_ms >= from_ms - 2 * DAY_MS
    )
    mark_dirty(session, session.scalars(touched.distinct()).all())
    audit.record(
        session, said.now_ms, said.actor, "rule.set", f"rule-parameter:{made.id}",
        settings=dict(settings), from_ms=from_ms, reason=said.reason,
    )  # fmt: skip
    return made


def declare_lost(session: Session, terminal_id: int, since_ms: int, said: Said) -> LostTerminal:
    """Declare a terminal lost: it is revoked, and nobody waits for its records any more.

    Raises:
        Refused: there is no such terminal, or it is lost already.
    """
    if session.get(LostTerminal, terminal_id) is not None:
        raise Refused("lost-already", "此终端早已报失", f"terminal {terminal_id} is lost already")
    terminals.revoke(session, terminal_id, said.reason, said.actor, said.now_ms)
    made = LostTerminal(
        terminal_id=terminal_id, since_ms=since_ms, at_ms=said.now_ms, actor=said.actor,
        reason=said.reason,
    )  # fmt: skip
    session.add(made)
    waiting = sa.select(ReconException.person).where(
        ReconException.current, ReconException.state == "open", ReconException.rule == 28
    )
    mark_dirty(session, session.scalars(waiting.distinct()).all())
    audit.record(
        session, said.now_ms, said.actor, "terminal.lost", f"terminal:{terminal_id}",
        since_ms=since_ms, reason=said.reason,
    )  # fmt: skip
    return made


def list_clones(session: Session, now_ms: int) -> list[str]:
    """Put the cards of clones on the hotlist (rule 29); return their serials."""
    from_event = sa.select(ReconException.person, ReconException.terminal, ReconException.seq)
    found = session.execute(
        from_event.where(
            ReconException.current,
            ReconException.rule == CLONE_RULE,
            ReconException.state == "open",
            ReconException.made_ms == now_ms,
        )
    ).all()
    listed = []
    for person, terminal, seq in found:
        for card in session.scalars(sa.select(Card).where(Card.volunteer_id == person)):
            if card.state == "active" and _tapped(session, card.asn, terminal, seq):
                report = CardReport(card.asn, now_ms, CLONE_REASON, "blocked")
                report_card(session, report, audit.SYSTEM_ACTOR, now_ms)
                listed.append(card.asn)
    return listed


def _tapped(session: Session, asn: str, terminal: int, seq: int) -> bool:
    event = sa.table("event", sa.column("terminal_id"), sa.column("seq"), sa.column("card_asn"))
    statement = sa.select(event.c.card_asn).where(
        event.c.terminal_id == terminal, event.c.seq == seq
    )
    return session.scalar(statement) == asn


def queue_overdue(session: Session, now_ms: int) -> int:
    """Queue people whose open or held time has come of age; return how many.

    Nothing arrives when a planned end passes, so somebody has to look at the clock.
    """
    open_since = now_ms - DEFAULT_POLICY.max_shift_ms
    due = sa.or_(
        sa.and_(ServiceInterval.state == "open", ServiceInterval.start_ms <= open_since),
        sa.and_(
            ServiceInterval.state == "open", Activity.end_ms + DEFAULT_POLICY.grace_ms <= now_ms
        ),
        sa.and_(
            ServiceInterval.state == "held",
            ServiceInterval.end_ms <= now_ms - DEFAULT_POLICY.gap_wait_ms,
        ),
    )
    raised = sa.select(ReconException.person).where(
        ReconException.current,
        ReconException.person == ServiceInterval.person,
        ReconException.terminal == ServiceInterval.in_terminal,
        ReconException.seq == ServiceInterval.in_seq,
        ReconException.rule.in_((12, 13, 27, 52)),
    )
    statement = (
        sa.select(ServiceInterval.person)
        .outerjoin(Activity, Activity.id == ServiceInterval.activity)
        .where(ServiceInterval.current, due, ~raised.exists())
        .distinct()
    )
    people = session.scalars(statement).all()
    mark_dirty(session, people)
    return len(people)
