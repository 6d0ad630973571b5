# SPDX-License-Identifier: Apache-2.0
"""The site leader's page: on duty, the queue, and the decision on an exception."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from server.portal.services.duty import read_site
from server.portal.services.hours import read_hours
from server.reconciliation.models import Correction, ReconException, ServiceInterval
from server.timebank.services import post_differences
from tests.unit.server.portal import scene as town
from tests.unit.server.portal.conftest import Visitor
from tests.unit.server.portal.scene import NOW_MS, Scene

REASON = "图书馆管理员看到她待到 16:40"


def approve(visitor: Visitor, number: int, **changes: str) -> str:
    """Let the librarian approve the proposal of an exception; return the status line."""
    form = {
        "decision": "approve", "start": "2026-11-20T14:05", "end": "2026-11-20T16:40",
        "reason": REASON,
    }  # fmt: skip
    address = f"/sites/{visitor.scene.ids['library']}/exceptions/{number}"
    return visitor.send(address, **(form | changes)).status


def test_on_duty_are_those_tapped_in_here_and_not_out(scene: Scene) -> None:
    """Open services of the site are listed with how long, who is a minor, what is too long."""
    site = read_site(scene.database, scene.ids["care"], 1, NOW_MS)

    assert [(p.masked_name, p.minutes, p.minor, p.overlong) for p in site.on_duty] == [
        ("李**", 19 * 60, False, True),
        ("张**", 118, False, False),
        ("王**", 110, True, False),
    ]
    assert (site.terminals, site.terminals_heard) == (2, 1)


def test_a_day_later_nobody_is_on_duty_any_more(scene: Scene) -> None:
    """Who tapped in more than a day ago is a missed tap-out, not somebody on duty."""
    later = NOW_MS + 26 * town.HOUR_MS

    assert read_site(scene.database, scene.ids["care"], 1, later).on_duty == []


def test_queue_holds_the_open_exceptions_of_the_site_oldest_first(scene: Scene) -> None:
    """Each site sees its own exceptions; settled and superseded ones are gone."""
    care = read_site(scene.database, scene.ids["care"], 1, NOW_MS)
    assert [row.rule.number for row in care.queue] == [10, 52]
    with scene.database.writing() as session:
        session.execute(
            sa.update(ReconException).where(ReconException.rule == 10).values(current=False)
        )

    care = read_site(scene.database, scene.ids["care"], 1, NOW_MS)

    assert ([row.rule.number for row in care.queue], care.queue_count) == ([52], 1)


def test_queue_shows_masked_people_only(visitor: Visitor) -> None:
    """The leader's pages hold no full name and no whole number."""
    ids = visitor.scene.ids
    visitor.come_as("leader")
    pages = [
        visitor.get(f"/sites/{ids['care']}").text,
        visitor.get(f"/sites/{ids['care']}/exceptions/{ids['exception-wang']}").text,
    ]

    for text in pages:
        assert "王子轩" not in text
        assert visitor.scene.numbers["wang"] not in text


def test_approved_tap_out_becomes_hours(visitor: Visitor) -> None:
    """A forgotten tap-out counts once the leader approved it, with grade B, and not before."""
    scene = visitor.scene
    number = town.forget_to_tap_out(scene)
    before = read_hours(scene.database, scene.ids["zhao"], 1, NOW_MS)
    visitor.come_as("librarian")

    assert approve(visitor, number) == "302 FOUND"

    with scene.database.writing() as session:
        post_differences(session, [scene.ids["zhao"]], NOW_MS)
    after = read_hours(scene.database, scene.ids["zhao"], 1, NOW_MS)
    assert (before.total_minutes, len(before.attention)) == (0, 1)
    assert (after.total_minutes, len(after.attention)) == (155, 0)
    assert after.grade_minutes == {"A": 0, "B": 155, "C": 0}


def test_decision_is_kept_with_name_and_reason(visitor: Visitor) -> None:
    """Who decided what and why is a row that is never edited."""
    number = town.forget_to_tap_out(visitor.scene)
    visitor.come_as("librarian")
    approve(visitor, number)

    with visitor.scene.database.reading() as session:
        made = session.scalars(sa.select(Correction)).one()
        facts = (made.leader, made.decision, made.reason, made.minutes)

    assert facts == ("user:librarian", "approved", REASON, 155)


def test_rejected_exception_leaves_no_minutes(visitor: Visitor) -> None:
    """A rejection needs a reason only and settles the matter with nothing credited."""
    scene = visitor.scene
    number = town.forget_to_tap_out(scene)
    visitor.come_as("librarian")

    assert approve(visitor, number, decision="reject", start="", end="") == "302 FOUND"

    with scene.database.reading() as session:
        minutes = session.scalars(
            sa.select(ServiceInterval.credited_minutes).where(
                ServiceInterval.person == scene.ids["zhao"], ServiceInterval.current
            )
        ).all()
    assert sum(minutes) == 0
    assert read_site(scene.database, scene.ids["library"], 1, NOW_MS).queue_count == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": ""},
        {"reason": "ok"},
        {"start": ""},
        {"end": "half past five"},
        {"end": "2026-11-20T13:00"},
        {"end": "2026-11-20T17:30"},
        {"start": "2026-11-20T13:00"},
    ],
)
def test_bad_decision_is_refused_and_nothing_changes(
    visitor: Visitor, changes: dict[str, str]
) -> None:
    """Without a reason, with a senseless time or beyond the proposal nothing is decided."""
    number = town.forget_to_tap_out(visitor.scene)
    visitor.come_as("librarian")

    assert approve(visitor, number, **changes).startswith("422")

    with visitor.scene.database.reading() as session:
        assert session.scalars(sa.select(Correction)).all() == []


def test_decision_is_taken_once(visitor: Visitor) -> None:
    """A second decision on the same exception is refused, whoever sends it."""
    number = town.forget_to_tap_out(visitor.scene)
    visitor.come_as("librarian")
    token = visitor.client.get("/site", follow_redirects=True).text.split('csrf_token" value="')[1]
    form = {
        "decision": "approve", "start": "2026-11-20T14:05", "end": "2026-11-20T16:40",
        "reason": REASON, "csrf_token": token.split('"')[0],
    }  # fmt: skip
    address = f"/sites/{visitor.scene.ids['library']}/exceptions/{number}"

    answers = [visitor.client.post(address, data=form).status_code for _ in range(2)]

    assert answers == [302, 422]
    with visitor.scene.database.reading() as session:
        assert len(session.scalars(sa.select(Correction)).all()) == 1


def test_settled_exception_offers_no_decision(visitor: Visitor) -> None:
    """The page of a settled exception says so and has no form for it."""
    number = town.forget_to_tap_out(visitor.scene)
    visitor.come_as("librarian")
    approve(visitor, number)

    text = visitor.get(f"/sites/{visitor.scene.ids['library']}/exceptions/{number}").text

    assert "已经处理过了" in text
    assert "批准这段时长" not in text


def test_volunteer_reads_the_reason_of_the_decision(visitor: Visitor) -> None:
    """What the leader wrote stands beside the service it changed."""
    scene = visitor.scene
    number = town.forget_to_tap_out(scene)
    visitor.come_as("librarian")
    approve(visitor, number)
    hours = read_hours(scene.database, scene.ids["zhao"], 1, NOW_MS)

    assert [row.note for row in hours.intervals] == [REASON]


def test_administrator_sees_every_site(visitor: Visitor) -> None:
    """An administrator stands in for any leader."""
    visitor.come_as("admin")

    assert "福田敬老院" in visitor.get("/sites").text
    assert visitor.get(f"/sites/{visitor.scene.ids['library']}").status_code == 200
    assert visitor.get("/sites/999").status_code == 404
