# SPDX-License-Identifier: Apache-2.0
"""A browser, the town of the pages' tests behind a real port, and a page that is watched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Locator, Page

from server.app import build_app
from tests.e2e.pages.browser import chromium, serving
from tests.unit.server.portal.conftest import built_scene, scene
from tests.unit.server.portal.scene import Scene

__all__ = ["built_scene", "scene"]  # fixtures of the pages' other tests, used here too


@dataclass
class Watched:
    """A browser page, the address of the server, and whatever the browser complained of."""

    page: Page
    address: str
    scene: Scene
    complaints: list[str]
    foreign: list[str]

    def open(self, path: str) -> None:
        """Open a page of the server."""
        self.page.goto(self.address + path)

    def sign_in(self, name: str, secret: str, *, desk: bool = False) -> None:
        """Fill in the sign-in form and send it."""
        self.open("/sign-in/desk" if desk else "/sign-in")
        self.page.fill("#name" if desk else "#number", name)
        self.page.fill("#secret", secret)
        self.follow(self.page.locator("main button[type=submit]"))

    def follow(self, link: Locator) -> None:
        """Press a link or a button and wait until the next page has been loaded whole.

        A press alone returns as soon as the request has been sent: whatever is asked of the
        page then may still meet the old one, or an empty document between the two.
        """
        with self.page.expect_navigation(wait_until="load"):
            link.click()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    with chromium() as started:
        yield started


@pytest.fixture
def open_page(browser: Browser, scene: Scene) -> Iterator[Callable[[int], Watched]]:
    """Open watched pages of any width; at the end nothing may have been complained of."""
    opened: list[Watched] = []
    with serving(build_app(scene.runtime)) as address:

        def start(width: int) -> Watched:
            context = browser.new_context(viewport={"width": width, "height": 800}, locale="zh-CN")
            watched = Watched(context.new_page(), address, scene, [], [])
            watched.page.on("console", lambda told: watched.complaints.append(told.text))
            watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
            watched.page.on("request", lambda sent: watched.foreign.append(sent.url))
            opened.append(watched)
            return watched

        yield start
        for watched in opened:
            watched.page.context.close()
    refusals = re.compile(r"status of (401|403|404|422|429)")
    assert [text for one in opened for text in one.complaints if not refusals.search(text)] == []
    assert [url for one in opened for url in one.foreign if not url.startswith(address)] == []
