# SPDX-License-Identifier: Apache-2.0
"""The course from application to card in hand, on the day's own server and clock."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from hardware_mocks.cardhost.client import Hand
from hardware_mocks.day import stage
from hardware_mocks.day.cycle import hours, joining, losses
from hardware_mocks.day.cycle.applicants import invent
from hardware_mocks.day.cycle.banking import Counter, open_counter
from hardware_mocks.day.cycle.hours import Door
from hardware_mocks.day.cycle.joining import CLERK, DECIDER, Joined
from hardware_mocks.day.cycle.losses import open_desk
from hardware_mocks.day.document import ZONE
from hardware_mocks.day.play import PostStage
from hardware_mocks.day.stage import HOST, Premises
from keys.custody import KeyStore
from keys.identity import Identity
from server.config import Config, DataSection
from server.db import Database
from server.issuing.events import CardEvent, apply
from server.issuing.models import CardOrder
from server.issuing.policy import BY_STAFF
from server.outbox.models import OutboxMessage
from server.outbox.policy import State
from server.people import queue
from server.phone_cards.services import Signer
from server.terminals import enrolment, services
from terminal.files import HOTLIST
from terminal.provision import provision
from terminal.psam_slot import open_psam
from terminal.transport import HttpTransport

PSAM_NUMBER = bytes.fromhex("594900000003")
TERMINAL_TIMEOUT_S = 60.0
QUIET_TIMEOUT_S = 300.0
LOSSES_MAX, LOSS_EVERY = 5, 20  # one in so many takes a card of ours and loses it
POST = "A"  # where the old cards are presented
LEAVES_EARLY = 50  # every fiftieth comes to the class and to nothing after it
CLASS = ("2026-10-24 14:00", "2026-10-24 15:45")
SERVICE = (("2026-10-25 08:30", "2026-10-25 14:00"), ("2026-10-31 08:30", "2026-10-31 14:00"))

Say = Callable[[str], None]


@dataclass(slots=True)
class CycleFacts:
    """What came of it, counted in the database."""

    applicants: int = 0
    taps: int = 0
    approved: int = 0
    unmet: int = 0
    ordered: int = 0
    rejected: int = 0
    made: int = 0
    told: int = 0
    collected: int = 0
    lost: int = 0
    restored: int = 0
    refused: int = 0
    desk_commands: int = 0
    desk_seconds: float = 0.0
    seconds: float = 0.0

    def differences(self) -> list[str]:
        """Say what is not as it must be."""
        stayed = self.applicants - self.applicants // LEAVES_EARLY
        truths = {
            "whoever served is approved": self.approved == stayed,
            "whoever left early is not": self.unmet == self.applicants - stayed,
            "a card is ordered for each of them": self.ordered + self.lost == self.approved,
            "what the bank rejects is corrected and made": self.made == self.ordered,
            "everybody hears once that the card is there": self.told == self.made,
            "every card is in its holder's hand": self.collected == self.made,
            "the hours stand on every new card": self.restored == self.lost,
            "every old card is refused": self.refused == self.lost,
        }
        return [text for text, holds in truths.items() if not holds]

    def document(self) -> dict[str, float]:
        """Return it for machines; `desk_seconds` is the slowest of the new cards."""
        return {name: round(value, 1) for name, value in dataclasses.asdict(self).items()}


@dataclass(slots=True)
class Cycle:
    """The cycle on its way."""

    premises: Premises
    database: Database
    store: KeyStore
    say: Say
    hand: Hand
    posts: Mapping[str, PostStage]
    facts: CycleFacts = dataclasses.field(default_factory=CycleFacts)

    def play(self, count: int) -> CycleFacts:
        """Play it for so many applicants."""
        started_s = time.monotonic()
        self._leap("2026-10-18 09:00")
        password = joining.open_house(self.database, self._now_ms)
        people = invent(count, joining.BRANCHES)
        joined = joining.take_in(self.database, self.store, people, self._now_ms)
        self.facts.applicants = len(joined)
        self.say(f"申请 {len(joined)} applications")
        self._serve(joined)
        self._leap("2026-11-02 09:00")
        numbers, self.facts.unmet = joining.decide(self.database, self.store, joined, self._now_ms)
        self.facts.approved = len(set(numbers.values()))
        self.say(f"批准 {self.facts.approved} approved, {self.facts.unmet} with conditions unmet")
        losses_due = min(LOSSES_MAX, 1 + len(numbers) // LOSS_EVERY)
        ours = sorted(numbers)[:losses_due]  # they take a card of ours at the desk, and lose it
        self._make_cards(ours)
        self._lose_cards([numbers[one] for one in ours], password)
        self.facts.seconds = time.monotonic() - started_s
        return self.facts

    def _serve(self, joined: list[Joined]) -> None:
        """A class, then two mornings of service, by the codes of electronic cards."""
        door = self._open_door()
        people = [one.volunteer_id for one in joined]
        staying = [one for place, one in enumerate(people, 1) if place % LEAVES_EARLY]
        try:
            for instant in CLASS:
                self.facts.taps += door.all_pass(people, _ms(instant), training=True)
            door.upload()
            self.say(f"培训 class: {len(people)} applicants, in and out")
            for morning in SERVICE:
                for instant in morning:
                    self.facts.taps += door.all_pass(staying, _ms(instant))
                door.upload()
                self.say(f"预备服务 pre-service: {len(staying)} applicants, {morning[0][:10]}")
        finally:
            door.close()
        self._await(lambda: self._count_queue() == 0, "the server derives everybody's hours")

    def _open_door(self) -> Door:
        """Set up a third terminal at a site of its own, enrolled as every other."""
        folder, url = self.premises.folder, f"http://{HOST}:{self.premises.port}"
        with self.database.writing() as session:
            place = services.NewSite("预备义工服务站", "House of applicants")
            site = services.add_site(session, place, CLERK, self._now_ms)
            terminal, token = enrolment.add_terminal(session, "POS C", site.id, CLERK, self._now_ms)
            terminal_id = terminal.id
        soft, data_dir = folder / "psam-c.yks", folder / "terminal-c"
        self.store.export_software_psam(soft, PSAM_NUMBER, self.premises.passphrase)
        psam = open_psam(f"soft:{soft}", self.premises.passphrase)
        provision(data_dir, psam, token, HttpTransport(url, TERMINAL_TIMEOUT_S))
        with self.database.writing() as session:
            enrolment.approve(session, terminal_id, DECIDER, self._now_ms)
        clock = self.premises.clock
        config = Config(data=DataSection(dir=folder / "server"))
        signer = Signer(Identity.load(config.identity_path), config.identity.key_id)
        door = Door(hours.open_door(data_dir, clock, url, psam), psam, clock, self.database, signer)
        door.upload()
        return door

    def _make_cards(self, but: list[int]) -> None:
        counter = open_counter(
            self.database, self.store, self.premises.clock, self.premises.folder / "bank"
        )
        facts = self.facts
        self._leap("2026-11-03 09:00")
        facts.ordered = counter.order_cards(but)
        counter.send_orders()
        self.say(f"制卡 {facts.ordered} orders sent to the bank")
        self._leap("2026-11-16 10:00")
        counter.hear(counter.bank.produce)
        facts.rejected = counter.states().get("correction", 0)
        self._correct(counter)
        self._leap("2026-11-20 10:00")
        counter.bank.rejects = 0.0  # what was corrected can be made
        counter.hear(counter.bank.produce)
        counter.hear(counter.bank.audit)
        self._leap("2026-11-23 09:30")
        counter.hear(counter.bank.arrive)
        facts.made = counter.states().get("arrived", 0) + counter.states().get("announced", 0)
        self.say(
            f"到点 {facts.made} cards at the branches; {facts.rejected} were rejected at first"
        )
        counter.tick()
        self._await(lambda: self._count_told() >= facts.made, "the messages go out")
        facts.told = self._count_told()
        self.say(f"短信 {facts.told} messages sent")
        self._leap("2026-11-25 10:00")
        counter.hear(counter.bank.collect)
        counter.tick()
        facts.collected = counter.states().get("active", 0)
        self.say(f"领取 {facts.collected} cards collected")

    def _lose_cards(self, numbers: list[str], password: str) -> None:
        """Some take a card of our own, lose it, and get the next one at the desk."""
        facts, post = self.facts, self.posts[POST]
        self._leap("2026-12-01 09:00")
        with open_desk(self.premises, self.hand, CLERK, password) as desk:
            new = [
                desk.lose_and_reissue(number, f"{number}-{place}")
                for place, number in enumerate(numbers, 1)
            ]
        facts.lost = len(new)
        facts.restored = sum(one.minutes == self._minutes(one.number) > 0 for one in new)
        facts.desk_commands = max((one.commands for one in new), default=0)
        facts.desk_seconds = max((one.seconds for one in new), default=0.0)
        self.say(f"补发 {facts.lost} cards issued anew at the desk, hours on {facts.restored}")
        kept = stage.data_dir(self.premises.folder, POST) / HOTLIST
        before = kept.read_bytes()
        post.power.switch_on(wall_offset_ms=0)
        post.on = True
        losses.await_hotlist(post, kept, before)
        facts.refused = losses.refused(post, self.hand, [one.old_card for one in new])
        self.say(f"拒收 {facts.refused} old cards refused at terminal {POST}")

    def _minutes(self, number: str) -> int:
        """Return what the ledger holds of somebody."""
        held = sa.text(
            "SELECT coalesce(sum(e.minutes), 0) FROM entry e JOIN account a ON a.id = e.account_id"
            " JOIN volunteer v ON v.id = a.owner WHERE a.kind = 'volunteer' AND v.number = :number"
        )
        with self.database.reading() as session:
            return int(session.scalar(held, {"number": number}) or 0)

    def _correct(self, counter: Counter) -> None:
        """Correct what the bank rejected, and send it again."""
        waiting = sa.select(CardOrder.order_no).where(CardOrder.state == "correction")
        with self.database.writing() as session:
            for order_no in session.scalars(waiting).all():
                event = CardEvent(
                    order_no, "corrected", self._now_ms, source=BY_STAFF, actor=CLERK,
                    cause_ref=f"page:correct:{order_no}",
                )  # fmt: skip
                apply(session, event, self._now_ms)
        counter.send_orders()

    def _count_queue(self) -> int:
        with self.database.reading() as session:
            return queue.length(session)

    def _count_told(self) -> int:
        told = sa.select(sa.func.count()).where(
            OutboxMessage.kind == "card.arrived", OutboxMessage.state == State.SENT
        )
        with self.database.reading() as session:
            return session.scalar(told) or 0

    def _await(self, done: Callable[[], bool], what: str) -> None:
        limit = time.monotonic() + QUIET_TIMEOUT_S
        while not done():
            if time.monotonic() > limit:
                raise TimeoutError(f"{what}: not within {QUIET_TIMEOUT_S:.0f} s")
            time.sleep(0.1)

    def _leap(self, text: str) -> None:
        self.premises.clock.leap_to(max(self._now_ms, _ms(text)))

    @property
    def _now_ms(self) -> int:
        return self.premises.clock.utc_ms()


def _ms(text: str) -> int:
    """Return the UTC milliseconds of a wall time of the site."""
    return round(dt.datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)
