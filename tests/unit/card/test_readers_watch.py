# SPDX-License-Identifier: Apache-2.0
"""The watch of readers over a scripted service: counts become events, nothing is left out."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.errors import NoDriver, NoReader, NoService
from card.readers import watch_cards
from card.readers.events import (
    CardInserted,
    CardRemoved,
    Event,
    Look,
    Presence,
    ReaderBack,
    ReaderLost,
    ServiceBack,
    ServiceLost,
)
from card.readers.watch_pcsc import PcscWatch

EMPTY, PRESENT, UNKNOWN, MUTE = 0x10, 0x20, 0x04, 0x200
ATR = bytes.fromhex("3B00")
IN, OUT = CardInserted("pcsc:a", ATR), CardRemoved("pcsc:a")

Round = tuple[list[str], list[tuple[int, bytes]] | Exception | None]


class FakeContext:
    """A session with a service that plays rounds: names of readers, and what a wait returns."""

    def __init__(self, rounds: list[Round], stop: threading.Event) -> None:
        self._rounds = rounds
        self._stop = stop

    def readers(self) -> list[str]:
        """Return the names of this round."""
        if len(self._rounds) == 1:
            self._stop.set()
        return self._rounds[0][0]

    def wait_any(
        self, states: list[tuple[str, int]], _timeout_ms: int
    ) -> list[tuple[int, bytes]] | None:
        """End the round."""
        found = self._rounds.pop(0)[1]
        if isinstance(found, Exception):
            raise found
        return None if found is None else [*found[: len(states) - 1], (0, b"")]

    def close(self) -> None:
        """Hold nothing."""


def _watch(*sessions: list[Round] | Exception, wanted: list[str] | None = None) -> list[Event]:
    """Play sessions with the service; the last one ends the watch."""
    stop = threading.Event()
    told: list[Event] = []
    left = list(sessions)

    def new_context() -> FakeContext:
        session = left.pop(0)
        if isinstance(session, Exception):
            raise session
        return FakeContext(session, threading.Event() if left else stop)

    PcscWatch(told.append, wanted, 0.0, new_context).run(stop)  # type: ignore[arg-type]
    return told


def _state(count: int, state: int) -> tuple[int, bytes]:
    return count << 16 | state, ATR if state & PRESENT else b""


def test_a_card_that_lies_there_is_told_first() -> None:
    """The watch begins with what is there."""
    assert _watch([(["a"], [_state(1, PRESENT)]), (["a"], None)]) == [IN]


def test_an_exchange_between_two_looks_is_two_events() -> None:
    """Card there before and after, but two movements: removed, inserted."""
    told = _watch([(["a"], [_state(1, PRESENT)]), (["a"], [_state(3, PRESENT)])])

    assert told == [IN, OUT, IN]


def test_a_card_that_came_and_went_between_two_looks_is_told() -> None:
    """Empty before and after, but two movements; its answer to reset was never seen."""
    told = _watch([(["a"], [_state(0, EMPTY)]), (["a"], [_state(2, EMPTY)])])

    assert told == [CardInserted("pcsc:a"), OUT]


def test_a_mute_card_is_told_as_mute() -> None:
    """What the service could not power is there all the same."""
    told = _watch([(["a"], [(1 << 16 | PRESENT | MUTE, b"")]), (["a"], None)])

    assert told == [CardInserted("pcsc:a", mute=True)]


def test_a_service_that_goes_takes_its_cards_along() -> None:
    """Service away: its cards have left; service back: cards that lie there are told again."""
    told = _watch(
        [(["a"], [_state(1, PRESENT)]), (["a"], NoService("killed"))],
        NoService("not yet"),
        [(["a"], [_state(1, PRESENT)]), (["a"], None)],
    )

    assert told == [IN, OUT, ServiceLost(), ServiceBack(), IN]


def test_readers_come_and_go() -> None:
    """An unplugged reader is lost once, with its card; it and a new one are told when they come."""
    told = _watch(
        [
            (["a"], [_state(1, PRESENT)]),
            ([], None),
            ([], None),
            (["a", "b"], [_state(0, EMPTY), _state(0, EMPTY)]),
            (["a", "b"], None),
        ]
    )

    assert told == [IN, OUT, ReaderLost("pcsc:a"), ReaderBack("pcsc:a"), ReaderBack("pcsc:b")]


def test_only_named_readers_are_watched() -> None:
    """A name that is not there is told once; others are not looked at."""
    told = _watch([(["b"], None), (["a", "b"], [_state(1, PRESENT)]), (["a"], None)], wanted=["a"])

    assert told == [ReaderLost("pcsc:a"), ReaderBack("pcsc:a"), IN]


def test_a_reader_that_turns_unknown_is_lost() -> None:
    """The service may say so before its list does."""
    told = _watch([(["a"], [_state(1, PRESENT)]), (["a"], [(UNKNOWN, b"")]), ([], None)])

    assert told == [IN, OUT, ReaderLost("pcsc:a")]


def test_a_reader_that_goes_between_the_calls_is_no_end() -> None:
    """The service refuses the whole call then; the list is asked for again."""
    told = _watch([(["a"], NoReader("a")), ([], None), ([], None)])

    assert told == [ReaderLost("pcsc:a")]


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=40))
def test_looks_at_any_moment_tell_every_movement(moves: list[bool]) -> None:
    """However rarely one looks, insertions and removals alternate and their number is right."""
    presence = Presence("pcsc:a", 1 << 16)
    start = 65_530  # the count begins again on the way
    told = presence.look(Look(present=False, count=start))
    present, last = False, 0
    for number in range(1, len(moves) + 1):
        present = not present
        if moves[number - 1] or number == len(moves):
            told += presence.look(Look(present, (start + number) & 0xFFFF))
            last = number

    assert [type(event) for event in told] == [
        CardInserted if number % 2 == 0 else CardRemoved for number in range(last)
    ]


def test_a_watch_ends_when_it_is_closed(tmp_path: Path) -> None:
    """Closed in the loop, the loop ends; a serial reader that is not there is told meanwhile."""
    name = f"serial:{tmp_path}/none"
    with watch_cards([name]) as watch:
        told = []
        for event in watch:
            told.append(event)
            watch.close()

    assert told == [ReaderLost(name)]


def test_a_missing_library_ends_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no waiting can mend is raised to whoever takes events."""
    monkeypatch.setitem(sys.modules, "smartcard.scard", None)
    with watch_cards() as watch, pytest.raises(NoDriver):
        next(watch)


@pytest.mark.parametrize("name", ["", "a", "pcsc:", "serial:", "usb:1"])
def test_a_name_of_no_reader_is_refused_at_once(name: str) -> None:
    """A typing error is not a reader that is away."""
    with pytest.raises(NoReader):
        watch_cards([name])
