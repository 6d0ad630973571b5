# SPDX-License-Identifier: Apache-2.0
"""Who is signed in: find the person of a session token."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Database
from server.people.models import CODE, User, Volunteer
from server.portal.models import PortalSession
from server.portal.policy import SESSION_TOUCH_MS, Role, session_over


@dataclass(frozen=True, slots=True)
class Principal:
    """The person behind a request. `name` is a volunteer's number or a user's name."""

    role: Role
    id: int
    name: str
    site_id: int | None
    must_change: bool
    token_hash: bytes = field(repr=False)

    @property
    def actor(self) -> str:
        """Return how the audit trail names this person."""
        kind = "volunteer" if self.role is Role.VOLUNTEER else "user"
        return f"{kind}:{self.name}"


def token_hash(token: str) -> bytes:
    """Return what is stored of a session token: whoever reads the table cannot sign in."""
    return hashlib.sha256(token.encode()).digest()


def find_principal(database: Database, token: str, now_ms: int) -> Principal | None:
    """Return the person of a live session, None when it is unknown or over.

    Role, site and the need to change the password are read afresh each time, so that a change
    by an administrator counts at once.
    """
    hashed = token_hash(token)
    with database.reading() as session:
        row = session.get(PortalSession, hashed)
        if row is None or session_over(now_ms, row.created_ms, row.seen_ms):
            return None
        principal = principal_of(session, row)
        stale = now_ms - row.seen_ms >= SESSION_TOUCH_MS
    if stale:
        with database.writing() as session:
            session.execute(
                sa.update(PortalSession)
                .where(PortalSession.token_hash == hashed)
                .values(seen_ms=now_ms)
            )
    return principal


def principal_of(session: Session, row: PortalSession) -> Principal | None:
    """Return the person a session row belongs to, None when the user is gone."""
    if row.volunteer_id is not None:
        person = session.get_one(Volunteer, row.volunteer_id)
        must_change = person.secret_kind == CODE
        return Principal(
            Role.VOLUNTEER, person.id, person.number, None, must_change, row.token_hash
        )
    user = session.get(User, row.user_id)
    if user is None or user.role == Role.VOLUNTEER:
        return None
    return Principal(Role(user.role), user.id, user.name, user.site_id, False, row.token_hash)
