# SPDX-License-Identifier: Apache-2.0
"""A migrated database with branches of one bank, and volunteers who may get cards."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from keys.custody import KeyStore
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from server.db import Database, to_millis
from server.issuing import branches, services
from server.issuing.branches import Branch
from server.issuing.models import CardOrder
from server.issuing.services import CardEvent, Detail, NewOrder, Result
from server.people import personal, sequences
from server.people.models import SealedPersonKey, Volunteer
from server.people.policy import mask_name, volunteer_number
from server.people.services import next_card_serial
from tests.factories import CHEAP, PASSPHRASE

BANK, OTHER_BANK = "BOC", "ICBC"
BRANCH, OTHER_BRANCH = "0755001", "0755002"
# Monday 2026-11-23, 09:00 in Shenzhen.
MONDAY = to_millis(dt.datetime(2026, 11, 23, 1, tzinfo=dt.UTC))
DAY_MS = 86_400_000


@dataclass
class Town:
    """What the tests of issuing stand on; `now_ms` moves as a test says."""

    database: Database
    store: KeyStore
    now_ms: int = MONDAY
    causes: int = field(default=0)

    def volunteer(self, session: Session, name: str = "王小明") -> Volunteer:
        """Take somebody in, without the one-time code, which would take its time."""
        number = volunteer_number(sequences.next_value(session, sequences.VOLUNTEER))
        known = personal.Identity(name, dt.date(1990, 5, 17))
        key, sealed_name, sealed_birth = personal.seal_identity(self.store, number, known)
        person = Volunteer(
            number=number, sealed_name=sealed_name, sealed_birth=sealed_birth,
            masked_name=mask_name(name), created_ms=self.now_ms, secret_hash="",
            secret_kind="code",
        )  # fmt: skip
        session.add(person)
        session.flush()
        session.add(SealedPersonKey(volunteer_id=person.id, sealed=key, made_ms=self.now_ms))
        session.flush()
        return person

    def order(self, session: Session, volunteer: Volunteer, **changed: object) -> CardOrder:
        """Order a bank card, debit at the first branch if nothing else is said."""
        values: dict[str, object] = {
            "volunteer_id": volunteer.id, "kind": "bank", "carrier": "debit",
            "branch_code": BRANCH,
        }  # fmt: skip
        wanted = NewOrder(**(values | changed))  # type: ignore[arg-type]
        return services.order(session, wanted, "li", self.now_ms)

    def tell(
        self, session: Session, order: CardOrder, event: str, source: str = "bank", **more: object
    ) -> Result:
        """Apply one event with a cause of its own."""
        self.causes += 1
        partner = order.partner if source in ("bank", "hotline") else None
        detail = Detail(**more)  # type: ignore[arg-type]
        told = CardEvent(
            order.order_no, event, self.now_ms, f"file:F{self.causes}:1", source, "li", partner,
            detail,
        )  # fmt: skip
        return services.apply(session, told, self.now_ms)

    def bring(self, session: Session, order: CardOrder, state: str) -> CardOrder:
        """Lead a bank card from wherever it is to a state on the straight way."""
        way = ("exported", "produced", "audited", "arrived", "announced", "collected", "active")
        done = way.index(order.state) + 1 if order.state in way else 0
        for reached in way[done : way.index(state) + 1]:
            if order.state == "ordered" and reached == "exported":
                services.mark_exported(session, [order.id], f"OUT{order.id}", self.now_ms)
                session.refresh(order)
            elif reached == "active":
                assert self.tell(session, order, "activated").ok
            elif reached != "exported":
                asn = {"asn": next_card_serial(session)} if reached == "produced" else {}
                assert self.tell(session, order, reached, **asn).ok
        return order


def found_town(database: Database, folder: Path) -> Town:
    """Open a key store and give the bank its branches."""
    store = FileKeyStore.create(folder / "keys.yks", PASSPHRASE, CHEAP)
    store.generate(KeyUsage.PERSONAL_DATA)
    opened = dt.date(2020, 1, 1)
    with database.writing() as session:
        listed = [
            Branch(BANK, BRANCH, "福田支行", opened),
            Branch(BANK, OTHER_BRANCH, "罗湖支行", opened),
        ]
        branches.load(session, listed, "li", MONDAY)
    return Town(database, store)
