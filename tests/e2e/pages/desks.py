# SPDX-License-Identifier: Apache-2.0
"""A clerk's computer: a relay with a virtual reader, and a browser at the desk pages."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa
from playwright.sync_api import Page

from card.relay.pairing import Pairing
from card.relay.policy import HOST, Gate, Rate
from card.relay.screening import Log, Policy
from card.relay.serving import Relay, RelayServer, listen
from card.relay.sessions import Sessions, Source
from hardware_mocks.cardos.cos import VirtualCard
from keys.usage import SCHEME_USAGES
from server.app import build_app
from server.config import DeskSection
from server.people.models import Card
from server.people.services import next_card_serial
from server.runtime import Runtime
from tests.e2e.pages.browser import serving
from tests.unit.card.virtual_reader import VirtualReader
from tests.unit.server.portal.scene import STAFF_PASSWORD, Scene

REGISTERED = 4  # serials that the town gave away by hand
PATIENCE_MS = 60_000.0


@dataclass
class Clerk:
    """Somebody at a desk: the browser's page, the reader, what the relay showed and logged."""

    page: Page
    address: str
    relay: str
    scene: Scene
    reader: VirtualReader
    codes: list[str]
    log: list[str] = field(default_factory=list)

    def sign_in(self) -> None:
        """Come in and connect the reader by the code that the relay shows."""
        page = self.page
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{self.address}/sign-in/desk")
        page.fill("#name", "staff")
        page.fill("#secret", STAFF_PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_role("link", name="证卡与银行").click()
        page.wait_for_selector("#pair:not([hidden])")
        page.fill("#code", self.codes[-1])
        page.keyboard.press("Enter")
        page.get_by_text("已连接", exact=True).wait_for()

    def job(self, kind: str, number: str = "") -> None:
        """Ask for a job on the first page of the desk."""
        self.page.goto(f"{self.address}/desk")
        if number:
            self.page.fill("#number", number)
        self.page.get_by_role("button", name=kind).click()
        self.page.wait_for_url("**/desk/jobs/*")

    def start(self) -> None:
        """Press the big button once it can be pressed."""
        self.page.locator("#start:not([disabled])").click()

    def done(self) -> None:
        """Wait until the page says that it is done."""
        self.page.locator(".badge.good", has_text="已完成").wait_for()

    def card_state(self, asn: str) -> str:
        """Return how the server has a card."""
        with self.scene.database.reading() as session:
            return session.scalars(sa.select(Card.state).where(Card.asn == asn)).one()


@dataclass(frozen=True)
class Counter:
    """A server and a relay that belong together: their addresses, the reader, code and log."""

    address: str
    relay: str
    reader: VirtualReader
    codes: list[str]
    log: list[str]


@contextmanager
def counter_at(scene: Scene) -> Iterator[Counter]:
    """Run server and relay; the reader is empty at first."""
    listening = listen(0)
    port = listening.getsockname()[1]
    reader = VirtualReader("virtual:desk")
    codes: list[str] = []
    log: list[str] = []
    told = Log(log.append, lambda: "")
    sessions = Sessions(Source(lambda: [reader.name], lambda _name: reader), Policy.DECLARED, told)
    with serving(build_app(with_desk(scene, port))) as address:
        gate = Gate(frozenset({address}), port)
        rate = Rate(lambda: 0.0, burst=1e6)
        relay = RelayServer(Relay(gate, Pairing(codes.append), sessions, rate), listening)
        thread = threading.Thread(target=relay.run, name="relay")
        thread.start()
        try:
            yield Counter(address, f"http://{HOST}:{port}", reader, codes, log)
        finally:
            relay.end()
            thread.join()


@contextmanager
def clerk_at(page: Page, scene: Scene) -> Iterator[Clerk]:
    """Seat a clerk with a browser page at a counter."""
    with counter_at(scene) as found:
        yield Clerk(page, found.address, found.relay, scene, found.reader, found.codes, found.log)


def blank() -> VirtualCard:
    """Return a blank card."""
    return VirtualCard()


def with_desk(scene: Scene, port: int) -> Runtime:
    """Give the town's server the keys of cards, and pages that look for this relay."""
    store = scene.runtime.store
    for usage in SCHEME_USAGES:
        if not store.has(usage, 1):
            store.generate(usage)
    with scene.database.writing() as session:
        for _ in range(REGISTERED):
            next_card_serial(session)
    config = dataclasses.replace(scene.runtime.config, desk=DeskSection(relay_port=port))
    return dataclasses.replace(scene.runtime, config=config)
