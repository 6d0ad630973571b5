# SPDX-License-Identifier: Apache-2.0
"""Applicants, staff and bank in a history: the life of bank cards, and invariant I12."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hardware_mocks.world.bank import Bank, wanted
from hardware_mocks.world.faults import demand
from hardware_mocks.world.history import Step
from hardware_mocks.world.stock import APPLICANTS, BRANCH, PARTNER, applicant, stock
from server.errors import Refused
from server.issuing import services
from server.issuing.checking import violations
from server.issuing.models import CardOrder
from server.issuing.policy import FINAL, UNDER_WAY
from server.issuing.services import CardEvent, NewOrder
from server.people.models import Card, Volunteer
from swipe.kinds import BatchKind
from terminal.policy import Say

if TYPE_CHECKING:
    from hardware_mocks.world.world import World

EXPORT_MAX = 100
PAUSE_MS = 150_000  # longer than a duplicate
# What a terminal may answer that cannot use its PSAM, whatever card it is; and what it answers
# a card that was here a moment ago by a clock that a receipt has put right since.
TROUBLE = frozenset(
    {Say.PSAM_FAILED, Say.AGAIN, Say.NOT_SAVED, Say.NO_SERVICE, Say.TO_CHECK, Say.DUPLICATE}
)
_LATEST = (
    sa.select(CardOrder.order_no)
    .join(Volunteer, Volunteer.id == CardOrder.volunteer_id)
    .where(Volunteer.number == sa.bindparam("number"))
    .order_by(CardOrder.id.desc())
    .limit(1)
)
_PERSON = sa.select(Volunteer.id).where(Volunteer.number == sa.bindparam("number"))
_ORDERS = sa.select(CardOrder.order_no, CardOrder.state, CardOrder.asn)
_STANDING = sa.select(Card.asn, Card.state)


class CardLife:
    """Who orders cards, who makes them, and what becomes of them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.office = world.office
        self.bank = Bank(world.office)
        self.left: set[int] = set()
        self.told = 0

    def play(self, step: Step) -> None:
        """Do one step of a card's life."""
        self.told += 1
        _STEPS[step["what"]](self, step)

    def order(self, step: Step) -> None:
        """Staff order a card; the rules may refuse it."""
        now_ms = self.office.clock.utc_ms()
        try:
            with self.office.database.writing() as session:
                person = _person(session, step["who"])
                wish = NewOrder(
                    person, "bank", step["reason"], step["carrier"], BRANCH,
                    id_checked=step["seen"], cause_ref=f"page:order-{self.told}",
                )  # fmt: skip
                services.order(session, wish, "li", now_ms)
        except Refused:
            self.world.counted["orders refused"] += 1

    def export(self, _step: Step) -> None:
        """All that waits goes out to the bank in one file."""
        now_ms = self.office.clock.utc_ms()
        with self.office.database.writing() as session:
            lines = services.ready_for_export(session, PARTNER, EXPORT_MAX)
            if lines:
                ids = [line.order_id for line in lines]
                services.mark_exported(session, ids, f"ORD{self.told:04d}", now_ms)
        self.bank.take(lines)

    def file(self, step: Step) -> None:
        """The bank works on, and its file has its fate."""
        self.bank.work(step["steps"], cut=step.get("cut", False))
        self.bank.send(step["fate"])

    def late(self, _step: Step) -> None:
        """Files that were lost turn up."""
        self.bank.late()

    def report(self, step: Step) -> None:
        """Staff or hotline say what happened to somebody's card."""
        order_no, now_ms = self._latest(step["who"]), self.office.clock.utc_ms()
        if order_no is None:
            return
        if step["source"] == "hotline":
            self.bank.tell(order_no, step["event"], "hotline")
            return
        event = CardEvent(order_no, step["event"], now_ms, f"desk:{self.told}", "staff", "li")
        with self.office.database.writing() as session:
            services.apply(session, event, now_ms)

    def wish(self, step: Step) -> None:
        """The bank hands in that somebody wants a new card."""
        order_no = self._latest(step["who"])
        if order_no is None:
            return
        detail = wanted(step["reason"], seen=step["seen"])
        self.bank.tell(order_no, "reissue_requested", step["source"], detail)
        if step.get("twice"):
            self.bank.deliver(self.bank.files[-1])

    def leave(self, step: Step) -> None:
        """Somebody does not want to be a volunteer any more."""
        who, now_ms = step["who"], self.office.clock.utc_ms()
        if who in self.left:
            return
        self.left.add(who)
        with self.office.database.writing() as session:
            person = _person(session, who)
            services.deregister(session, person, "moves away", "li", now_ms)

    def tap(self, step: Step) -> None:
        """Somebody lays a card of the bank's down, whatever it is worth."""
        chips = [card.chip for card in self.bank.made if card.chip is not None and card.done]
        if chips:
            number = chips[step["card"] % len(chips)]
            self.world.tap({"do": "tap", "box": step["box"], "card": number})

    def _latest(self, who: int) -> str | None:
        with self.office.database.reading() as session:
            return session.scalar(_LATEST, {"number": applicant(who)})

    def judge(self) -> None:
        """Hold every card that was ever ordered against what became of it (I12)."""
        self.bank.late()
        self._nothing_twice()
        self._sound()
        self._arrived()
        self._refused_at_terminals()
        for _order_no, state, _asn in self._orders():
            self.world.counted[f"orders {state}"] += 1
        for who in range(APPLICANTS):
            self.leave({"who": who})
        self.bank.all_again(name="-anew")
        self._sound()
        for order_no, state, _asn in self._orders():
            demand(state in FINAL, "I12", f"order {order_no} ends {state} though all have left")

    def _nothing_twice(self) -> None:
        """Everything handed in again changes no order of which every line was used before."""
        open_still = {order_no for order_no, _cause in self.bank.refused}
        before = {order_no: state for order_no, state, _asn in self._orders()}
        self.bank.all_again()
        for order_no, state, _asn in self._orders():
            was = before.get(order_no, state)
            # A card that has waited for its successor is replaced with the successor's lines.
            same = was == state or order_no in open_still or (state == "replaced" and open_still)
            demand(same, "I12", f"order {order_no} was {was}, handed in again it is {state}")

    def _sound(self) -> None:
        with self.office.database.reading() as session:
            wrong = violations(session)
        demand(not wrong, "I12", "; ".join(str(one) for one in wrong[:3]))

    def _orders(self) -> list[tuple[str, str, str | None]]:
        with self.office.database.reading() as session:
            found = session.execute(_ORDERS)
            return [(row.order_no, row.state, row.asn) for row in found]

    def _arrived(self) -> None:
        """What the bank has done with a card is known, however its files came."""
        known = {order_no: (state, asn) for order_no, state, asn in self._orders()}
        for card in self.bank.made:
            state, asn = known[card.order_no]
            if state == "cancelled" or card.chip is None:
                continue
            serial = stock().serials[card.chip].hex()
            demand(asn == serial or not card.done, "I12", f"order {card.order_no} has card {asn}")
            if card.cut:
                demand(state == "cut_closed", "I12", f"{card.order_no} was cut and is {state}")
            elif card.done == 6:
                demand(state not in UNDER_WAY, "I12", f"{card.order_no} works and is {state}")

    def _refused_at_terminals(self) -> None:
        """After a sync a card that is listed is refused, and one that works is not (I12)."""
        with self.office.database.reading() as session:
            standing = {row.asn: row.state for row in session.execute(_STANDING)}
        for box in (box for box in self.world.boxes if box.running is not None):
            if self.world.book(box).waived or box.sync(BatchKind.LIVE, everything=True):
                continue
            for card in self.bank.made:
                state = standing.get("" if card.chip is None else stock().serials[card.chip].hex())
                if card.chip is None or state is None:
                    continue
                self.world.time.pass_ms(PAUSE_MS)
                outcome = self.world.present(box, card.chip, {"do": "tap", "box": box.number})
                if outcome is None or outcome.say in TROUBLE:
                    continue
                refused = outcome.say is Say.HOTLISTED
                self.world.counted["issued cards refused" if refused else "issued cards taken"] += 1
                demand(
                    refused == (state != "active"),
                    "I12",
                    f"card {card.chip} is {state}, the terminal says {outcome.say.name}",
                )


def _person(session: Session, who: int) -> int:
    found = session.scalar(_PERSON, {"number": applicant(who)})
    assert found is not None
    return found


_STEPS: dict[str, Callable[[CardLife, Step], None]] = {
    "order": CardLife.order,
    "export": CardLife.export,
    "file": CardLife.file,
    "late": CardLife.late,
    "report": CardLife.report,
    "wish": CardLife.wish,
    "leave": CardLife.leave,
    "tap": CardLife.tap,
}
