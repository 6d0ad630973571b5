# SPDX-License-Identifier: Apache-2.0
"""Rights: the table is whole, refusal is the default, scopes cover what they say."""

from __future__ import annotations

import pytest

from server.people.models import ROLES
from server.structure.rights import (
    MATRIX,
    RIGHTS,
    SCOPES_OF,
    Grant,
    Place,
    Scope,
    has,
    may,
    reach,
    roles_with,
)

SHENZHEN = Place(sites=(7,), organisations=(1, 4), regions=("440304001",))
EVERYWHERE = Scope("all")


def test_table_names_every_role_and_no_unknown_right() -> None:
    """Each role has a row and scopes; each right in a row is described."""
    assert set(MATRIX) == set(ROLES) == set(SCOPES_OF)
    assert all(row <= set(RIGHTS) for row in MATRIX.values())


def test_every_right_is_held_by_somebody() -> None:
    """No right is there that nobody could ever use."""
    assert set().union(*MATRIX.values()) == set(RIGHTS)


@pytest.mark.parametrize("right", sorted(RIGHTS))
def test_without_a_grant_nothing_is_allowed(right: str) -> None:
    """Nobody may do anything anywhere unless a grant says so."""
    assert not may((), right, SHENZHEN)
    assert not may((), right, Place())
    assert not may((Grant("nobody", EVERYWHERE),), right, SHENZHEN)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("right", sorted(RIGHTS))
def test_a_role_has_the_rights_of_its_row_and_no_other(role: str, right: str) -> None:
    """Over everything, a role allows what its row says; over nothing it allows nothing."""
    expected = right in MATRIX[role]

    assert may((Grant(role, EVERYWHERE),), right, SHENZHEN) is expected
    assert has((Grant(role, EVERYWHERE),), right) is expected
    assert not may((Grant(role, Scope("region", "370000")),), right, SHENZHEN)


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        (Scope("site", "7"), True),
        (Scope("site", "8"), False),
        (Scope("site", ""), False),
        (Scope("organisation", "1"), True),
        (Scope("organisation", "2"), False),
        (Scope("region", "440000"), True),
        (Scope("region", "440300"), True),
        (Scope("region", "440305"), False),
        (Scope("region", ""), False),
        (Scope("partner", ""), False),
        (Scope("?", "7"), False),
    ],
)
def test_scope_covers_what_lies_in_it(scope: Scope, covered: bool) -> None:
    """A scope covers its site, its organisation and region with all below, and no more."""
    held = (Grant("admin", scope),)

    assert may(held, "reports.read", SHENZHEN) is covered


def test_partner_sees_its_own_files_only() -> None:
    """A partner's user reaches the place of that partner and no other."""
    held = (Grant("partner", Scope("partner", "bank-one")),)

    assert may(held, "bank.read", Place(partner="bank-one"))
    assert not may(held, "bank.read", Place(partner="bank-two"))
    assert not may(held, "bank.read", Place())
    assert reach(held, "bank.read").partners == {"bank-one"}


def test_reach_joins_the_grants_that_have_the_right() -> None:
    """The reach of a right is the union of its grants; others do not widen it."""
    held = (
        Grant("leader", Scope("site", "7")),
        Grant("org_manager", Scope("organisation", "4")),
        Grant("auditor", EVERYWHERE),
    )

    found = reach(held, "hours.decide")

    assert (found.sites, found.organisations, found.everywhere) == ({7}, {4}, False)
    assert reach(held, "audit.read").everywhere
    assert reach(held, "users.grant").nowhere


def test_misspelt_right_is_an_error() -> None:
    """A page that names a right that does not exist fails when it is written, not when opened."""
    with pytest.raises(ValueError, match="no right"):
        roles_with("hours.decid")
