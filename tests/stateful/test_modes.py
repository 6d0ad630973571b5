# SPDX-License-Identifier: Apache-2.0
"""Any order of keys, cards and power cuts at one terminal: no tap is lost, none counts twice."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.tear import Moment, Tear
from swipe import payloads
from swipe.event import Event
from swipe.kinds import EventType, Result
from terminal.modes.policy import Stage, Use
from tests.integration.terminal.bench import Bench, asn, issue, keys_in, software_psam
from tests.integration.terminal.post import HELPER, LEADER, PIN, Post, configure

PEOPLE = (1, 2, 3)
MINOR = 11
BORN = dt.date(2014, 1, 1)
EXAMPLES, STEPS = 15, 30  # some seconds; a long search raises both
DUPLICATE_S, UNDO_S = 60, 10
PRESENCE = {EventType.IN, EventType.OUT, EventType.AUTO, EventType.SWITCH}
ANSWERS = PRESENCE | {EventType.TRAINING, EventType.GUARDIAN, EventType.REJECTED, EventType.TORN}
INVITES = "撤销请按2"
OPENS_CARD = 0x50  # INITIALIZE FOR PURCHASE


@cache
def ground() -> Path:
    """Return a folder with keys and a PSAM for all runs of this process."""
    folder = Path(tempfile.mkdtemp(prefix="modes-"))
    software_psam(folder, keys_in(folder))
    return folder


class Modes(RuleBasedStateMachine):
    """A terminal, its people, a leader and a helper, and somebody who plays with the keys."""

    @initialize()
    def begin(self) -> None:
        """Open a terminal with everybody's cards."""
        store = keys_in(ground())
        self.folder = Path(tempfile.mkdtemp(prefix="post-"))
        self.post = Post(Bench(self.folder / "t", store, software_psam(ground(), store)))
        configure(self.post)
        self.cards: dict[int, VirtualCard] = {
            number: issue(store, number, BORN if number == MINOR else None)
            for number in (*PEOPLE, MINOR, LEADER, HELPER)
        }
        self.seen = len(self.post.events())
        self.undone: set[int] = set()
        self.answered: int | None = None  # whose card the terminal spoke of last, in this start

    def news(self) -> list[Event]:
        """Return the events since the last look."""
        events = self.post.events()
        fresh, self.seen = events[self.seen :], len(events)
        return fresh

    @rule(number=st.sampled_from((*PEOPLE, MINOR)), seconds=st.integers(0, 100))
    def lay_down(self, number: int, seconds: int) -> None:
        """Somebody taps: exactly one answer is recorded, unless a key has asked for the card."""
        wish, before = self.post.loop.console.use(), self.last_tap(number)
        when = self.post.bench.clock.uptime_ms()
        text, self.answered = self.post.tap(self.cards[number]), number
        if INVITES in text:
            self.invited(number)
        self.post.bench.clock.advance(seconds)
        answers = [e for e in self.news() if e.type in ANSWERS]
        if wish in (Use.QUERY, Use.SHEET):
            assert answers == []
            return
        assert [e.card_asn for e in answers] == [asn(number)]
        (answer,) = answers
        soon = before is not None and when - before.up_total_ms < DUPLICATE_S * 1000
        if soon and answer.type != EventType.GUARDIAN:
            assert answer.type == EventType.REJECTED
            assert answer.result == Result.SUPPRESSED

    @rule(queue=st.lists(st.sampled_from(PEOPLE[:2]), min_size=2, max_size=4))
    def queue_and_undo(self, queue: list[int]) -> None:
        """People tap one right after the other, and the last of them presses key 2."""
        for number in queue:
            self.lay_down(number, 2)
        self.one_key("2")

    @rule(number=st.sampled_from((LEADER, HELPER)))
    def lay_operators_card(self, number: int) -> None:
        """An operator's card asks for a PIN where key 7 was pressed; elsewhere it taps."""
        wish = self.post.loop.console.use()
        self.post.tap(self.cards[number])
        self.answered = number
        answers = [e for e in self.news() if e.type in ANSWERS]
        asked_for = wish in (Use.QUERY, Use.SHEET, Use.OPERATOR)
        assert len(answers) == (0 if asked_for else 1)

    @rule(number=st.sampled_from(PEOPLE), seconds=st.integers(61, 100))
    def pull_off(self, number: int, seconds: int) -> None:
        """A card leaves before anything was promised: nothing counts, and nothing is left open."""
        if self.post.loop.console.use() in (Use.QUERY, Use.SHEET):
            return
        self.cards[number].tear(Tear(ins=OPENS_CARD, moment=Moment.BEFORE_ANSWER))
        self.post.tap(self.cards[number], seconds=seconds)
        self.answered = number
        self.cards[number].tear(None)
        assert not [e for e in self.news() if e.type in PRESENCE]

    @rule(keys=st.text("0123456789yn", min_size=1, max_size=6), seconds=st.integers(0, 12))
    def press(self, keys: str, seconds: int) -> None:
        """Any keys: they never tap, and undo only the tap of whom the screen spoke last, once."""
        for key in keys:
            self.one_key(key)
        self.post.bench.clock.advance(seconds)

    @rule(wrong=st.booleans())
    @precondition(lambda self: self.post.loop.console.panel.stage is Stage.PIN)
    def type_pin(self, *, wrong: bool) -> None:
        """The PIN is typed, right or wrong; it is nowhere afterwards."""
        for key in ("111111" if wrong else PIN) + "y":
            self.one_key(key)
        assert PIN not in repr(self.post.loop.console.panel)

    @rule()
    def cut_power(self) -> None:
        """The power goes and comes back."""
        self.post.cut_power()
        self.answered = None
        configure(self.post)
        self.news()

    @rule(seconds=st.integers(1, 700))
    def wait(self, seconds: int) -> None:
        """Nobody does anything; at most what the terminal notes of itself is recorded."""
        self.post.wait(seconds)
        assert not [e for e in self.news() if e.type in ANSWERS | {EventType.VOID_LAST}]

    def one_key(self, key: str) -> None:
        """Press one key and look at what it did."""
        held = self.post.events()
        now_ms = self.post.bench.clock.uptime_ms()
        self.post.press(key)
        for event in self.news():
            assert event.type not in PRESENCE | {EventType.TRAINING, EventType.GUARDIAN}
            if event.type != EventType.VOID_LAST:
                continue
            seq = payloads.parse(event.type, event.payload)["voided_seq"]
            taps = [e for e in held if e.type in PRESENCE | {EventType.TRAINING}]
            assert key == "2"
            assert seq not in self.undone
            assert seq == taps[-1].seq
            assert now_ms - taps[-1].up_total_ms < UNDO_S * 1000
            assert self.answered is not None
            assert event.card_asn == taps[-1].card_asn == asn(self.answered)
            assert event.boot == taps[-1].boot
            self.undone.add(int(seq))

    def invited(self, number: int) -> None:
        """Hold the screen to its word: key 2 pressed now would undo this person's tap."""
        (last, *_) = [e for e in reversed(self.post.events()) if e.type in PRESENCE]
        assert last.card_asn == asn(number)
        assert last.seq not in self.undone
        assert self.post.bench.clock.uptime_ms() - last.up_total_ms < UNDO_S * 1000

    def last_tap(self, number: int) -> Event | None:
        """Return a person's last tap that still counts."""
        taps = [e for e in self.post.events() if e.card_asn == asn(number)]
        kinds = PRESENCE | {EventType.TRAINING}
        counting = [e for e in taps if e.type in kinds and e.result == Result.OK]
        return counting[-1] if counting and counting[-1].seq not in self.undone else None

    @invariant()
    def numbers_have_no_hole(self) -> None:
        """Every number from 1 on is there once, and nobody is signed on without an OPEN."""
        events = self.post.events()
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        operator = self.post.station.journal.state.operator
        assert operator in (b"", asn(LEADER), asn(HELPER))

    @invariant()
    def something_is_shown(self) -> None:
        """The display always says something in the site's languages."""
        if self.post.shown.screens:
            assert self.post.shown.text.strip()

    def teardown(self) -> None:
        """Put everything away."""
        if hasattr(self, "post"):
            self.post.station.journal.close()
            shutil.rmtree(self.folder)


TestModes = Modes.TestCase
TestModes.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
