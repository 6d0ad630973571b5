# SPDX-License-Identifier: Apache-2.0
"""What the pages of organisations and of roles show, and the forms that change them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Database
from server.people.models import User
from server.portal.names import Name
from server.structure import granting, organisations, regions
from server.structure.granting import Held
from server.structure.models import Membership, Organisation
from server.structure.organisations import NewOrganisation
from server.structure.rights import SCOPE_KINDS, Place, Reach, Scope
from server.structure.rights_table import MATRIX, RIGHTS, SCOPES_OF

ROLES_GIVEN = tuple(role for role, kinds in SCOPES_OF.items() if kinds)


@dataclass(frozen=True, slots=True)
class OrganisationRow:
    """One organisation, as deep in the list as it stands in its tree."""

    id: int
    code: str
    title: Name
    region: str
    where: Name
    members: int
    depth: int
    closed: bool
    place: Place


def read_organisations(database: Database, within: Reach) -> list[OrganisationRow]:
    """Read the organisations in reach, each below the one it belongs to."""
    with database.reading() as session:
        rows = organisations.listing(session, within)
        counted = session.execute(
            sa.select(Membership.organisation_id, sa.func.count())
            .where(Membership.until_ms.is_(None))
            .group_by(Membership.organisation_id)
        )
        members = {row[0]: row[1] for row in counted}
        shown = {row.id for row in rows}
        below: dict[int | None, list[Organisation]] = {}
        for row in rows:
            below.setdefault(row.parent_id if row.parent_id in shown else None, []).append(row)
        found: list[OrganisationRow] = []
        stack = [(row, 0) for row in reversed(below.get(None, []))]
        while stack:
            row, depth = stack.pop()
            found.append(_row(session, row, depth, members.get(row.id, 0)))
            stack += [(child, depth + 1) for child in reversed(below.get(row.id, []))]
    return found


def _row(session: Session, row: Organisation, depth: int, members: int) -> OrganisationRow:
    return OrganisationRow(
        id=row.id,
        code=row.code,
        title=Name(row.name_zh, row.name_en),
        region=row.region,
        where=Name(*regions.title(session, row.region)),
        members=members,
        depth=depth,
        closed=row.closed_ms is not None,
        place=organisations.place_of(session, row.id),
    )


@dataclass(frozen=True, slots=True)
class OrganisationForm:
    """What was typed about a new organisation."""

    code: str = ""
    name_zh: str = ""
    name_en: str = ""
    region: str = ""
    parent: str = ""

    @classmethod
    def parse(cls, form: Mapping[str, str]) -> OrganisationForm:
        """Read the fields of a form; the code in capitals."""
        typed = {name: form.get(name, "").strip() for name in cls.__slots__}
        return replace(cls(**typed), code=typed["code"].upper(), parent=typed["parent"].upper())

    def new(self) -> NewOrganisation:
        """Return the organisation that is wished for."""
        return NewOrganisation(
            self.code, self.name_zh, self.name_en, self.region, self.parent or None
        )

    def places(self, session: Session) -> tuple[Place, ...]:
        """Return the places that it would stand at: its region, and below its parent."""
        own = Place(regions=(self.region,))
        if not self.parent:
            return (own,)
        above = organisations.by_code(session, self.parent)
        return own, organisations.place_of(session, above.id)


@dataclass(frozen=True, slots=True)
class RoleRow:
    """A role in the table that explains them: over what it is given, what it may do."""

    name: str
    scopes: tuple[str, ...]
    rights: tuple[Name, ...]


def roles() -> list[RoleRow]:
    """Return every role that can be given.

    >>> next(row.scopes for row in roles() if row.name == "leader")
    ('site',)
    """
    return [
        RoleRow(
            role,
            tuple(kind for kind in SCOPE_KINDS if kind in SCOPES_OF[role]),
            tuple(_about(right) for right in sorted(MATRIX[role])),
        )
        for role in ROLES_GIVEN
    ]


def _about(right: str) -> Name:
    chinese, _, english = RIGHTS[right].partition(" · ")
    return Name(chinese, english)


@dataclass(frozen=True, slots=True)
class GrantForm:
    """What was chosen to be given or taken back."""

    user: str = ""
    role: str = ""
    kind: str = ""
    ref: str = ""

    @classmethod
    def parse(cls, form: Mapping[str, str]) -> GrantForm:
        """Read the fields of a form."""
        return cls(**{name: form.get(name, "").strip() for name in cls.__slots__})

    @property
    def scope(self) -> Scope:
        """Return over what the role is given; everything needs no further word."""
        return Scope(self.kind, "" if self.kind == "all" else self.ref)


def read_grants(database: Database) -> tuple[list[Held], list[str]]:
    """Read who holds which role now, and the names of all users."""
    with database.reading() as session:
        names = session.scalars(sa.select(User.name).order_by(User.name))
        return granting.listing(session), list(names)
