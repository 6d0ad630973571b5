# SPDX-License-Identifier: Apache-2.0
"""Apply the retention rules: count what is due, and remove what goes by itself."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.ingest.models import StoredEvent
from server.people import audit, sign_in
from server.people.models import CODE, Card, Volunteer
from server.privacy.policy import (
    CARD_UPDATE,
    CARRY_SESSION,
    IDLE_PERSON,
    SIGN_IN_CODE,
    Retention,
)
from server.updates.models import CardUpdate, CarrySession

# A code that has served its time is replaced by one nobody knows: the row must hold a hash.
VOID_BYTES = 32
ENDED_STATES = ("done", "failed", "cancelled", "replaced")
LISTED_MAX = 1_000  # people to decide about; more are looked at the next time


@dataclass(frozen=True, slots=True)
class Due:
    """What one rule found: how many, and, where a person decides, which numbers."""

    rule: Retention
    count: int
    numbers: tuple[str, ...] = ()


def due(session: Session, now_ms: int) -> list[Due]:
    """Count what is due by each rule; changes nothing."""
    return [
        Due(SIGN_IN_CODE, _count(session, _codes(now_ms))),
        Due(CARD_UPDATE, _count(session, _updates(now_ms))),
        Due(CARRY_SESSION, _count(session, _sessions(now_ms))),
        _idle(session, now_ms),
    ]


def apply(session: Session, actor: str, now_ms: int) -> list[Due]:
    """Remove what is due by the rules that need nobody's decision; return what was due."""
    found = due(session, now_ms)
    void = sign_in.hash_secret(secrets.token_hex(VOID_BYTES))
    session.execute(
        sa.update(Volunteer)
        .where(Volunteer.id.in_(_codes(now_ms)))
        .values(secret_hash=void, code_ms=None)
    )
    session.execute(sa.delete(CarrySession).where(CarrySession.id.in_(_sessions(now_ms))))
    session.execute(sa.delete(CarrySession).where(CarrySession.update_id.in_(_updates(now_ms))))
    session.execute(
        sa.update(CardUpdate)
        .where(CardUpdate.id.in_(_updates(now_ms)))
        .values(wanted=b"", script=None)
    )
    counts = {item.rule.key: item.count for item in found if item.rule.automatic}
    audit.record(session, now_ms, actor, "retention.applied", "retention:all", **counts)
    return found


def _codes(now_ms: int) -> sa.Select[Any]:
    """Select people who never used the code they were given."""
    return sa.select(Volunteer.id).where(
        Volunteer.secret_kind == CODE, Volunteer.code_ms < SIGN_IN_CODE.before_ms(now_ms)
    )


def _updates(now_ms: int) -> sa.Select[Any]:
    return sa.select(CardUpdate.id).where(
        CardUpdate.state.in_(ENDED_STATES),
        CardUpdate.ended_ms < CARD_UPDATE.before_ms(now_ms),
        CardUpdate.wanted != b"",
    )


def _sessions(now_ms: int) -> sa.Select[Any]:
    return sa.select(CarrySession.id).where(
        CarrySession.expires_ms < CARRY_SESSION.before_ms(now_ms)
    )


def _count(session: Session, found: sa.Select[Any]) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(found.subquery())) or 0


def _idle(session: Session, now_ms: int) -> Due:
    """List people whose cards made no tap in the period and who were taken in before it."""
    since_ms = IDLE_PERSON.before_ms(now_ms)
    tapped = (
        sa.select(Card.volunteer_id)
        .join(StoredEvent, StoredEvent.card_asn == Card.asn)
        .where(Card.volunteer_id == Volunteer.id, StoredEvent.received_ms >= since_ms)
    )
    idle = sa.select(Volunteer.number).where(
        Volunteer.created_ms < since_ms, Volunteer.erased_ms.is_(None), ~sa.exists(tapped)
    )
    numbers = session.scalars(idle.order_by(Volunteer.number).limit(LISTED_MAX)).all()
    return Due(IDLE_PERSON, _count(session, idle), tuple(numbers))
