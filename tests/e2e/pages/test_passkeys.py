# SPDX-License-Identifier: Apache-2.0
"""A passkey made and used by Chromium, its authenticator a virtual one of the browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from server.app import build_app
from tests.e2e.pages.browser import serving
from tests.unit.server.portal import scene as town
from tests.unit.server.portal.scene import Scene

pytestmark = pytest.mark.browser


def give_authenticator(page: Page) -> None:
    """Build an authenticator into the browser that keeps passkeys and verifies its user."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
        "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def press(page: Page, selector: str) -> None:
    """Press a button and wait until the page that follows is there whole."""
    with page.expect_navigation(wait_until="load"):
        page.click(selector)


def test_staff_register_a_passkey_and_come_in_with_it(browser: Browser, scene: Scene) -> None:
    """From the password to the passkey, out, and in again with nothing typed."""
    with serving(build_app(scene.runtime)) as address:
        host = address.replace("127.0.0.1", "localhost")
        page = browser.new_context(locale="zh-CN").new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda told: complaints.append(told.text))
        give_authenticator(page)
        page.goto(f"{host}/sign-in/desk")
        page.fill("#name", "staff")
        page.fill("#secret", town.STAFF_PASSWORD)
        press(page, "main button[type=submit]")
        page.goto(f"{host}/passkeys")
        page.fill("#name", "前台电脑")
        press(page, "form[data-passkey] button[type=submit]")
        assert "前台电脑" in page.locator("main").inner_text()
        press(page, "nav form button")

        page.goto(f"{host}/sign-in/desk/passkey")
        press(page, "form[data-passkey] button[type=submit]")

        assert page.url == f"{host}/terminals"
        page.goto(f"{host}/sessions")
        assert "用通行密钥" in page.locator("main").inner_text()
        page.context.close()
    assert complaints == []
