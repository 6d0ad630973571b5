# SPDX-License-Identifier: Apache-2.0
"""Organisations and roles on the pages: within one's reach, recorded, refused with a reason."""

from __future__ import annotations

import sqlalchemy as sa

from server.people.models import Audit, RoleGrant
from server.structure.models import Organisation
from tests.unit.server.portal.conftest import Visitor

NEW = {"code": "ft-dance", "name_zh": "福田舞蹈队", "name_en": "Dancers", "region": "440304"}


def test_organisation_is_added_below_another_and_closed(visitor: Visitor) -> None:
    """It stands under its parent, and what has nothing open below it can be closed."""
    visitor.come_as("region_manager")
    parent = code_of(visitor, visitor.scene.ids["futian"])

    assert visitor.send("/organisations", **NEW, parent=parent).status_code == 302
    page = visitor.get("/organisations").text
    assert page.index(parent) < page.index("福田舞蹈队")
    refused = visitor.send("/organisations", close=parent)
    assert refused.status_code == 422
    assert "下级组织还未关闭" in refused.text
    assert visitor.send("/organisations", close="FT-DANCE").status_code == 302

    with visitor.scene.database.reading() as session:
        row = session.scalars(sa.select(Organisation).where(Organisation.code == "FT-DANCE")).one()
        assert row.closed_ms is not None


def test_what_is_wrong_is_told_and_what_was_typed_stays(visitor: Visitor) -> None:
    """A code that is taken, a region nobody knows, a parent nobody knows."""
    visitor.come_as("staff")
    taken = code_of(visitor, visitor.scene.ids["futian"])
    for changes, says in (
        ({"code": taken}, "代码已被使用"),
        ({"region": "999999"}, "没有区划 999999"),
        ({"parent": "NOBODY"}, "没有这个组织"),
    ):
        answer = visitor.send("/organisations", **NEW | changes)
        assert answer.status_code == 422, changes
        assert says in answer.text
        assert "福田舞蹈队" in answer.text


def test_nobody_changes_what_is_out_of_reach(visitor: Visitor) -> None:
    """Another region's manager neither sees, adds nor closes; who only reads gets no form."""
    code = code_of(visitor, visitor.scene.ids["futian"])
    visitor.come_as("luohu_manager")
    assert f">{code}<" not in visitor.get("/organisations").text
    assert visitor.send("/organisations", **NEW).status_code == 403
    assert visitor.send("/organisations", close=code).status_code == 403

    visitor.come_as("auditor")
    assert 'name="code"' not in visitor.get("/organisations").text
    assert visitor.send("/organisations", **NEW).status_code == 403


def test_role_is_given_and_taken_back(visitor: Visitor) -> None:
    """Both are in the audit trail with the name of who did it."""
    visitor.come_as("admin")
    about = {"user": "staff", "role": "call_centre", "kind": "region", "ref": "440303"}

    assert visitor.send("/roles", **about).status_code == 302
    assert "440303" in visitor.get("/roles").text
    assert visitor.send("/roles", **about, take="1").status_code == 302

    with visitor.scene.database.reading() as session:
        made = session.scalars(sa.select(RoleGrant).where(RoleGrant.role == "call_centre"))
        assert {row.revoked_by for row in made if row.scope_ref == "440303"} == {"user:admin"}
        actors = session.scalars(sa.select(Audit.actor).where(Audit.action == "user.granted"))
        assert "user:admin" in set(actors)


def test_refused_roles_say_why(visitor: Visitor) -> None:
    """Nobody raises himself; a role is given over what it is for; the last administrator stays."""
    visitor.come_as("admin")
    for form, says in (
        ({"user": "admin", "role": "staff", "kind": "all"}, "不能给自己授权"),
        ({"user": "staff", "role": "leader", "kind": "all"}, "leader 的范围须为 site"),
        ({"user": "nobody", "role": "staff", "kind": "all"}, "没有这个用户"),
        ({"user": "staff", "role": "leader", "kind": "site", "ref": "x"}, "x 不是编号"),
    ):
        answer = visitor.send("/roles", **form)
        assert answer.status_code == 422, form
        assert says in answer.text


def code_of(visitor: Visitor, organisation_id: int) -> str:
    """Return the code of an organisation."""
    with visitor.scene.database.reading() as session:
        return session.get_one(Organisation, organisation_id).code
