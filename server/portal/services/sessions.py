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
from server.structure import rights
from server.structure.rights import Grant, Place, Reach


@dataclass(frozen=True, slots=True)
class Principal:
    """The person behind a request. `name` is a volunteer's number or a user's name.

    `role` says which menu is shown; what opens is said by `grants`.
    """

    role: Role
    id: int
    name: str
    site_id: int | None
    must_change: bool
    token_hash: bytes = field(repr=False)
    grants: tuple[Grant, ...] = ()

    @property
    def roles(self) -> frozenset[str]:
        """Return the roles that open pages by role: a role that can be held everywhere must be.

        Pages by role narrow nothing, so staff of one region come in by rights only.
        """
        if self.role is Role.VOLUNTEER:
            return frozenset({self.role})
        return frozenset(
            grant.role
            for grant in self.grants
            if grant.scope.kind == rights.ALL or rights.ALL not in rights.SCOPES_OF[grant.role]
        )

    def can(self, right: str) -> bool:
        """Tell whether this person has a right anywhere."""
        if self.role is Role.VOLUNTEER:
            return rights.gives(self.role, right)
        return rights.has(self.grants, right)

    def may(self, right: str, place: Place) -> bool:
        """Tell whether this person has a right at a place; no by default."""
        return rights.may(self.grants, right, place)

    def reach(self, right: str) -> Reach:
        """Return where this person has a right, for narrowing a list."""
        return rights.reach(self.grants, right)

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
    """Return the person a session row belongs to, None when the user is gone or has no role."""
    if row.volunteer_id is not None:
        person = session.get_one(Volunteer, row.volunteer_id)
        if person.erased_ms is not None:
            return None
        must_change = person.secret_kind == CODE
        return Principal(
            Role.VOLUNTEER, person.id, person.number, None, must_change, row.token_hash
        )
    user = session.get(User, row.user_id)
    held = rights.grants(session, user.id) if user is not None else ()
    if user is None or not held:
        return None
    role = user.role if user.role in {grant.role for grant in held} else held[0].role
    return Principal(Role(role), user.id, user.name, user.site_id, False, row.token_hash, held)
