# SPDX-License-Identifier: Apache-2.0
"""Give roles over scopes, take them back, list who holds what.

Every changing function works inside the caller's unit of work and writes its audit line there.
A change counts at once: grants are read afresh with every request.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.people import audit
from server.people.models import RoleGrant, User
from server.structure import organisations, regions
from server.structure.rights import ORGANISATION, PARTNER, REGION, SITE, Scope
from server.structure.rights_table import MATRIX, SCOPES_OF

REF_MAX = 32
GRANTS_MAX = 50  # who needs more needs a wider scope


@dataclass(frozen=True, slots=True)
class Held:
    """One grant as lists show it."""

    id: int
    user: str
    role: str
    scope: str
    granted_by: str
    granted_ms: int
    revoked_ms: int | None


def grant(session: Session, name: str, role: str, scope: Scope, by: tuple[str, int]) -> RoleGrant:
    """Give a user a role over a scope; `by` is who does it and when. Twice is once.

    Raises:
        Refused: user, role or scope unknown, the role is not given over such a scope, somebody
            wants to give a role to himself, or the user holds too many already.
    """
    actor, now_ms = by
    user = find_user(session, name)
    _check(session, role, scope)
    if actor in (name, f"user:{name}"):
        raise Refused("own-grant", "不能给自己授权", "nobody gives a role to himself")
    known = session.scalar(_live(user.id).where(*_same(role, scope)))
    if known is not None:
        return known
    if len(list(session.scalars(_live(user.id)))) >= GRANTS_MAX:
        raise Refused("grants", f"最多 {GRANTS_MAX} 项授权", f"at most {GRANTS_MAX} grants")
    made = RoleGrant(
        user_id=user.id,
        role=role,
        scope_kind=scope.kind,
        scope_ref=scope.ref,
        granted_by=actor,
        granted_ms=now_ms,
    )
    session.add(made)
    session.flush()
    audit.record(
        session, now_ms, actor, "user.granted", f"user:{name}", role=role, scope=str(scope)
    )
    return made


def revoke(session: Session, name: str, role: str, scope: Scope, by: tuple[str, int]) -> None:
    """Take a role over a scope back.

    Raises:
        Refused: the user does not hold it, or nobody would be left who may give roles.
    """
    actor, now_ms = by
    user = find_user(session, name)
    known = session.scalar(_live(user.id).where(*_same(role, scope)))
    if known is None:
        raise Refused("no-grant", f"{name} 没有这项授权", f"{name} does not hold {role} {scope}")
    if "users.grant" in MATRIX[role] and not _another_administrator(session, known.id):
        raise Refused(
            "last-administrator", "最后一名管理员不能撤销", "the last administrator stays"
        )
    known.revoked_by, known.revoked_ms = actor, now_ms
    audit.record(
        session, now_ms, actor, "user.revoked", f"user:{name}", role=role, scope=str(scope)
    )


def listing(session: Session, name: str | None = None, *, ended: bool = False) -> list[Held]:
    """Return grants by user, those taken back too if `ended`."""
    statement = (
        sa.select(RoleGrant, User.name)
        .join(User, User.id == RoleGrant.user_id)
        .order_by(User.name, RoleGrant.id)
    )
    if name is not None:
        statement = statement.where(User.id == find_user(session, name).id)
    if not ended:
        statement = statement.where(RoleGrant.revoked_ms.is_(None))
    return [
        Held(
            row.id, user, row.role, str(Scope(row.scope_kind, row.scope_ref)), row.granted_by,
            row.granted_ms, row.revoked_ms,
        )
        for row, user in session.execute(statement)
    ]  # fmt: skip


def find_user(session: Session, name: str) -> User:
    """Return a user by name, or refuse."""
    found = session.scalar(sa.select(User).where(User.name == name))
    if found is None:
        raise Refused("unknown-user", "没有这个用户", f"no user {name}")
    return found


def _check(session: Session, role: str, scope: Scope) -> None:
    kinds = SCOPES_OF.get(role, frozenset())
    if not kinds:
        raise Refused("role", "没有这个角色", f"no role {role} that can be given")
    if scope.kind not in kinds or bool(scope.ref) is (scope.kind == "all"):
        given = ", ".join(sorted(kinds))
        raise Refused("scope", f"{role} 的范围须为 {given}", f"{role} is given over {given}")
    if len(scope.ref) > REF_MAX:
        raise Refused("scope", "范围太长", f"a scope has at most {REF_MAX} characters")
    if scope.kind == REGION:
        regions.find(session, scope.ref)
    if scope.kind == ORGANISATION:
        organisations.find(session, _number(scope.ref))
    if scope.kind == SITE:
        site = sa.table("site", sa.column("id", sa.BigInteger))
        known = sa.select(site.c.id).where(site.c.id == _number(scope.ref))
        if session.scalar(known) is None:
            raise Refused("unknown-site", "没有这个服务点", f"no site {scope.ref}")
    if scope.kind == PARTNER and not scope.ref.isprintable():
        raise Refused("scope", "合作方代码不对", "a partner's code is printable")


def _number(ref: str) -> int:
    if not (ref.isascii() and ref.isdigit()):
        raise Refused("scope", f"{ref} 不是编号", f"{ref} is no number")
    return int(ref)


def _live(user_id: int) -> sa.Select[RoleGrant]:
    return sa.select(RoleGrant).where(RoleGrant.user_id == user_id, RoleGrant.revoked_ms.is_(None))


def _same(role: str, scope: Scope) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        RoleGrant.role == role,
        RoleGrant.scope_kind == scope.kind,
        RoleGrant.scope_ref == scope.ref,
    )


def _another_administrator(session: Session, besides: int) -> bool:
    able = [role for role, held in MATRIX.items() if "users.grant" in held]
    statement = sa.select(RoleGrant.id).where(
        RoleGrant.role.in_(able), RoleGrant.revoked_ms.is_(None), RoleGrant.id != besides
    )
    return session.scalar(statement.limit(1)) is not None
