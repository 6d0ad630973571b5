# SPDX-License-Identifier: Apache-2.0
"""Grants given and taken back, and what existing users held before grants were there."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from server import schema
from server.db import Database
from server.errors import Refused
from server.people.models import Audit, User
from server.people.services import require_staff
from server.structure import granting
from server.structure.rights import Scope, grants
from tests.unit.server.structure.conftest import NOW_MS, Country

BY = ("console", NOW_MS)
ALL = Scope("all")


def held(country: Country, name: str) -> list[str]:
    """Return what a user holds, as lists show it."""
    return [f"{each.role} {each.scope}" for each in granting.listing(country.session, name)]


def test_grant_counts_until_it_is_taken_back(country: Country) -> None:
    """Given twice it is held once; taken back it is gone, and stays on record with its end."""
    scope = Scope("region", "440300")
    for _ in range(2):
        granting.grant(country.session, "li", "region_manager", scope, BY)
    assert held(country, "li") == ["region_manager region:440300"]

    granting.revoke(country.session, "li", "region_manager", scope, ("wang", NOW_MS + 1))

    assert held(country, "li") == []
    ended = granting.listing(country.session, "li", ended=True)
    assert [each.revoked_ms for each in ended] == [NOW_MS + 1]
    actions = list(country.session.scalars(sa.select(Audit.action).order_by(Audit.id)))
    assert actions[-2:] == ["user.granted", "user.revoked"]


@pytest.mark.parametrize(
    ("role", "scope", "code"),
    [
        ("volunteer", ALL, "role"),
        ("king", ALL, "role"),
        ("leader", ALL, "scope"),
        ("admin", Scope("region", "440300"), "scope"),
        ("leader", Scope("site", "999"), "unknown-site"),
        ("leader", Scope("site", "x"), "scope"),
        ("leader", Scope("site"), "scope"),
        ("region_manager", Scope("region", "650100"), "unknown-region"),
        ("org_manager", Scope("organisation", "999"), "unknown-organisation"),
        ("partner", Scope("partner", "b" * 33), "scope"),
        ("staff", Scope("all", "x"), "scope"),
    ],
)
def test_unfit_grant_is_refused(country: Country, role: str, scope: Scope, code: str) -> None:
    """A role is given only over what its row allows, and only over what exists."""
    with pytest.raises(Refused) as refused:
        granting.grant(country.session, "li", role, scope, BY)

    assert refused.value.code == code


def test_nobody_gives_himself_a_role(country: Country) -> None:
    """An administrator cannot widen the own rights."""
    with pytest.raises(Refused, match="himself"):
        granting.grant(country.session, "wang", "auditor", ALL, ("wang", NOW_MS))


def test_last_administrator_stays(country: Country) -> None:
    """While there is one administrator, that grant cannot be taken back."""
    granting.grant(country.session, "wang", "admin", ALL, BY)
    with pytest.raises(Refused, match="last"):
        granting.revoke(country.session, "wang", "admin", ALL, BY)

    granting.grant(country.session, "li", "admin", ALL, BY)
    granting.revoke(country.session, "wang", "admin", ALL, BY)


def test_what_staff_must_do_needs_a_grant_over_everything(country: Country) -> None:
    """The name of a role opens nothing; a grant over one region does not make general staff."""
    with pytest.raises(Refused):
        require_staff(country.session, "li")
    granting.grant(country.session, "li", "staff", Scope("region", "440300"), BY)
    with pytest.raises(Refused):
        require_staff(country.session, "li")

    granting.grant(country.session, "li", "staff", ALL, BY)

    assert require_staff(country.session, "li").name == "li"


def test_existing_users_keep_what_they_had(tmp_path: Path) -> None:
    """The migration gives a leader the site and staff everything, sessions end, names stay."""
    database = Database(f"sqlite:///{tmp_path / 'old.db'}")
    schema.upgrade(database, "0018")
    with database.writing() as session:
        for number, role, site in ((1, "leader", 7), (2, "staff", None), (3, "admin", None)):
            session.execute(
                sa.text(
                    'INSERT INTO "user" (id, name, secret_hash, role, site_id)'
                    " VALUES (:id, :role, '-', :role, :site)"
                ),
                {"id": number, "role": role, "site": site},
            )
        session.execute(
            sa.text(
                "INSERT INTO portal_session (token_hash, user_id, created_ms, seen_ms)"
                " VALUES (x'00', 2, 1, 1)"
            )
        )

    schema.upgrade(database)

    with database.reading() as session:
        now = {user.name: grants(session, user.id) for user in session.scalars(sa.select(User))}
    database.close()
    assert {name: [(g.role, str(g.scope)) for g in found] for name, found in now.items()} == {
        "leader": [("leader", "site:7")],
        "staff": [("staff", "all")],
        "admin": [("admin", "all")],
    }
