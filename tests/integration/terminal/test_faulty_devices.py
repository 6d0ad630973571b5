# SPDX-License-Identifier: Apache-2.0
"""Devices and cards that fail in ways of their own: the person is told, and clocking goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from card.errors import CardError, CardRemoved, NoReader, ProtocolFault
from keys.store import FileKeyStore
from swipe.kinds import EventType
from terminal import actions, stick_job
from terminal.devices.protocols import DeviceState, Slip
from terminal.health import Vitals
from terminal.policy import Say
from terminal.stick_job import StickJob
from tests.integration.terminal.bench import issue
from tests.integration.terminal.post import OTHER, VOLUNTEER, Post, Slot


@pytest.mark.parametrize(
    ("refusal", "told"),
    [(ProtocolFault("ATR"), "E14"), (CardRemoved(), "E16")],
    ids=["strange answer to reset", "pulled while powered"],
)
def test_a_card_that_cannot_be_powered_is_told(
    post: Post, store: FileKeyStore, refusal: CardError, told: str
) -> None:
    """A foreign chip, or one pulled too early, gets its answer; the next card is clocked."""
    post.slot.refusal = refusal
    shown = post.tap(issue(store, OTHER), seconds=4)
    post.slot.refusal = None

    assert told in shown
    assert "签到 IN" in post.tap(issue(store, VOLUNTEER))


class Restarting(Slot):
    """A reader that comes back in the middle of a wait, and needs a moment to notice its card."""

    NOTICES_S = 0.4

    def __init__(self) -> None:
        super().__init__()
        self.now_s = self.back_s = 0.0

    def wait_card(self, timeout_s: float) -> bool:
        """Wait in a time of its own."""
        end_s = self.now_s + timeout_s
        noticed_s = self.back_s + self.NOTICES_S if self.back_s else 0.0
        self.now_s = end_s
        if end_s < self.back_s:
            raise NoReader(self.name)
        return self.card is not None and end_s >= noticed_s


def test_a_reader_back_in_mid_wait_is_given_its_time(post: Post, store: FileKeyStore) -> None:
    """The card that lay there all along is not noticed at once: it is lifted first all the same."""
    slot = post.slot = post.parts.reader = Restarting()
    slot.card = issue(store, VOLUNTEER)
    post.turn()
    slot.back_s = slot.now_s + 0.5
    for _ in range(10):
        post.wait(60)
        slot.now_s += 0.1

    assert "请先取走卡再刷" in post.shown.text
    assert [e.type for e in post.events(EventType.IN, EventType.OUT)] == [EventType.IN]


class Broken:
    """A printer whose device answers every call with an error."""

    @property
    def state(self) -> DeviceState:
        """Fail."""
        raise OSError(5, "Input/output error")

    def print(self, slip: Slip) -> bool:
        """Fail."""
        raise OSError(5, f"Input/output error: {len(slip.lines)} lines")

    def close(self) -> None:
        """Nothing to let go of."""


def fail(*_: object, **__: object) -> Any:
    """Meet what any device may answer."""
    raise OSError(5, "Input/output error")


def test_a_printer_that_fails_ends_no_clocking(post: Post, store: FileKeyStore) -> None:
    """A slip that cannot be printed is left out, and the parts are told with the fault."""
    post.parts.printer, post.parts.every_slip = Broken(), True
    card = issue(store, VOLUNTEER)

    assert "签到 IN" in post.tap(card, seconds=120)
    assert "签退 OUT" in post.tap(card, seconds=4)
    vitals = Vitals()
    vitals.watch("printer", post.parts.printer)
    assert vitals.devices["printer"]() == str(DeviceState.FAULT)


def test_a_key_that_fails_ends_no_clocking(
    post: Post, store: FileKeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a key leads to may fail in any way: the idle screen is back, and cards are answered."""
    monkeypatch.setattr(actions, "set_mode", fail)
    post.press("1", seconds=4)

    assert "签到 IN" in post.tap(issue(store, VOLUNTEER))


def test_a_stick_that_fails_otherwise_ends_no_clocking(
    post: Post, store: FileKeyStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A stick pulled while it is looked for, or whatever its export meets, is told as a failure."""

    def steps(*_: object) -> Iterator[int]:
        yield fail()

    job = StickJob(post.station, lambda: tmp_path)
    monkeypatch.setattr(stick_job, "stick_steps", steps)

    assert job.begin() is Say.EXPORTING
    assert job.turn() is Say.EXPORT_FAILED
    assert job.turn() is None
    monkeypatch.setattr(job, "_find", fail)
    assert job.begin() is Say.EXPORT_FAILED
    assert "签到 IN" in post.tap(issue(store, VOLUNTEER))
