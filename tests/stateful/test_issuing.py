# SPDX-License-Identifier: Apache-2.0
"""Random applicants, staff, bank, losses and clocks: no card gets lost between the chairs.

YIKA_EXAMPLES=2000 looks longer than the suite does.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.orm import Session

from server.errors import Refused
from server.issuing import branches, dates, dues, services
from server.issuing.branches import Branch
from server.issuing.checking import violations
from server.issuing.models import CardOrder, CardStep, Deregistration, VestOrder
from server.issuing.policy import EVENTS, FINAL, REISSUE_REQUESTED, SOURCES
from server.issuing.services import CardEvent, Detail, NewOrder
from server.people.models import Card, Volunteer
from server.people.policy import card_serial, volunteer_number
from server.people.services import CardReport, report_card
from tests.throwaway import open_unsynced
from tests.unit.server.issuing.people import BANK, BRANCH, DAY_MS, MONDAY, OTHER_BANK, OTHER_BRANCH

EXAMPLES = int(os.environ.get("YIKA_EXAMPLES", "12"))
PEOPLE = 3
STEPS = 30
SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    print_blob=True,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
# Written by hand beside the code: the straight way, so that random walks come far.
NEXT = {
    "exported": "produced", "produced": "audited", "audited": "arrived", "arrived": "collected",
    "announced": "collected", "collected": "activated",
}  # fmt: skip
NEXT_OWN = {"ordered": "produced", "produced": "collected", "collected": "activated"}


class Issuing(RuleBasedStateMachine):
    """A few volunteers, one bank with two branches, staff, a clock."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.path = self.template.with_name(f"model-{id(self)}.db")
        shutil.copy(self.template, self.path)
        self.database = open_unsynced(f"sqlite:///{self.path}")
        self.session = Session(self.database.engine)
        self.now_ms = MONDAY
        self.causes = 0
        self.serial = 1_000
        self.ordered = False
        opened = dt.date(2020, 1, 1)
        both = [Branch(BANK, code, code, opened) for code in (BRANCH, OTHER_BRANCH)]
        branches.load(self.session, both, "test", self.now_ms)
        self.people = [self._volunteer(number) for number in range(1, PEOPLE + 1)]

    def _volunteer(self, sequence: int) -> int:
        person = Volunteer(
            number=volunteer_number(sequence), sealed_name=b"", sealed_birth=b"",
            masked_name="王**", created_ms=MONDAY, secret_hash="", secret_kind="code",
        )  # fmt: skip
        self.session.add(person)
        self.session.flush()
        return person.id

    def _orders(self) -> list[CardOrder]:
        self.session.flush()
        return list(self.session.scalars(sa.select(CardOrder).order_by(CardOrder.id)))

    def _tell(self, order: CardOrder, event: str, source: str, **more: Any) -> str:
        self.causes += 1
        told = CardEvent(
            order.order_no, event, self.now_ms, f"file:F{self.causes}:1", source, "test", None,
            Detail(**more),
        )  # fmt: skip
        return services.apply(self.session, told, self.now_ms).code

    @rule(
        who=st.integers(0, PEOPLE - 1),
        kind=st.sampled_from(("own", "bank", "bank")),
        carrier=st.sampled_from(("debit", "credit")),
        branch=st.sampled_from((BRANCH, OTHER_BRANCH)),
        reason=st.sampled_from(("FIRST", "FIRST", "FIRST", "EXPIRY", "DAMAGED", "LOST")),
    )
    def ask_at_the_desk(self, who: int, kind: str, carrier: str, branch: str, reason: str) -> None:
        """Staff order a card; what the rules refuse leaves nothing behind."""
        wanted = NewOrder(
            self.people[who], kind, reason, carrier if kind == "bank" else None,
            branch if kind == "bank" else None, cause_ref="desk",
        )  # fmt: skip
        try:
            made = services.order(self.session, wanted, "test", self.now_ms)
        except Refused:
            return
        self.ordered = True
        self._judge(made, wanted)

    @precondition(lambda self: self.ordered)
    @rule(limit=st.integers(1, 5))
    def export(self, limit: int) -> None:
        """The server writes a production file."""
        lines = services.ready_for_export(self.session, BANK, limit)
        if lines:
            self.causes += 1
            ids = [line.order_id for line in lines]
            services.mark_exported(self.session, ids, f"OUT{self.causes}", self.now_ms)
            self.session.expire_all()

    @precondition(lambda self: self.ordered)
    @rule(pick=st.integers(0, 30), times=st.integers(1, 7))
    def go_the_straight_way(self, pick: int, times: int) -> None:
        """The bank, or the desk with an own card, does what comes next."""
        orders = self._orders()
        order = orders[pick % len(orders)]
        for _ in range(times):
            event = (NEXT if order.kind == "bank" else NEXT_OWN).get(order.state)
            if event is None:
                return
            more = {}
            if event == "produced":
                self.serial += 1
                more = {"asn": card_serial(self.serial)}
            source = "bank" if order.kind == "bank" else "staff"
            assert self._tell(order, event, source, **more) == "applied"

    @precondition(lambda self: self.ordered)
    @rule(
        pick=st.integers(0, 30),
        event=st.sampled_from(EVENTS),
        source=st.sampled_from(SOURCES),
        serial=st.sampled_from((0, 0, 1, 1_001)),
    )
    def say_anything(self, pick: int, event: str, source: str, serial: int) -> None:
        """Anybody says anything of any order."""
        orders = self._orders()
        asn = card_serial(serial) if serial else None
        self._tell(orders[pick % len(orders)], event, source, asn=asn)

    @precondition(lambda self: self.ordered)
    @rule(pick=st.integers(0, 30))
    def cut(self, pick: int) -> None:
        """The bank cuts a card that nobody fetched."""
        orders = self._orders()
        self._tell(orders[pick % len(orders)], "cut_closed", "bank")

    @precondition(lambda self: self.ordered)
    @rule(
        pick=st.integers(0, 30),
        source=st.sampled_from(SOURCES),
        reason=st.sampled_from(("EXPIRY", "DAMAGED", "LOST", "LOST")),
        branch=st.sampled_from((BRANCH, OTHER_BRANCH)),
        id_checked=st.booleans(),
    )
    def ask_for_another(
        self, pick: int, source: str, reason: str, branch: str, id_checked: bool
    ) -> None:
        """A holder asks for a new card, somewhere, with or without a document."""
        orders = self._orders()
        known = {order.id for order in orders}
        old = orders[pick % len(orders)]
        before = old.state
        more = {"reason": reason, "branch": branch, "id_checked": id_checked}
        code = self._tell(old, REISSUE_REQUESTED, source, **more)
        new = [order for order in self._orders() if order.id not in known]
        assert (code == "applied") == (len(new) == 1)
        assert old.state == before
        for order in new:
            self._judge(
                order,
                NewOrder(old.volunteer_id, old.kind, reason, source=source,
                         branch_code=branch, id_checked=id_checked),
            )  # fmt: skip

    def _judge(self, made: CardOrder, wanted: NewOrder) -> None:
        """Read the rule book apart from the code: nothing is made that it refuses."""
        orders = [one for one in self._orders() if one.volunteer_id == made.volunteer_id]
        earlier = [o for o in orders if o.kind == made.kind and o.id < made.id]
        kept = [o for o in earlier if o.state != "cancelled" or self._was_in_hand(o)]
        assert made.price_fen == 0
        if wanted.reason == "FIRST":
            assert not kept
            return
        old = kept[-1]
        assert old.state in ("lost", "damaged", "expired", "cut_closed", "active")
        if old.carrier == "credit":
            assert old.state != "cut_closed"
        if wanted.reason == "EXPIRY":
            assert old.state in ("expired", "active")
            assert old.valid_to is not None
            assert (old.valid_to - dates.local_day(self.now_ms)).days <= 90
            return
        if old.carrier == "credit":
            assert wanted.source == "hotline"
        else:
            assert wanted.id_checked
        if old.carrier == "debit":
            firsts = [o for o in orders if o.kind == "bank"]
            assert made.branch_code == firsts[0].branch_code == wanted.branch_code

    def _was_in_hand(self, order: CardOrder) -> bool:
        reached = self.session.scalars(
            sa.select(CardStep.to_state).where(CardStep.order_id == order.id)
        )
        return "collected" in set(reached)

    @rule(days=st.sampled_from((1, 3, 10, 30, 100, 200, 700)))
    def wait(self, days: int) -> None:
        """Time passes; the worker does what is due, a second time in vain."""
        self.now_ms += days * DAY_MS
        dues.run(self.session, self.now_ms)
        for _ in range(2):  # an expiry may follow from an activation of the same turn
            again = dues.run(self.session, self.now_ms)
        assert again == dues.Turn()

    @precondition(lambda self: self.serial > 1_000)
    @rule(pick=st.integers(0, 10))
    def report_at_a_terminal(self, pick: int) -> None:
        """A card is reported lost past its order."""
        working = self.session.scalars(sa.select(Card).where(Card.state == "active")).all()
        if working:
            card = working[pick % len(working)]
            report_card(self.session, CardReport(card.asn, self.now_ms, "lost"), "x", self.now_ms)

    @rule(who=st.integers(0, 10 * PEOPLE))
    def leave(self, who: int) -> None:
        """Seldom somebody leaves."""
        if who < PEOPLE:
            self._leave(self.people[who])

    def _leave(self, person: int) -> None:
        if self.session.get(Deregistration, person) is None:
            services.deregister(self.session, person, "test", "test", self.now_ms)

    @invariant()
    def nothing_is_wrong(self) -> None:
        """The check finds nothing, and there is one vest a head at most."""
        self.session.flush()
        assert violations(self.session) == []
        vests = self.session.scalars(sa.select(VestOrder.volunteer_id)).all()
        assert len(vests) == len(set(vests))

    def teardown(self) -> None:
        """In the end everybody leaves: each card that was exported is in one final state."""
        try:
            for person in self.people:
                self._leave(person)
            self.nothing_is_wrong()
            assert {order.state for order in self._orders()} <= set(FINAL)
            ends = self.session.execute(
                sa.select(CardStep.order_id, sa.func.count())
                .where(CardStep.to_state.in_(FINAL))
                .group_by(CardStep.order_id)
            ).all()
            exported = set(
                self.session.scalars(
                    sa.select(CardStep.order_id).where(CardStep.event == "exported")
                )
            )
            assert {count for _, count in ends} <= {1}
            assert exported <= {order for order, _ in ends}
            assert OTHER_BANK not in {order.partner for order in self._orders()}
        finally:
            self.session.close()
            self.database.close()
            for path in self.path.parent.glob(f"{self.path.name}*"):
                path.unlink()


def test_every_exported_card_ends_in_exactly_one_final_state(sqlite_template: Path) -> None:
    """I12: whatever people, bank and clock do, no state is without its cause, no card astray."""
    machine = seed(12)(type("Machine", (Issuing,), {"template": sqlite_template}))
    run_state_machine_as_test(machine, settings=SETTINGS)
