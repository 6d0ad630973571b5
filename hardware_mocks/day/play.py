# SPDX-License-Identifier: Apache-2.0
"""Play the steps of the day: cards, keys, cables and power, with eyes on the displays."""

from __future__ import annotations

import collections
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from hardware_mocks.cardhost.client import Hand
from hardware_mocks.clock import DayClock
from hardware_mocks.day.document import clock_text
from hardware_mocks.day.story import Answer, Deed, Step, Tap, moments
from hardware_mocks.keypad import Keypad
from hardware_mocks.lcd import Frame, Lcd
from hardware_mocks.link import Link

# pcscd sees a card after 0.4 s and the tap itself takes a tenth; the rest is for a busy machine.
ANSWER_TIMEOUT_S = 20.0
KEY_TIMEOUT_S = 10.0
QUIET_TIMEOUT_S = 20.0
SOFT_TONES = frozenset("tkn")  # ticks, a click, nothing
DELIVERY_TIMEOUT_S = 30.0
# The uplink looks up every 0.05 s: nobody may be between "now" and the cable when the clock leaps.
BETWEEN_LEAPS_S = 0.25
# A talk pauses while the terminal writes a receipt down; longer stillness is its end.
STILL_S = 0.15
POLL_S = 0.005
IDLE_WORDS = "TAP CARD"
LONG_AGO = float("-inf")


class NotPlayable(RuntimeError):
    """Nobody was told who does what happens besides taps."""

    def __init__(self, step: Step) -> None:
        super().__init__(f"nobody does {step}")


class Power(Protocol):
    """The switch of one terminal."""

    def switch_on(self, *, wall_offset_ms: int) -> None:
        """Start the terminal program."""

    def cut_off(self) -> None:
        """Take the power away."""

    def check(self) -> None:
        """Raise if the program has ended by itself."""


class Light(Protocol):
    """The light of a reader: on while it sees a card."""

    def note_empty(self) -> None:
        """Remember that no card is there yet."""

    def await_removal(self) -> None:
        """Wait until the reader has noticed a card coming and going since then."""


@dataclass(slots=True)
class PostStage:
    """One terminal as a person meets it: slot, display, keys, cable, switch."""

    slot: str
    lcd: Lcd
    keypad: Keypad
    link: Link
    power: Power
    watch: Light
    on: bool = False
    cut: bool = False


@dataclass(slots=True)
class Notebook:
    """What was seen and counted."""

    taps: collections.Counter[str] = field(default_factory=collections.Counter)
    complaints: list[str] = field(default_factory=list)
    replays_identical: int = 0


class Player:
    """Plays steps in order; taps at two terminals at the same second go side by side."""

    def __init__(
        self,
        clock: DayClock,
        hand: Hand,
        posts: dict[str, PostStage],
        say: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._hand = hand
        self._posts = posts
        self._say = say
        self.errands: Callable[[list[Step]], None] = _no_errands
        self._leapt_s = LONG_AGO
        self.notebook = Notebook()

    def play(self, steps: tuple[Step, ...]) -> None:
        """Play the whole day."""
        for utc_ms, group in moments(steps):
            self.leap(utc_ms)
            self._say(_headline(utc_ms, group))
            taps = [step for step in group if isinstance(step.what, Tap)]
            after = {step.post for step in group if step.what is Deed.KILL}
            if taps:
                self._taps(taps, after)
            self.errands(
                [
                    step
                    for step in group
                    if isinstance(step.what, Deed) and not (taps and step.what is Deed.KILL)
                ]
            )

    def await_upload(self, post: str, sent_before: int) -> None:
        """Wait until a terminal on a whole cable has got a receipt for what it holds.

        Raises:
            TimeoutError: it has not; nothing is played on with a terminal in an unknown state.
        """
        stage = self._posts[post]
        limit = time.monotonic() + DELIVERY_TIMEOUT_S
        while delivered(stage.link) <= sent_before:
            stage.power.check()
            if time.monotonic() > limit:
                raise TimeoutError(f"terminal {post} got no receipt in {DELIVERY_TIMEOUT_S:.0f} s")
            time.sleep(POLL_S)

    def leap(self, utc_ms: int, *, still_s: float = STILL_S) -> None:
        """Move the day clock on, while nothing is on its way between a terminal and the server.

        A terminal takes the middle of an exchange for the time of its receipt; a leap in between
        would set its clock wrong by half the leap.
        """
        self._check()
        wait_s = self._leapt_s + BETWEEN_LEAPS_S - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        with contextlib.ExitStack() as held:
            for stage in self._posts.values():
                held.enter_context(stage.link.quiet(QUIET_TIMEOUT_S, still_s=still_s))
            self._clock.leap_to(max(utc_ms, self._clock.utc_ms()))
        self._leapt_s = time.monotonic()

    def _check(self) -> None:
        for stage in self._posts.values():
            if stage.on:
                stage.power.check()

    def _taps(self, taps: list[Step], kill_after: set[str]) -> None:
        """Present one card at each terminal named, hear the answers, take the cards away."""
        sent = {step.post: delivered(self._posts[step.post].link) for step in taps}
        for step in taps:
            self._press(step.post, _tap(step).keys_before)
        marks = {step.post: self._posts[step.post].lcd.mark for step in taps}
        for step in taps:
            self._present(step)
        for step in taps:
            self._hear(step, marks[step.post])
        for post in kill_after:
            self._posts[post].power.cut_off()
            self._posts[post].on = False
        for step in taps:
            self._hand.remove(self._posts[step.post].slot)
        for step in taps:
            self._settle(step, sent[step.post])

    def _present(self, step: Step) -> None:
        slot = self._posts[step.post].slot
        self._posts[step.post].watch.note_empty()
        self._hand.insert(slot, step.who.lower())
        if _tap(step).pulled_off:
            self._hand.tear(slot, "debit-lost")

    def _hear(self, step: Step, mark: int) -> None:
        stage, wanted = self._posts[step.post], _tap(step).shows
        frame = stage.lcd.wait(
            f"an answer to {step.who} at {step.post}", _is_answer, after=mark,
            timeout_s=ANSWER_TIMEOUT_S,
        )  # fmt: skip
        self.notebook.taps[step.who] += 1
        if not _says(frame, wanted):
            self.notebook.complaints.append(
                f"{clock_text(step.utc_ms)} {step.post} {step.who}: expected “{wanted.said}”, "
                f"the terminal shows {frame.text!r} with tone {frame.tone}"
            )

    def _settle(self, step: Step, sent_before: int) -> None:
        """Wait until the card's leaving is noticed and, on a whole cable, the tap is delivered."""
        stage = self._posts[step.post]
        stage.watch.await_removal()
        if not stage.on:
            return
        if not stage.cut:
            self.await_upload(step.post, sent_before)
        self._press(step.post, _tap(step).keys_after)

    def _press(self, post: str, keys: str) -> None:
        stage = self._posts[post]
        for key in keys:
            mark = stage.lcd.mark
            stage.keypad.press(key)
            stage.lcd.wait(
                f"an answer to key {key} at {post}", lambda frame: IDLE_WORDS not in frame.text,
                after=mark, timeout_s=KEY_TIMEOUT_S,
            )  # fmt: skip


def _no_errands(steps: list[Step]) -> None:
    if steps:
        raise NotPlayable(steps[0])


def _tap(step: Step) -> Tap:
    assert isinstance(step.what, Tap)
    return step.what


def delivered(link: Link) -> int:
    """Return how many uploads over this cable were answered with a receipt."""
    return sum(exchange.status == 200 for exchange in link.sent("PUT"))


def _is_answer(frame: Frame) -> bool:
    """Tell an answer from the ticks of a reading, the click of a key, and silence."""
    return frame.tone not in SOFT_TONES


def _says(frame: Frame, wanted: Answer) -> bool:
    """Compare tone and words; the words may stand anywhere on the four lines."""
    text = " ".join(frame.text.split())
    return frame.tone == wanted.tone and all(word in text for word in wanted.words)


def _headline(utc_ms: int, group: tuple[Step, ...]) -> str:
    def phrase(step: Step) -> str:
        what = step.what.value if isinstance(step.what, Deed) else step.what.shows.said
        return " ".join(filter(None, (step.post, step.who, what)))

    return f"{clock_text(utc_ms)}  {' · '.join(phrase(step) for step in group)}"
