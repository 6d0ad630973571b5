# SPDX-License-Identifier: Apache-2.0
"""Who may do what where: roles, scopes, grants; refused unless a grant says otherwise.

A grant is a role over a scope. A right is held at a place when the role of some grant has the
right (`rights_table.MATRIX`) and the grant's scope covers the place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.people.models import ROLES, RoleGrant
from server.structure.policy import lies_within
from server.structure.rights_table import MATRIX, RIGHTS, SCOPES_OF

__all__ = [
    "MATRIX", "RIGHTS", "ROLES", "SCOPES_OF", "Grant", "Place", "Reach", "Scope", "grants",
    "has", "may", "reach", "roles_with",
]  # fmt: skip

SITE, ORGANISATION, REGION, PARTNER, ALL = SCOPE_KINDS = (
    "site", "organisation", "region", "partner", "all",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scope:
    """Over what a role is given: `kind` is one of `SCOPE_KINDS`, `ref` says which one.

    >>> str(Scope("region", "440300")), str(Scope("all"))
    ('region:440300', 'all')
    """

    kind: str
    ref: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.ref}" if self.ref else self.kind


@dataclass(frozen=True, slots=True)
class Grant:
    """One role over one scope."""

    role: str
    scope: Scope
    id: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a thing stands: its sites, its organisations with all above them, its regions.

    A volunteer of two organisations stands at both. What has no place stands nowhere: only who
    was given everything reaches it.
    """

    sites: tuple[int, ...] = ()
    organisations: tuple[int, ...] = ()
    regions: tuple[str, ...] = ()
    partner: str = ""


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Reach:
    """The union of the scopes in which a right is held, for narrowing a list."""

    everywhere: bool = False
    sites: frozenset[int] = field(default_factory=frozenset)
    organisations: frozenset[int] = field(default_factory=frozenset)
    regions: frozenset[str] = field(default_factory=frozenset)
    partners: frozenset[str] = field(default_factory=frozenset)

    @property
    def nowhere(self) -> bool:
        """Tell whether nothing is in reach."""
        narrow = self.sites or self.organisations or self.regions or self.partners
        return not (self.everywhere or narrow)


def may(held: Iterable[Grant], right: str, place: Place) -> bool:
    """Tell whether some grant gives a right at a place; no by default.

    >>> li = (Grant("region_manager", Scope("region", "440300")),)
    >>> may(li, "reports.read", Place(regions=("440304",)))
    True
    >>> may(li, "reports.read", Place(regions=("370200",))), may(li, "users.grant", Place())
    (False, False)
    """
    return any(covers(grant.scope, place) for grant in held if gives(grant.role, right))


def has(held: Iterable[Grant], right: str) -> bool:
    """Tell whether a right is held anywhere at all."""
    return any(gives(grant.role, right) for grant in held)


def gives(role: str, right: str) -> bool:
    """Tell whether a role has a right; an unknown role has none.

    >>> gives("auditor", "audit.read"), gives("auditor", "users.grant"), gives("?", "own.read")
    (True, False, False)
    """
    return right in MATRIX.get(role, frozenset())


def roles_with(right: str) -> frozenset[str]:
    """Return the roles that have a right.

    Raises:
        ValueError: there is no such right; a misspelt one must not open or close anything.
    """
    if right not in RIGHTS:
        message = f"no right {right!r}"
        raise ValueError(message)
    return frozenset(role for role in ROLES if gives(role, right))


def covers(scope: Scope, place: Place) -> bool:
    """Tell whether a scope covers a place.

    >>> covers(Scope("site", "7"), Place(sites=(7,))), covers(Scope("site", "7"), Place())
    (True, False)
    >>> covers(Scope("partner", "icbc"), Place(partner="ccb")), covers(Scope("all"), Place())
    (False, True)
    """
    if scope.kind == ALL:
        return True
    if scope.kind == SITE:
        return scope.ref in map(str, place.sites)
    if scope.kind == ORGANISATION:
        return scope.ref in map(str, place.organisations)
    if scope.kind == REGION:
        return any(lies_within(code, scope.ref) for code in place.regions)
    return scope.kind == PARTNER and bool(scope.ref) and scope.ref == place.partner


def reach(held: Iterable[Grant], right: str) -> Reach:
    """Return where a right is held.

    >>> reach([Grant("leader", Scope("site", "7")), Grant("leader", Scope("site", "9"))],
    ...     "hours.decide").sites == {7, 9}
    True
    """
    found: dict[str, set[str]] = {kind: set() for kind in SCOPE_KINDS}
    for grant in held:
        if gives(grant.role, right):
            found.setdefault(grant.scope.kind, set()).add(grant.scope.ref)
    return Reach(
        everywhere=bool(found[ALL]),
        sites=frozenset(int(ref) for ref in found[SITE]),
        organisations=frozenset(int(ref) for ref in found[ORGANISATION]),
        regions=frozenset(found[REGION]),
        partners=frozenset(found[PARTNER]),
    )


def grants(session: Session, user_id: int) -> tuple[Grant, ...]:
    """Return the grants a user holds now, the oldest first."""
    rows = session.execute(_HELD, {"user": user_id})
    return tuple(Grant(role, Scope(kind, ref), number) for number, role, kind, ref in rows)


# Written once: every request of a signed-in user asks it.
_HELD = (
    sa.select(RoleGrant.id, RoleGrant.role, RoleGrant.scope_kind, RoleGrant.scope_ref)
    .where(RoleGrant.user_id == sa.bindparam("user"), RoleGrant.revoked_ms.is_(None))
    .order_by(RoleGrant.id)
)
