# SPDX-License-Identifier: Apache-2.0
"""The desk in a real browser: pair, issue, go on after a cut, replace, block, a box; and intruders.

The browser speaks to a real relay over HTTP; the cards in its reader compute like real ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page

from card.operation import run
from card.volunteer import select
from hardware_mocks.cardos.tear import Tear
from tests.contracts.connection_cards import in_process
from tests.e2e.pages.browser import ARGUMENTS, CHROMIUM, serving
from tests.e2e.pages.desks import Clerk, blank, clerk_at
from tests.unit.server.portal.scene import Scene

pytestmark = pytest.mark.browser

NOT_A_FAULT = re.compile(r"status of (401|403|404|409|410|422)|ERR_CONNECTION_REFUSED")


@pytest.fixture
def clerk(browser: Browser, scene: Scene) -> Iterator[Clerk]:
    """A clerk who has just sat down; at the end the browser may not have complained."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="zh-CN")
    page = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda told: complaints.append(told.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda sent: asked.append(sent.url))
    with clerk_at(page, scene) as found:
        yield found
        context.close()
    assert [text for text in complaints if not NOT_A_FAULT.search(text)] == []
    own = (found.address, found.relay)
    assert [url for url in asked if not url.startswith(own)] == []


def serial(page: Page) -> str:
    """Return the serial that a job's page shows."""
    found = re.search(r"\d{20}", page.locator("main").inner_text())
    assert found is not None
    return found[0]


@pytest.mark.slow
def test_issue_cut_replace_and_block(clerk: Clerk) -> None:
    """One card's life at the desk: made in spite of a cut, read, replaced, the new one blocked."""
    page, reader = clerk.page, clerk.reader
    clerk.sign_in()
    clerk.job("继续", clerk.scene.numbers["zhao"])
    assert "写入 30 条" in page.locator("main").inner_text()
    first = serial(page)

    reader.chip = card = blank()
    card.tear(Tear(commands=60))  # it is pulled in the middle
    clerk.start()
    page.get_by_text("卡片已离开").wait_for()
    again = page.get_by_role("button", name="放回同一张卡，继续")
    again.click()
    clerk.done()
    assert run(select(), in_process(card)).asn.hex() == first
    assert clerk.card_state(first) == "active"
    page.get_by_role("link", name="打印领卡单").click()
    assert first in page.locator(".slip").inner_text()

    clerk.job("读卡")
    clerk.start()
    page.get_by_role("link", name="办理此卡业务").click()
    page.locator("#cause").select_option("LOST")
    page.fill("#replace-reason", "持卡人到场，称在地铁遗失")
    page.get_by_role("button", name="补换卡").click()
    page.locator("#replace-reason-fault").wait_for()
    assert "有效证件" in page.locator("#replace-reason-fault").inner_text()
    page.fill("#replace-reason", "持卡人到场，称在地铁遗失")
    page.locator("[name=id_checked]").check()
    page.get_by_role("button", name="补换卡").click()
    page.wait_for_url("**/desk/jobs/*")
    assert clerk.card_state(first) == "lost", "refused before the new card is made"
    second = serial(page)
    reader.chip = new = blank()
    clerk.start()
    clerk.done()
    assert (clerk.card_state(first), clerk.card_state(second)) == ("replaced", "active")
    assert run(select(), in_process(new)).asn.hex() == second

    clerk.job("读卡")
    clerk.start()
    page.get_by_role("link", name="办理此卡业务").click()
    page.fill("#block-reason", "借给他人使用")
    page.get_by_role("button", name="锁定卡片").click()
    page.wait_for_url("**/desk/jobs/*")
    clerk.start()
    clerk.done()
    assert clerk.card_state(second) == "blocked"
    assert "王" not in "".join(clerk.log)


def test_a_box_is_issued_card_by_card(clerk: Clerk) -> None:
    """Next card, tick, take away, next; the count agrees and the box is closed."""
    page = clerk.page
    clerk.sign_in()
    page.get_by_role("link", name="整盒发卡").click()
    page.fill("#name", "乙盒")
    page.fill("#received", "3")
    page.fill("#numbers", clerk.scene.numbers["zhao"])
    page.get_by_role("button", name="开盒").click()
    clerk.reader.chip = blank()
    clerk.start()
    page.get_by_text("完成，请取走卡片").wait_for()
    clerk.reader.chip = None
    page.wait_for_load_state("load")
    page.locator("#line-1 .badge", has_text="已制卡").wait_for()

    assert re.sub(r"\s", "", page.locator("#stock").inner_text()) == "收到3已发1作废0应剩2"
    page.fill("#counted", "1")
    page.get_by_role("button", name="盘点并结束").click()
    page.locator("#counted-fault").wait_for()
    page.fill("#counted", "2")
    page.get_by_role("button", name="盘点并结束").click()
    page.get_by_text("此盒已盘点结束。").wait_for()


TRY = """async ([relay, token]) => {
  const tried = [];
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const body = JSON.stringify({ reader: "virtual:desk" });
  for (const one of [
    () => fetch(relay + "/v1/status"),
    () => fetch(relay + "/v1/status", { headers: { Authorization: `Bearer ${token}` } }),
    () => fetch(relay + "/v1/reader/connect", { method: "POST", headers, body }),
    () => fetch(relay + "/v1/pair", { method: "POST", mode: "no-cors", body: '{"code":"0"}' }),
  ]) {
    tried.push(await one().then((a) => a.status, () => "no"));
  }
  return tried;
}"""


def test_a_page_of_another_origin_cannot_reach_the_relay(clerk: Clerk) -> None:
    """Not even with a stolen token, nor by a name that was made to lead to this computer."""
    clerk.sign_in()
    clerk.reader.chip = blank()
    token = clerk.page.evaluate("() => sessionStorage.getItem(Object.keys(sessionStorage)[0])")
    evil = Flask("evil")
    evil.add_url_rule("/", "page", lambda: "<h1>evil</h1>")
    rules = [*ARGUMENTS, "--host-resolver-rules=MAP evil.test 127.0.0.1"]
    own = clerk.page.context.browser
    assert own is not None
    other = own.browser_type.launch(executable_path=CHROMIUM, args=rules)
    try:
        with serving(evil) as address:
            page = other.new_page()
            page.goto(address)
            assert page.evaluate(TRY, [clerk.relay, token]) == ["no"] * 4
            port = clerk.relay.rsplit(":", 1)[1]
            answer = page.goto(f"http://evil.test:{port}/v1/status")
            assert answer is not None
            assert answer.status == 421
            rebound = page.evaluate(TRY, ["", token])
            assert set(rebound) <= {421, 0, "no"}
    finally:
        other.close()

    assert clerk.log == [], "no session was begun"
