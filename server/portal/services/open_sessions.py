# SPDX-License-Identifier: Apache-2.0
"""Sessions as their owners and administrators see them: which browsers are in, and out with one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from server.db import Database
from server.people import audit
from server.people.models import User, Volunteer
from server.portal.display import local, masked_number
from server.portal.errors import NotFound
from server.portal.models import PortalSession
from server.portal.policy import SESSION_IDLE_MS, SESSION_LENGTH_MAX_MS, Role
from server.portal.services.places import DEFAULT_ZONE_QUARTERS
from server.portal.services.sessions import Principal

SHOWN_MAX = 200


@dataclass(frozen=True, slots=True)
class OpenSession:
    """One browser that is signed in; `key` names it in forms and signs nobody in."""

    key: str
    who: str
    way: str
    agent: str
    since: datetime
    seen: datetime
    here: bool


def own_sessions(database: Database, who: Principal, now_ms: int) -> list[OpenSession]:
    """Read the open sessions of one person, the one last used first."""
    return _read(database, who, _owner(who), now_ms)


def all_sessions(database: Database, who: Principal, now_ms: int) -> list[OpenSession]:
    """Read everybody's open sessions, users before volunteers, the one last used first."""
    return _read(database, who, sa.true(), now_ms)


def end_own(database: Database, who: Principal, key: str, now_ms: int) -> None:
    """End one session of one's own.

    Raises:
        NotFound: there is no such session of this person.
    """
    _end(database, who, key, _owner(who), now_ms)


def end_any(database: Database, who: Principal, key: str, now_ms: int) -> None:
    """End anybody's session.

    Raises:
        NotFound: there is no such session.
    """
    _end(database, who, key, sa.true(), now_ms)


def _end(
    database: Database, who: Principal, key: str, among: sa.ColumnElement[bool], now_ms: int
) -> None:
    try:
        hashed = bytes.fromhex(key)
    except ValueError as error:
        raise NotFound from error
    with database.writing() as session:
        found = session.scalar(
            sa.select(PortalSession).where(PortalSession.token_hash == hashed, among)
        )
        if found is None:
            raise NotFound
        if found.user_id is not None:
            subject = f"user:{session.get_one(User, found.user_id).name}"
        else:
            subject = f"volunteer:{session.get_one(Volunteer, found.volunteer_id).number}"
        session.delete(found)
        audit.record(session, now_ms, who.actor, "session.ended", subject)


def _owner(who: Principal) -> sa.ColumnElement[bool]:
    if who.role is Role.VOLUNTEER:
        return PortalSession.volunteer_id == who.id
    return PortalSession.user_id == who.id


def _read(
    database: Database, who: Principal, among: sa.ColumnElement[bool], now_ms: int
) -> list[OpenSession]:
    statement = (
        sa.select(PortalSession, User.name, Volunteer.number)
        .outerjoin(User, User.id == PortalSession.user_id)
        .outerjoin(Volunteer, Volunteer.id == PortalSession.volunteer_id)
        .where(
            among,
            PortalSession.seen_ms >= now_ms - SESSION_IDLE_MS,
            PortalSession.created_ms >= now_ms - SESSION_LENGTH_MAX_MS,
        )
        .order_by(User.name.is_(None), PortalSession.seen_ms.desc(), PortalSession.token_hash)
        .limit(SHOWN_MAX)
    )
    with database.reading() as session:
        return [
            OpenSession(
                key=row.token_hash.hex(),
                who=name or masked_number(number),
                way=row.way or "",
                agent=row.agent or "",
                since=local(row.created_ms, DEFAULT_ZONE_QUARTERS),
                seen=local(row.seen_ms, DEFAULT_ZONE_QUARTERS),
                here=row.token_hash == who.token_hash,
            )
            for row, name, number in session.execute(statement)
        ]
