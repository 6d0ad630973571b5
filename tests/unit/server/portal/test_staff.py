# SPDX-License-Identifier: Apache-2.0
"""The staff's pages: terminals, look-up, a card reported lost."""

from __future__ import annotations

import json
import re

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from server.fleet.models import FleetHistory, FleetStatus
from server.people.models import Audit, Card
from server.portal.services.fleet import gaps_between, read_terminals
from server.terminals.models import Terminal
from tests.unit.server.portal import scene as town
from tests.unit.server.portal.conftest import Visitor
from tests.unit.server.portal.scene import NOW_MS, Scene


def test_terminals_show_contact_unsent_gaps_and_module(scene: Scene) -> None:
    """Each terminal tells when it spoke last, what it holds, what is missing, how it is secured."""
    rows = {row.title: row for row in read_terminals(scene.database, NOW_MS)}

    assert rows["care-1"].unsent == 0
    assert (rows["care-2"].gaps, rows["care-2"].missing) == ([(31, 33)], 3)
    assert rows["care-2"].psam == "software"
    assert rows["care-1"].psam == "hardware"
    assert [row.title for row in rows.values() if row.silent] == ["library-1"]
    assert rows["library-2"].last_contact is None


def test_terminals_page_names_what_it_shows(visitor: Visitor) -> None:
    """The page says it in words."""
    visitor.come_as("staff")
    text = visitor.get("/terminals").text

    for part in ("care-2", "缺 3 条", "31–33", "久无联系", "软件，最高 B 级", "待批准", "从未联系"):
        assert part in text


@given(st.sets(st.integers(1, 60)))
def test_gaps_are_exactly_the_numbers_below_the_highest_that_are_not_stored(
    stored: set[int],
) -> None:
    """Runs and gaps together cover one to the highest number, each number once."""
    runs = [(number, number) for number in stored]

    missing = {n for first, last in gaps_between(runs) for n in range(first, last + 1)}

    assert missing == set(range(1, max(stored, default=0) + 1)) - stored


def test_look_up_leads_to_a_masked_page(visitor: Visitor) -> None:
    """Staff find a volunteer by number and see masked name, number and cards."""
    visitor.come_as("staff")
    number = visitor.scene.numbers["li"]

    found = visitor.send("/volunteers", number=number)
    text = visitor.get(found.location).text

    assert "李**" in text
    assert number not in text
    assert number not in found.location
    assert "李国强" not in text


def test_page_of_a_volunteer_leads_to_history_and_desk(visitor: Visitor) -> None:
    """From the look-up staff go on to the whole history and to the desk's page of each card."""
    visitor.come_as("staff")
    found = visitor.send("/volunteers", number=visitor.scene.numbers["li"])
    text = visitor.get(found.location).text
    ways = [f"{found.location}/history", *re.findall(r"/desk/cards/\d+", text)]

    assert len(ways) > 1
    assert f'href="{ways[0]}"' in text
    assert {visitor.get(way).status_code for way in ways} == {200}


def test_look_up_is_recorded_found_or_not(visitor: Visitor) -> None:
    """Who looked for whom is on the audit trail, also when nobody was found."""
    visitor.come_as("staff")
    visitor.send("/volunteers", number=visitor.scene.numbers["li"])
    missing = visitor.send("/volunteers", number="0000009990")

    with visitor.scene.database.reading() as session:
        lines = session.scalars(
            sa.select(Audit).where(Audit.action == "volunteer.looked-up").order_by(Audit.id)
        ).all()
        facts = [(line.actor, line.detail["found"]) for line in lines]

    assert missing.status_code == 404
    assert facts == [("user:staff", True), ("user:staff", False)]


def test_page_of_a_volunteer_is_recorded_when_it_is_opened(visitor: Visitor) -> None:
    """Opening the page by its address leaves a line on the audit trail as well."""
    visitor.come_as("staff")
    visitor.get(f"/volunteers/{visitor.scene.ids['wang']}")

    with visitor.scene.database.reading() as session:
        lines = session.scalars(sa.select(Audit).where(Audit.action == "volunteer.viewed")).all()
        facts = [(line.actor, line.subject) for line in lines]

    assert facts == [("user:staff", f"volunteer:{visitor.scene.numbers['wang']}")]


def test_lost_card_is_blocked_with_its_reason(visitor: Visitor) -> None:
    """The report blocks the card from now on and keeps who said why."""
    ids = visitor.scene.ids
    visitor.come_as("staff")
    address = f"/volunteers/{ids['li']}/cards/{ids['card-li']}/lost"

    answer = visitor.send(address, reason="电话挂失，已核对身份")

    assert answer.status_code == 302
    with visitor.scene.database.reading() as session:
        card = session.get_one(Card, ids["card-li"])
        state = (card.state, card.revoked_ms, card.reason)
    assert state == ("lost", town.NOW_MS, "电话挂失，已核对身份")
    assert "已挂失" in visitor.get(f"/volunteers/{ids['li']}").text


def test_lost_card_needs_a_reason(visitor: Visitor) -> None:
    """Without a reason nothing is blocked."""
    ids = visitor.scene.ids
    visitor.come_as("staff")

    answer = visitor.send(f"/volunteers/{ids['li']}/cards/{ids['card-li']}/lost", reason="x")

    assert answer.status_code == 422
    with visitor.scene.database.reading() as session:
        assert session.get_one(Card, ids["card-li"]).state == "active"


def test_card_of_somebody_else_is_not_found(visitor: Visitor) -> None:
    """A card is reported under its own holder only."""
    ids = visitor.scene.ids
    visitor.come_as("staff")

    assert visitor.get(f"/volunteers/{ids['li']}/cards/{ids['card-zhang']}/lost").status_code == 404
    assert visitor.get("/volunteers/999999").status_code == 404


def test_a_terminal_s_page_shows_what_it_said(visitor: Visitor) -> None:
    """Status, alarms and the way to both from the list; a terminal without status says so."""
    scene = visitor.scene
    with scene.database.writing() as session:
        terminal = session.scalars(sa.select(Terminal).where(Terminal.name == "care-1")).one()
        text = json.dumps(
            {"boot": 3, "uptime_s": 60, "unsent": 7, "version": "0.2.0", "reader": "missing",
             "psam": "ok", "disk_used_percent": 41, "temperature_c": 48.5, "rss_mb": 61.8}
        )  # fmt: skip
        told = {"terminal_id": terminal.id, "received_ms": NOW_MS - 60_000, "body": text}
        session.add(FleetStatus(boot=3, uptime_s=60, **told))
        session.add(FleetHistory(**told))
        number = terminal.id
    visitor.come_as("staff")

    listed = visitor.get("/terminals").text
    page = visitor.get(f"/terminals/{number}").text

    assert f"/terminals/{number}" in listed
    for part in ("读卡器故障", "0.2.0"):
        assert part in listed
        assert part in page
    for part in ("48.5", "61.8", "磁盘占用", "近况"):
        assert part in page
    assert visitor.get("/terminals/999999").status_code == 404
    silent = next(row for row in read_terminals(scene.database, NOW_MS) if row.id != number)
    assert "还没有报告过状态" in visitor.get(f"/terminals/{silent.id}").text
