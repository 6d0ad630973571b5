# SPDX-License-Identifier: Apache-2.0
"""Cassettes: strict replay, and the shortest conversation that still fails."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card.cassette import Player, Recorder, minimise
from card.commands import get_challenge, read_binary
from card.errors import CardRemoved, CassetteMasked, CassetteMismatch, NoCard
from card.operation import exchange, fetch, run
from card.trace import Exchange, Tape, Trace

CHALLENGE = bytes.fromhex("0084000004")


class Chip:
    """A card that answers challenges by counting and leaves at a READ BINARY."""

    atr = bytes.fromhex("3B6800")

    def __init__(self) -> None:
        self.count = 0

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        if apdu[1] == 0xB0:
            raise CardRemoved
        self.count += 1
        return self.count.to_bytes(4, "big"), 0x9000

    def close(self) -> None:
        pass


def _tape() -> Tape:
    trace = Trace("chip")
    recorder = Recorder(Chip(), trace)
    recorder.random(8)
    run(fetch(get_challenge(), 4), recorder)
    run(fetch(get_challenge(), 4), recorder)
    with pytest.raises(CardRemoved):
        run(exchange(read_binary(0x15, 0, 56)), recorder)
    return trace.tape()


def test_a_cassette_plays_what_was_recorded() -> None:
    """Answers, the host's random draws and even the card's leaving come again."""
    tape = _tape()
    player = Player(tape)

    assert player.random(8) == tape.taken[0]
    assert run(fetch(get_challenge(), 4), player) == bytes((0, 0, 0, 1))
    assert run(fetch(get_challenge(), 4), player) == bytes((0, 0, 0, 2))
    with pytest.raises(CardRemoved):
        run(exchange(read_binary(0x15, 0, 56)), player)
    player.finish()
    assert player.atr == Chip.atr


def test_the_first_difference_is_named() -> None:
    """Replay stops at the exchange that differs and tells both commands."""
    player = Player(_tape())
    player.transmit(CHALLENGE)

    with pytest.raises(CassetteMismatch) as caught:
        player.transmit(bytes.fromhex("0084000008"))

    assert caught.value.number == 2
    assert caught.value.expected == CHALLENGE
    assert caught.value.found == bytes.fromhex("0084000008")
    assert player.transmit(CHALLENGE)[1] == 0x9000


def test_too_much_and_too_little_are_differences() -> None:
    """A program that goes on after the tape's end or stops before it is caught."""
    tape = Tape(_tape().exchanges[:1])
    player = Player(tape)
    with pytest.raises(CassetteMismatch):
        player.finish()
    player.transmit(CHALLENGE)
    player.finish()

    with pytest.raises(CassetteMismatch) as caught:
        player.transmit(CHALLENGE)

    assert caught.value.expected == b""
    with pytest.raises(CassetteMismatch):
        player.random(4)


def test_secrets_are_in_neither_tape_nor_difference() -> None:
    """A PIN is compared by its length; a message about it shows zeros."""
    verify = bytes.fromhex("0020000003123456")
    trace = Trace()
    trace.add(verify, b"", 0x9000)
    player = Player(trace.tape())

    assert trace.exchanges[0].command == bytes.fromhex("0020000003000000")
    assert player.transmit(bytes.fromhex("0020000003654321")) == (b"", 0x9000)
    with pytest.raises(CassetteMismatch) as caught:
        Player(_tape()).transmit(verify)
    assert "123456" not in str(caught.value)
    assert caught.value.found == bytes.fromhex("0020000003000000")


def test_a_masked_answer_cannot_be_played() -> None:
    """What was masked is not made up: the player says so."""
    item = Exchange(0, "", CHALLENGE, bytes(4), 0x9000, hidden_answer=((0, 4),))

    with pytest.raises(CassetteMasked):
        Player(Tape((item,))).transmit(CHALLENGE)


def test_errors_of_the_reader_are_played_by_name() -> None:
    """The recorded error comes back as itself; an unknown one as a card that left."""
    known = Exchange(0, "", CHALLENGE, b"", 0, error="NoCard")
    unknown = Exchange(0, "", CHALLENGE, b"", 0, error="Strange")
    player = Player(Tape((known, unknown)))

    with pytest.raises(NoCard):
        player.transmit(CHALLENGE)
    with pytest.raises(CardRemoved):
        player.transmit(CHALLENGE)


@given(st.sets(st.integers(0, 59), max_size=6), st.integers(60, 90))
def test_minimising_finds_exactly_what_is_needed(needed: set[int], size: int) -> None:
    """Of any sequence that fails because of some items, those items are left, in order."""

    def fails(part: Sequence[int]) -> bool:
        return needed <= set(part)

    assert minimise(range(size), fails) == sorted(needed)


def test_minimising_asks_little() -> None:
    """Finding two of a thousand exchanges takes less than two hundred questions."""
    asked = 0

    def fails(part: Sequence[int]) -> bool:
        nonlocal asked
        asked += 1
        return 17 in part and 803 in part

    assert minimise(range(1000), fails) == [17, 803]
    assert asked < 200


def test_what_does_not_fail_is_not_minimised() -> None:
    """A sequence that does not fail is a mistake of the caller."""
    with pytest.raises(ValueError, match="does not fail"):
        minimise([1, 2], lambda part: False)
