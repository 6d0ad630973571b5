# SPDX-License-Identifier: Apache-2.0
"""Volunteers, leaders and staff use the pages in a real browser, wide and narrow, by keyboard.

Whatever happens in these tests, the browser may not complain (a blocked style or script would)
and may not ask any other host for anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from server.terminals.models import Psam
from server.worker import derive_and_post, drain
from tests.e2e.pages.conftest import Watched
from tests.unit.server.portal import scene as town

pytestmark = pytest.mark.browser

PHONE, DESK = 360, 1280
NEW_PASSWORD = "清晨六点半的渡轮"

NARROW = """() => {
  const wide = [...document.querySelectorAll("body *")].filter(
    (e) => e.getBoundingClientRect().right > innerWidth + 0.5
      && getComputedStyle(e).position !== "absolute");
  const fits = document.documentElement.scrollWidth <= innerWidth;
  return [fits, wide.map((e) => e.outerHTML.slice(0, 80))];
}"""
UNLABELLED = """() => [...document.querySelectorAll("input:not([type=hidden]), textarea, select")]
  .filter((e) => !e.labels.length && !e.ariaLabel && e.ariaHidden !== "true")
  .map((e) => e.name)"""
FOCUS = """() => {
  const e = document.activeElement;
  return [e.id || e.textContent.trim(), getComputedStyle(e).outlineStyle];
}"""


def check_page(watched: Watched) -> None:
    """Hold what every page owes its readers: no sideways scrolling, labels, one heading."""
    fits, wide = watched.page.evaluate(NARROW)

    assert fits, wide
    assert watched.page.evaluate(UNLABELLED) == []
    assert watched.page.locator("h1").count() == 1
    assert watched.page.locator("main").count() == 1
    assert watched.page.locator("img:not([alt])").count() == 0


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_first_sign_in_to_hours(open_page: Callable[[int], Watched], width: int) -> None:
    """Code, forced new password, hours with reasons, the same in English, sign-out."""
    watched = open_page(width)
    page, scene = watched.page, watched.scene
    watched.open("/")
    check_page(watched)
    watched.sign_in(scene.numbers["chen"], "wrong")
    assert "不正确" in page.locator("[role=alert]").inner_text()
    check_page(watched)

    watched.sign_in(scene.numbers["chen"], scene.codes["chen"])
    assert page.url.endswith("/password")
    check_page(watched)
    watched.open("/me")
    assert page.url.endswith("/password"), "no way around the new password"
    page.fill("#new", NEW_PASSWORD)
    page.fill("#again", NEW_PASSWORD)
    watched.follow(page.locator("main button"))

    assert page.url.endswith("/me")
    assert "1:00" in page.locator(".tile.main").inner_text()
    page.locator("summary").first.click()
    assert page.get_by_text("签到与签退均由您的卡证实。").is_visible()
    check_page(watched)

    watched.follow(page.get_by_role("link", name="English"))
    assert page.locator("h1").inner_text() == "My hours"
    assert page.locator("html").get_attribute("lang") == "en"
    check_page(watched)
    watched.follow(page.get_by_role("button", name="Sign out"))
    watched.open("/me")
    assert "/sign-in" in page.url


def test_sign_in_by_keyboard_alone(open_page: Callable[[int], Watched]) -> None:
    """Tab leads from the skip link through the menu to the form; Enter sends it."""
    watched = open_page(DESK)
    page = watched.page
    watched.open("/sign-in")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS) == ["跳到正文", "solid"]
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS) == ["number", "solid"]

    page.keyboard.type(watched.scene.numbers["zhang"])
    page.keyboard.press("Tab")
    page.keyboard.type(town.ZHANG_PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/me(#|$)"))

    assert page.locator("h1").inner_text() == "我的时长"


def test_reason_opens_by_keyboard(open_page: Callable[[int], Watched]) -> None:
    """The reason of a service opens with Enter when it has the focus."""
    watched = open_page(PHONE)
    watched.sign_in(watched.scene.numbers["zhang"], town.ZHANG_PASSWORD)
    reason = watched.page.locator("summary").first
    reason.focus()

    watched.page.keyboard.press("Enter")

    assert watched.page.locator("details[open] .reasons").is_visible()


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_volunteer_sees_every_state_of_a_service(
    open_page: Callable[[int], Watched], width: int
) -> None:
    """Credited, open, held back, too short and over midnight stand side by side and fit."""
    watched = open_page(width)
    watched.sign_in(watched.scene.numbers["zhang"], town.ZHANG_PASSWORD)
    check_page(watched)

    text = watched.page.locator("main").inner_text()
    for part in ("7:27", "89.4", "未签退", "待处理", "不计时长", "暂计", "次日", "怎么办"):
        assert part in text


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_leader_looks_at_the_site(open_page: Callable[[int], Watched], width: int) -> None:
    """The leader sees who is on duty and opens an exception with its proposal filled in."""
    watched = open_page(width)
    watched.sign_in("leader", town.LEADER_PASSWORD, desk=True)
    page = watched.page
    assert page.locator("h1").inner_text() == "福田敬老院"
    assert "王**" in page.locator("#duty ~ *, section[aria-labelledby=duty]").first.inner_text()
    check_page(watched)

    watched.follow(page.get_by_role("link", name="打开").last)

    assert page.locator("#start").input_value() == "2026-11-20T09:00"
    assert page.locator("#end").input_value() == "2026-11-20T11:00"
    check_page(watched)
    watched.follow(page.get_by_role("button", name="批准这段时长"))
    assert page.locator("#reason-fault").is_visible(), "a decision needs a reason"


def test_forgotten_tap_out_is_approved_and_counts(open_page: Callable[[int], Watched]) -> None:
    """A leader approves the proposed end; the volunteer then reads minutes, grade and reason."""
    leader, volunteer = open_page(PHONE), open_page(DESK)
    scene = leader.scene
    number = town.forget_to_tap_out(scene)
    leader.sign_in("librarian", town.OTHER_LEADER_PASSWORD, desk=True)
    leader.open(f"/sites/{scene.ids['library']}/exceptions/{number}")
    assert leader.page.locator("#end").input_value() == "2026-11-20T17:00"
    leader.page.fill("#end", "2026-11-20T16:40")
    leader.page.fill("#reason", "图书馆管理员看到她待到 16:40")
    leader.follow(leader.page.get_by_role("button", name="批准这段时长"))
    assert "已批准" in leader.page.locator("[role=status]").inner_text()

    drain(scene.database, derive_and_post, town.NOW_MS)
    volunteer.sign_in(scene.numbers["zhao"], scene.codes["zhao"])
    volunteer.page.fill("#new", NEW_PASSWORD)
    volunteer.page.fill("#again", NEW_PASSWORD)
    volunteer.follow(volunteer.page.locator("main button"))

    assert "2:35" in volunteer.page.locator(".tile.main").inner_text()
    assert volunteer.page.locator("td .badge.b").is_visible()
    volunteer.page.locator("summary").first.click()
    assert volunteer.page.get_by_text("图书馆管理员看到她待到 16:40").is_visible()
    check_page(volunteer)


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_staff_find_a_volunteer_and_block_a_card(
    open_page: Callable[[int], Watched], width: int
) -> None:
    """Terminals, look-up, masked page, report of loss with a reason."""
    watched = open_page(width)
    page = watched.page
    watched.sign_in("staff", town.STAFF_PASSWORD, desk=True)
    assert "缺 3 条" in page.locator("main").inner_text()
    check_page(watched)
    watched.follow(page.get_by_role("link", name="义工", exact=True))
    assert page.locator("nav [aria-current=page]").inner_text() == "查询义工"
    check_page(watched)
    page.fill("#number", watched.scene.numbers["li"])
    watched.follow(page.get_by_role("button", name="查询"))
    check_page(watched)
    watched.follow(page.get_by_role("link", name="挂失"))
    check_page(watched)
    page.fill("#reason", "电话挂失，已核对身份")
    watched.follow(page.get_by_role("button", name="挂失此卡"))

    assert "此卡已停用" in page.locator("[role=status]").inner_text()
    assert "已挂失" in page.locator("table").inner_text()


@pytest.mark.parametrize("path", ["/nowhere", "/terminal/1"])
def test_error_page_fits_a_phone(open_page: Callable[[int], Watched], path: str) -> None:
    """An error page is readable on a phone too."""
    watched = open_page(PHONE)
    watched.open(path)

    check_page(watched)
    assert watched.page.locator("h1").inner_text() == "没有这个页面"


def test_narrow_tables_become_cards_with_labels(open_page: Callable[[int], Watched]) -> None:
    """On a phone each cell names its column; for screen readers it stays a table."""
    watched = open_page(PHONE)
    watched.sign_in("staff", town.STAFF_PASSWORD, desk=True)
    cell = watched.page.locator("td[data-label]").first
    label = cell.evaluate("(e) => getComputedStyle(e, '::before').content")

    assert label == '"状态"'
    assert watched.page.get_by_role("table").get_by_role("row").count() == 5


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_long_alarm_fits(open_page: Callable[[int], Watched], width: int) -> None:
    """An alarm in a whole sentence takes a second line on a phone."""
    watched = open_page(width)
    with watched.scene.database.writing() as session:
        session.execute(sa.update(Psam).values(state="quarantined"))
    watched.sign_in("staff", town.STAFF_PASSWORD, desk=True)

    watched.open("/terminals")

    assert "PSAM 已被隔离" in watched.page.locator(".badge.bad").first.inner_text()
    check_page(watched)
