# SPDX-License-Identifier: Apache-2.0
"""Cards by way of the bank: orders out, its files in, messages to holders."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from hardware_mocks.clock import DayClock
from hardware_mocks.day.cycle.joining import CLERK, PARTNER
from hardware_mocks.day.document import ZONE
from hardware_mocks.partner.bank import Bank
from hardware_mocks.partner.wrapping import Ed25519Signer, Wrapping
from keys.custody import KeyStore
from server.applications import services as applications
from server.bank import exporting, partners
from server.bank.folders import Folders
from server.bank.intake import Intake, Outcome, collect
from server.db import Database
from server.issuing import dues
from server.issuing.models import CardOrder
from server.issuing.orders import NewOrder, order
from server.issuing.policy import BANK

REJECTS = 0.03  # the share of cards that the bank cannot make at first
PIECE = 50
SIGNING_SEED = bytes(range(32))  # of a bank that is played
DECLARATION = """
code = "{code}"
name_zh = "中国银行深圳分行（模拟）"
name_en = "Bank of the demonstration"
environment = "production"
profile = "fixed"
kinds = ["RES", "AUD", "ARR", "COL", "CUT", "LOS", "DON", "TXN", "BRA"]

[signature]
suite = "ed25519"
keys = ["{key}"]
"""


@dataclass(slots=True)
class Counter:
    """The bank and the server's side of its folder."""

    database: Database
    store: KeyStore
    clock: DayClock
    intake: Intake
    bank: Bank

    def order_cards(self, but: Collection[int]) -> int:
        """Order a card for everybody who may have one, but for some; return how many."""
        ordered, after = 0, 0
        while True:
            with self.database.writing() as session:
                people = applications.orderable(session, after, PIECE)
                for one in people:
                    if one.volunteer_id in but:
                        continue
                    wanted = NewOrder(
                        one.volunteer_id, BANK, carrier=one.carrier, branch_code=one.branch_code,
                        photo_sha256=one.photo_sha256.hex(),
                    )  # fmt: skip
                    order(session, wanted, CLERK, self.clock.utc_ms())
                    ordered += 1
            if not people:
                return ordered
            after = people[-1].volunteer_id

    def send_orders(self) -> int:
        """Write an order file; the bank takes and checks it; return how many orders it took."""
        self.bank.day = self.today
        exporting.export(self.intake, PARTNER, CLERK)
        return self.bank.take()

    def hear(self, tell: Callable[[], Path | None]) -> Outcome | None:
        """Let the bank send a file, and load it."""
        self.bank.day = self.today
        if tell() is None:
            return None
        return collect(self.intake, PARTNER)[-1]

    def tick(self) -> None:
        """Let the clock do what is due to orders, as the server's worker does."""
        with self.database.writing() as session:
            while any(_done(dues.run(session, self.clock.utc_ms()))):
                pass

    def states(self) -> dict[str, int]:
        """Count the orders in each state."""
        counted = sa.select(CardOrder.state, sa.func.count()).group_by(CardOrder.state)
        with self.database.reading() as session:
            return dict(session.execute(counted).all())

    @property
    def today(self) -> str:
        """Return the day as the bank writes it."""
        return f"{dt.datetime.fromtimestamp(self.clock.utc_ms() / 1000, ZONE):%Y%m%d}"


def open_counter(database: Database, store: KeyStore, clock: DayClock, folder: Path) -> Counter:
    """Declare the bank, and let it know the platform's key."""
    signer = Ed25519Signer(SIGNING_SEED)
    with database.writing() as session:
        declared = DECLARATION.format(code=PARTNER, key=signer.public)
        made, _ = partners.declare(session, store, declared, CLERK, clock.utc_ms())
        signer.platform = made.row.sign_public
    intake = Intake(database, store, Folders(folder), clock)
    home = intake.folders.home(PARTNER)
    bank = Bank(PARTNER, home, Wrapping(signer), rejects=REJECTS)
    return Counter(database, store, clock, intake, bank)


def _done(turn: dues.Turn) -> tuple[int, ...]:
    return (turn.activated, turn.announced, turn.raised, turn.expired, turn.followed)
