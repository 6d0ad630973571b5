# SPDX-License-Identifier: Apache-2.0
"""What the card is for: who somebody is, one account across organisations, for the holder alone."""

from __future__ import annotations

from collections import Counter

import sqlalchemy as sa

from server.people.models import Card, Volunteer
from server.people.services import CardReport, report_card
from server.reconciliation.models import ReconException, ServiceInterval
from server.structure.models import Organisation
from server.terminals.models import Site, Terminal
from server.timebank.services import balance
from swipe.kinds import EventType
from tests.factories import UTC_S
from tests.integration.server.rig import NOW_MS, Post, Rig
from tests.integration.server.test_corrections import queue_of
from tests.integration.server.test_hours import derive, new_card

MORNING_S = UTC_S - 8 * 3600
DISTRICTS = ("440304", "440303", "440305")  # Futian, Luohu, Nanshan
LATITUDES_E7 = (225_000_000, 305_000_000)  # 890 km apart


def places(rig: Rig) -> list[Post]:
    """Add an organisation with a site and a terminal in each of three districts."""
    posts = []
    for number, district in enumerate(DISTRICTS, 1):
        post = rig.add_post(900 + number)
        with rig.database.writing() as session:
            owner = Organisation(
                code=f"T{number}", name_zh=f"义工队{number}", name_en=f"Team {number}",
                region=district, created_ms=NOW_MS,
            )  # fmt: skip
            session.add(owner)
            session.flush()
            site = Site(
                name_zh=f"站{number}", name_en=f"Site {number}", tz_q=32, region=district,
                organisation_id=owner.id, config_version=1,
            )  # fmt: skip
            session.add(site)
            session.flush()
            session.get_one(Terminal, post.terminal_id).site_id = site.id
        posts.append(post)
    return posts


def serve(rig: Rig, post: Post, asn: bytes, first: int, hours_s: tuple[int, int]) -> None:
    """Tap in and out at a terminal; `first` is the card's counter."""
    with rig.database.reading() as session:
        site = session.get_one(Terminal, post.terminal_id).site_id
    changes = [
        {
            "card_asn": asn, "card_ctr": first + number, "type": kind, "site": site,
            "utc_s": MORNING_S + at_s, "up_s": at_s + 60,
        }
        for number, (kind, at_s) in enumerate(
            zip((EventType.IN, EventType.OUT), hours_s, strict=True)
        )
    ]  # fmt: skip
    body = post.batch(post.chain(2, rig.store, changes=changes))
    assert rig.put(body, 1, post.terminal_id).status == 200


def test_s02_a_card_tells_who_it_is_and_a_lost_one_is_refused(rig: Rig) -> None:
    """The serial leads to number, masked name and state; reported lost, it is on the hotlist."""
    person, asn = new_card(rig)
    with rig.database.writing() as session:
        card = session.scalars(sa.select(Card).where(Card.asn == asn.hex())).one()
        holder = session.get_one(Volunteer, card.volunteer_id)
        known = (holder.id, len(holder.number), card.state)
        now_ms = rig.clock.utc_ms()
        report_card(session, CardReport(card.asn, now_ms, "掉了"), "li", now_ms)
        after = (card.state, card.reason, card.revoked_ms is not None)

    assert known == (person, 10, "active")
    assert after == ("lost", "掉了", True)


def test_s04_taps_at_three_organisations_come_to_one_account(rig: Rig) -> None:
    """An hour at each of three districts' organisations: their totals sum to the person's."""
    person, asn = new_card(rig)
    for number, post in enumerate(places(rig)):
        begin_s = number * 7_200
        serve(rig, post, asn, 2 * number, (begin_s, begin_s + 3_600))
    derive(rig, [person])

    with rig.database.reading() as session:
        rows = session.execute(
            sa.select(Site.region, Site.organisation_id, ServiceInterval.credited_minutes)
            .join(Site, Site.id == ServiceInterval.site)
            .where(ServiceInterval.person == person, ServiceInterval.current)
        ).all()
        total = balance(session, person)
    by_district: Counter[str] = Counter()
    by_team: Counter[int] = Counter()
    for district, team, minutes in rows:
        by_district[district] += minutes
        by_team[team] += minutes

    assert by_district == dict.fromkeys(DISTRICTS, 60)
    assert len(by_team) == 3
    assert sum(by_team.values()) == sum(by_district.values()) == total == 180


def test_s67_a_card_at_two_distant_places_is_looked_at(rig: Rig) -> None:
    """Twenty minutes for 890 kilometres: both count at most B and a leader looks (rule 21)."""
    person, asn = new_card(rig)
    near, far, _ = places(rig)
    with rig.database.writing() as session:
        for post, latitude in zip((near, far), LATITUDES_E7, strict=True):
            site = session.get_one(Site, session.get_one(Terminal, post.terminal_id).site_id)
            site.lat_e7, site.lon_e7 = latitude, 1_140_000_000
    serve(rig, near, asn, 0, (0, 3_600))
    serve(rig, far, asn, 2, (4_800, 8_400))
    derive(rig, [person])

    assert 21 in {rule for rule, *_ in queue_of(rig, person)}
    with rig.database.reading() as session:
        assert session.scalar(
            sa.select(sa.func.count())
            .select_from(ReconException)
            .where(ReconException.person == person, ReconException.rule == 21)
        )
