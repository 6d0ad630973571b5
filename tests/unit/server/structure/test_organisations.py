# SPDX-License-Identifier: Apache-2.0
"""Organisations one below the other, memberships in several, and the places that follow."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from server.errors import Refused
from server.people.models import Audit, Volunteer
from server.structure import organisations
from server.structure.models import Membership
from server.structure.organisations import DEPTH_MAX, NewOrganisation
from server.structure.rights import Grant, Reach, Scope, may
from server.terminals import places
from tests.unit.server.structure.conftest import NOW_MS, Country, take_in


def test_s01_one_person_of_two_organisations_is_one_volunteer(country: Country) -> None:
    """Registering through two organisations gives one volunteer with two memberships."""
    session = country.session
    person = take_in(session, 1)

    for organisation in (country.district, country.far, country.district):
        organisations.join(session, person.id, organisation, "test", NOW_MS)

    assert session.scalars(sa.select(sa.func.count(Volunteer.id))).one() == 1
    assert session.scalars(sa.select(sa.func.count(Membership.id))).one() == 2
    assert [each.code for each in organisations.memberships(session, person.id)] == ["SZ-FT", "QD"]


def test_manager_of_either_organisation_reaches_the_member(country: Country) -> None:
    """A member of two organisations stands at both, and below the one above."""
    person = take_in(country.session, 1)
    for organisation in (country.district, country.far):
        organisations.join(country.session, person.id, organisation, "test", NOW_MS)
    place = organisations.place_of_volunteer(country.session, person.id)

    for reaching in (country.city, country.district, country.far):
        held = (Grant("org_manager", Scope("organisation", str(reaching))),)
        assert may(held, "volunteers.read", place)
    assert may((Grant("region_manager", Scope("region", "370000")),), "volunteers.read", place)
    assert not may((Grant("region_manager", Scope("region", "320000")),), "volunteers.read", place)


def test_who_leaves_is_out_of_reach_and_stays_on_record(country: Country) -> None:
    """An ended membership gives no place; joining again adds a row, the old one stays."""
    session = country.session
    person = take_in(session, 1)
    organisations.join(session, person.id, country.far, "test", NOW_MS)
    organisations.leave(session, person.id, country.far, "test", NOW_MS + 1)

    assert organisations.place_of_volunteer(session, person.id).organisations == ()
    organisations.join(session, person.id, country.far, "test", NOW_MS + 2)
    assert session.scalars(sa.select(sa.func.count(Membership.id))).one() == 2
    with pytest.raises(Refused, match="member"):
        organisations.leave(session, person.id, country.city, "test", NOW_MS)


def test_sites_follow_their_organisation_and_region(country: Country) -> None:
    """A site lies in its own region, else in that of its organisation; lists are narrowed alike."""
    session = country.session
    park = places.place_of_site(session, country.park)
    pier = places.place_of_site(session, country.pier)

    assert park.regions == ("440304008",)
    assert park.organisations == (country.district, country.city)
    assert pier.regions == ("370200",)
    assert places.place_of_site(session, 999).sites == ()
    for within, expected in (
        (Reach(everywhere=True), [country.park, country.pier]),
        (Reach(regions=frozenset({"440300"})), [country.park]),
        (Reach(regions=frozenset({"370000"})), [country.pier]),
        (Reach(organisations=frozenset({country.city})), [country.park]),
        (Reach(sites=frozenset({country.pier})), [country.pier]),
        (Reach(), []),
    ):
        assert [site.id for site in places.sites_in_reach(session, within)] == expected


def test_lists_of_organisations_are_narrowed(country: Country) -> None:
    """A region or an organisation in reach brings all below it, and nothing else."""
    listed = organisations.listing

    below_city = listed(country.session, Reach(organisations=frozenset({country.city})))
    in_futian = listed(country.session, Reach(regions=frozenset({"440304"})))

    assert [each.code for each in below_city] == ["SZ", "SZ-FT"]
    assert [each.code for each in in_futian] == ["SZ-FT"]
    assert listed(country.session, Reach()) == []


@pytest.mark.parametrize(
    ("new", "code"),
    [
        (NewOrganisation("sz", "小", "s", "440300"), "code"),
        (NewOrganisation("SZ", "深圳", "Shenzhen", "440300"), "code-taken"),
        (NewOrganisation("NEW", " ", "", "440300"), "name-length"),
        (NewOrganisation("NEW", "新", "new", "650100"), "unknown-region"),
        (NewOrganisation("NEW", "新", "new", "440300", "XX"), "unknown-organisation"),
    ],
)
def test_unfit_organisation_is_refused(country: Country, new: NewOrganisation, code: str) -> None:
    """Code, name, region and parent are checked before anything is written."""
    with pytest.raises(Refused) as refused:
        organisations.add(country.session, new, "test", NOW_MS)

    assert refused.value.code == code


def test_tree_has_an_end(country: Country) -> None:
    """Organisations stand at most so many below each other."""
    parent = "SZ"
    for depth in range(1, DEPTH_MAX):
        new = NewOrganisation(f"D{depth}X", "层", "level", "440300", parent)
        parent = organisations.add(country.session, new, "test", NOW_MS).code

    with pytest.raises(Refused, match="levels"):
        organisations.add(
            country.session, NewOrganisation("DEEP", "层", "x", "440300", parent), "test", NOW_MS
        )


def test_organisation_closes_from_below(country: Country) -> None:
    """One with an open organisation below it stays; a closed one takes nobody in."""
    with pytest.raises(Refused, match="below"):
        organisations.close(country.session, "SZ", "test", NOW_MS)

    organisations.close(country.session, "SZ-FT", "test", NOW_MS)
    organisations.close(country.session, "SZ", "test", NOW_MS)

    person = take_in(country.session, 1)
    with pytest.raises(Refused, match="closed"):
        organisations.join(country.session, person.id, country.city, "test", NOW_MS)
    actions = country.session.scalars(sa.select(Audit.action)).all()
    assert actions.count("organisation.closed") == 2
