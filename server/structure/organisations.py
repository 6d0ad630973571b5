# SPDX-License-Identifier: Apache-2.0
"""Organisations below regions, their members, and the places that follow from them.

Every changing function works inside the caller's unit of work and writes its audit line there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.people import audit
from server.people.models import Volunteer
from server.structure import regions
from server.structure.models import Membership, Organisation
from server.structure.policy import stem
from server.structure.rights import Place, Reach

DEPTH_MAX = 6  # city, district, street, community, group, team
NAME_MAX = 64
CODE = re.compile(r"[A-Z0-9][A-Z0-9-]{1,31}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewOrganisation:
    """An organisation to be added; `parent` is the code of the one above it."""

    code: str
    name_zh: str
    name_en: str
    region: str
    parent: str | None = None


def add(session: Session, new: NewOrganisation, actor: str, now_ms: int) -> Organisation:
    """Add an organisation below a region.

    Raises:
        Refused: code or name malformed or taken, region or parent unknown, tree too deep.
    """
    if not CODE.fullmatch(new.code):
        raise Refused("code", "代码用大写字母、数字和连字符", "a code has 2 to 32 of A-Z, 0-9, -")
    if not (0 < len(new.name_zh.strip()) <= NAME_MAX and len(new.name_en) <= NAME_MAX):
        raise Refused("name-length", "名称太长或为空", f"a name has 1 to {NAME_MAX} characters")
    if session.scalar(sa.select(Organisation.id).where(Organisation.code == new.code)):
        raise Refused("code-taken", "代码已被使用", f"there is an organisation {new.code} already")
    regions.find(session, new.region)
    above = by_code(session, new.parent) if new.parent else None
    if above is not None and len(path(session, above.id)) >= DEPTH_MAX:
        raise Refused("too-deep", f"最多 {DEPTH_MAX} 层", f"at most {DEPTH_MAX} levels")
    made = Organisation(
        code=new.code,
        name_zh=new.name_zh.strip(),
        name_en=new.name_en.strip(),
        parent_id=above.id if above else None,
        region=new.region,
        created_ms=now_ms,
    )
    session.add(made)
    session.flush()
    audit.record(
        session, now_ms, actor, "organisation.added", f"organisation:{made.id}",
        code=new.code, region=new.region,
    )  # fmt: skip
    return made


def by_code(session: Session, code: str) -> Organisation:
    """Return an organisation by its code, or refuse."""
    found = session.scalar(sa.select(Organisation).where(Organisation.code == code))
    if found is None:
        raise Refused("unknown-organisation", "没有这个组织", f"no organisation {code}")
    return found


def find(session: Session, organisation_id: int) -> Organisation:
    """Return an organisation that is not closed, or refuse."""
    found = session.get(Organisation, organisation_id)
    if found is None or found.closed_ms is not None:
        raise Refused(
            "unknown-organisation", "没有这个组织或已关闭", "no such organisation, or it is closed"
        )
    return found


def close(session: Session, code: str, actor: str, now_ms: int) -> Organisation:
    """Close an organisation; its members stay on record, nobody joins any more.

    Raises:
        Refused: an organisation below it is not closed.
    """
    found = by_code(session, code)
    open_below = sa.select(Organisation.id).where(
        Organisation.parent_id == found.id, Organisation.closed_ms.is_(None)
    )
    if session.scalar(open_below.limit(1)) is not None:
        raise Refused("open-below", "下级组织还未关闭", "an organisation below it is not closed")
    if found.closed_ms is None:
        found.closed_ms = now_ms
        audit.record(
            session, now_ms, actor, "organisation.closed", f"organisation:{found.id}", code=code
        )
    return found


def listing(session: Session, within: Reach) -> list[Organisation]:
    """Return the organisations in reach, by region and code."""
    statement = sa.select(Organisation).order_by(Organisation.region, Organisation.code)
    return list(session.scalars(statement.where(in_reach(session, within))))


def in_reach(session: Session, within: Reach) -> sa.ColumnElement[bool]:
    """Return the condition that an organisation is in reach."""
    if within.everywhere:
        return sa.true()
    return sa.or_(
        sa.false(),
        Organisation.id.in_(with_below(session, within.organisations)),
        *(Organisation.region.startswith(stem(code), autoescape=True) for code in within.regions),
    )


def with_below(session: Session, organisation_ids: Iterable[int]) -> list[int]:
    """Return organisations and all below them, by id."""
    wanted = sorted(set(organisation_ids))
    if not wanted:
        return []
    tree = (
        sa.select(Organisation.id)
        .where(Organisation.id.in_(wanted))
        .cte("tree", recursive=True, nesting=False)
    )
    tree = tree.union(sa.select(Organisation.id).where(Organisation.parent_id == tree.c.id))
    return list(session.scalars(sa.select(tree.c.id).order_by(tree.c.id)))


def path(session: Session, organisation_id: int) -> tuple[int, ...]:
    """Return an organisation and those above it, itself first."""
    found: list[int] = []
    here: int | None = organisation_id
    while here is not None and here not in found:
        found.append(here)
        here = session.scalar(sa.select(Organisation.parent_id).where(Organisation.id == here))
    return tuple(found)


def join(
    session: Session, volunteer_id: int, organisation_id: int, actor: str, now_ms: int
) -> Membership:
    """Make a volunteer a member; who is one already stays it, nobody becomes two volunteers."""
    find(session, organisation_id)
    number = session.get_one(Volunteer, volunteer_id).number
    known = _current(session, volunteer_id, organisation_id)
    if known is not None:
        return known
    made = Membership(
        volunteer_id=volunteer_id, organisation_id=organisation_id, from_ms=now_ms, actor=actor
    )
    session.add(made)
    session.flush()
    audit.record(
        session, now_ms, actor, "membership.begun", f"volunteer:{number}",
        organisation=organisation_id,
    )  # fmt: skip
    return made


def leave(
    session: Session, volunteer_id: int, organisation_id: int, actor: str, now_ms: int
) -> None:
    """End a membership; the row stays."""
    known = _current(session, volunteer_id, organisation_id)
    if known is None:
        raise Refused("no-member", "不是该组织的成员", "no member of this organisation")
    known.until_ms = now_ms
    number = session.get_one(Volunteer, volunteer_id).number
    audit.record(
        session, now_ms, actor, "membership.ended", f"volunteer:{number}",
        organisation=organisation_id,
    )  # fmt: skip


def memberships(session: Session, volunteer_id: int) -> list[Organisation]:
    """Return the organisations somebody belongs to now, the oldest membership first."""
    statement = (
        sa.select(Organisation)
        .join(Membership, Membership.organisation_id == Organisation.id)
        .where(Membership.volunteer_id == volunteer_id, Membership.until_ms.is_(None))
        .order_by(Membership.id)
    )
    return list(session.scalars(statement))


def place_of(session: Session, organisation_id: int | None, region: str = "") -> Place:
    """Return the place of something that belongs to an organisation, or to a region alone."""
    if organisation_id is None:
        return Place(regions=(region,) if region else ())
    found = session.get(Organisation, organisation_id)
    where = region or (found.region if found else "")
    return Place(organisations=path(session, organisation_id), regions=(where,) if where else ())


def place_of_volunteer(session: Session, volunteer_id: int) -> Place:
    """Return where a volunteer stands: at every organisation of theirs, and in its region."""
    found = memberships(session, volunteer_id)
    above: dict[int, None] = {}
    for organisation in found:
        above |= dict.fromkeys(path(session, organisation.id))
    places = dict.fromkeys(organisation.region for organisation in found)
    return Place(organisations=tuple(above), regions=tuple(places))


def _current(session: Session, volunteer_id: int, organisation_id: int) -> Membership | None:
    statement = sa.select(Membership).where(
        Membership.volunteer_id == volunteer_id,
        Membership.organisation_id == organisation_id,
        Membership.until_ms.is_(None),
    )
    return session.scalar(statement)
