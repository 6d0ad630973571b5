# SPDX-License-Identifier: Apache-2.0
"""The volunteer's page: figures, services, reasons, what needs attention."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from server.people.models import Card
from server.portal.display import coins, hours_minutes
from server.portal.services import hours as service
from server.portal.services.hours import month_starts, read_hours
from server.reconciliation.models import ServiceInterval
from tests.unit.server.portal import scene as town
from tests.unit.server.portal.conftest import Visitor
from tests.unit.server.portal.scene import NOW_MS, Scene


def test_minutes_become_hours_and_coins() -> None:
    """60 minutes are 12 coins, 7 minutes 1.4; 448,600 coins are 37,383 hours and 20 minutes."""
    assert (coins(60), coins(7), coins(5)) == ("12.0", "1.4", "1.0")
    assert (coins(2_243_000), hours_minutes(2_243_000)) == ("448,600.0", "37383:20")


def test_total_is_the_ledgers(scene: Scene) -> None:
    """The total on the page is what the ledger says."""
    found = read_hours(scene.database, scene.ids["zhang"], 1, NOW_MS)

    assert found.total_minutes == 447
    assert found.grade_minutes == {"A": 395, "B": 52, "C": 0}


def test_page_shows_figures_rows_and_reasons(visitor: Visitor) -> None:
    """Date, site, activity, in, out, minutes, grade and the reason of each rule are there."""
    visitor.come_as("zhang")
    text = visitor.get("/me").text

    for part in (
        "7:27", "89.4", "2026年10月12日", "福田敬老院", "助餐服务", "09:00 – 12:30", "210",
        "卡离开过早", "卡拿开得太早，证明始终没有补上，因此为 B 级。", "次日", "不计时长",
    ):  # fmt: skip
        assert part in text


def test_page_tells_what_to_do_about_an_exception(visitor: Visitor) -> None:
    """An open exception is shown with its rule, its place and the next step."""
    visitor.come_as("zhang")
    text = visitor.get("/me").text

    assert "需要处理" in text
    assert "忘记签退" in text
    assert "请告诉服务点负责人您实际离开的时间" in text


def test_page_holds_nothing_of_others_and_no_serial(visitor: Visitor) -> None:
    """The page has neither full names nor card serials nor anybody else's record."""
    visitor.come_as("zhang")
    text = visitor.get("/me").text
    with visitor.scene.database.reading() as session:
        serials = list(session.scalars(sa.select(Card.asn)))

    assert "张小梅" not in text
    assert not [asn for asn in serials if asn in text]
    assert "李**" not in text


def test_only_a_closed_day_is_final(scene: Scene) -> None:
    """A service is provisional until every terminal of the site has reported past its day."""
    rows = read_hours(scene.database, scene.ids["zhang"], 1, NOW_MS).intervals
    provisional = {row.day: row.provisional for row in rows}

    assert provisional == {
        town.TODAY: True,
        town.YESTERDAY: True,  # the library's terminal has been silent for two days
        town.TODAY - timedelta(days=40): False,
    }


def test_superseded_rows_are_not_shown(scene: Scene) -> None:
    """A row that reconciliation replaced is history, not part of the page."""
    before = read_hours(scene.database, scene.ids["zhang"], 1, NOW_MS).count
    with scene.database.writing() as session:
        session.execute(
            sa.update(ServiceInterval)
            .where(ServiceInterval.person == scene.ids["zhang"], ServiceInterval.grade == "B")
            .values(current=False)
        )

    assert read_hours(scene.database, scene.ids["zhang"], 1, NOW_MS).count == before - 1


def test_services_come_in_pages(scene: Scene, visitor: Visitor) -> None:
    """A long history is cut into pages, none lost and none shown twice."""
    start = town.at(date(2025, 1, 1), 9)
    with scene.database.writing() as session:
        for number in range(service.PAGE_ROWS * 2):
            at_ms = start + number * 24 * town.HOUR_MS
            session.add(
                town.interval(
                    scene, "zhang", "care", "lunch", start_ms=at_ms, end_ms=at_ms + town.HOUR_MS,
                    minutes=60, grade="A", state="credited", rules="1",
                )
            )  # fmt: skip
    pages = [read_hours(scene.database, scene.ids["zhang"], page, NOW_MS) for page in (1, 2, 3)]

    starts = [row.start for page in pages for row in page.intervals]
    assert len(starts) == len(set(starts)) == pages[0].count
    visitor.come_as("zhang")
    assert "第 2 页，共 3 页" in visitor.get("/me?page=2").text


@pytest.mark.parametrize("asked", ["0", "-1", "x", "99999999999999999999", "1e9"])
def test_senseless_page_numbers_do_no_harm(visitor: Visitor, asked: str) -> None:
    """Whatever is typed as page number, a page comes back."""
    visitor.come_as("zhang")

    assert visitor.get(f"/me?page={asked}").status_code == 200


def test_statistics_equal_a_plain_sum(visitor: Visitor) -> None:
    """The monthly figures are those of a naive sum over the rows, zero months included."""
    visitor.come_as("zhang")
    answer = visitor.get("/me/stats").get_json()
    expected = dict.fromkeys((f"{first:%Y-%m}" for first in month_starts(town.TODAY)), 0)
    with visitor.scene.database.reading() as session:
        for row in session.scalars(
            sa.select(ServiceInterval).where(ServiceInterval.person == visitor.scene.ids["zhang"])
        ):
            expected[f"{row.service_day:%Y-%m}"] += row.credited_minutes

    assert {item["month"]: item["minutes"] for item in answer["months"]} == expected
    assert answer["minutes"] == 447


def test_somebody_without_services_is_told_what_happens_next(visitor: Visitor) -> None:
    """An empty page explains when the first record will come."""
    code = visitor.scene.codes["zhao"]
    visitor.send("/sign-in", number=visitor.scene.numbers["zhao"], secret=code)
    visitor.send("/password", new="清晨六点半的渡轮", again="清晨六点半的渡轮")

    assert "还没有服务记录" in visitor.get("/me").text
