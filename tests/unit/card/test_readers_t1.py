# SPDX-License-Identifier: Apache-2.0
"""T=1 blocks: chaining, waiting time, repetition, resynchronisation, and hostile cards."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.errors import AnswerLost, CardError, MuteCard, ProtocolFault
from card.readers.t1 import BLOCKS_MAX, T1Link, lrc
from hardware_mocks.serial_reader import Fault, T1Card


class Echo:
    """A chip that answers with what it was sent, and counts."""

    atr = b""

    def __init__(self) -> None:
        self.ran = 0

    def power_on(self) -> bytes:
        """Begin anew."""
        return b""

    power_off = reset = power_on

    def transmit(self, apdu: bytes) -> bytes:
        """Answer with the command and 9000."""
        self.ran += 1
        return apdu[:256] + b"\x90\x00"


def _card(*, use_crc: bool = False, ifsc: int = 254) -> tuple[T1Card, T1Link, Echo]:
    chip = Echo()
    card = T1Card(chip, use_crc=use_crc, ifsc=ifsc)  # type: ignore[arg-type]
    waited: list[int] = []

    def exchange(block: bytes, multiplier: int) -> bytes:
        waited.append(multiplier)
        answer = card.pass_on(block)
        if not answer:
            raise MuteCard
        return answer

    link = T1Link(exchange, ifsc, use_crc=use_crc)
    return card, link, chip


@pytest.mark.parametrize("use_crc", [False, True])
@pytest.mark.parametrize("size", [4, 32, 33, 254, 255, 260])
@pytest.mark.parametrize("ifsc", [16, 32, 254])
def test_commands_and_answers_of_any_length_pass(size: int, ifsc: int, use_crc: bool) -> None:
    """Both directions are chained as the other side's field lengths demand."""
    _, link, _ = _card(use_crc=use_crc, ifsc=ifsc)
    link.negotiate()
    command = bytes(i & 0xFF for i in range(size))

    for _ in range(3):
        assert link.transmit(command) == command[:256] + b"\x90\x00"


@pytest.mark.parametrize(
    "fault", [Fault.BAD_BLOCK, Fault.LOST_BLOCK, Fault.MUTE, Fault.WAITING_TIME]
)
@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("size", [8, 200])
def test_a_bad_line_to_the_card_is_repaired(fault: Fault, times: int, size: int) -> None:
    """Up to three distorted, lost or late blocks cost nothing but time; a command runs once."""
    card, link, chip = _card(ifsc=64)
    link.negotiate()
    card.faults.plan(fault, times)
    command = bytes(size)

    assert link.transmit(command) == command + b"\x90\x00"
    assert chip.ran == 1


def test_waiting_time_is_granted_and_passed_on() -> None:
    """A card that asks for more time gets it, and the reader is told the multiplier."""
    card, _, _ = _card()
    multipliers: list[int] = []

    def exchange(block: bytes, multiplier: int) -> bytes:
        multipliers.append(multiplier)
        return card.pass_on(block)

    card.faults.plan(Fault.WAITING_TIME)
    T1Link(exchange, 254).transmit(b"\x00\x84\x00\x00\x04")

    assert multipliers == [0, 3]


def test_a_card_that_stays_silent_is_mute() -> None:
    """After the repetitions it is said."""
    card, link, _ = _card()
    card.faults.plan(Fault.MUTE, 100)

    with pytest.raises(MuteCard):
        link.transmit(b"\x00\x84\x00\x00\x04")
    with pytest.raises(MuteCard):
        link.negotiate()


def test_a_card_that_lost_count_is_resynchronised() -> None:
    """Both sides begin at zero again; the command is not sent twice but reported as lost."""
    card, link, chip = _card()
    link.transmit(bytes(5))
    card.faults.plan(Fault.RENUMBERED, 4)
    with pytest.raises(AnswerLost):
        link.transmit(bytes(5))

    assert bytes.fromhex("00C000C0") in card.blocks
    assert link.transmit(bytes(5)) == bytes(5) + b"\x90\x00"
    assert chip.ran == 2


def _scripted(*answers: str) -> T1Link:
    left = [bytes.fromhex(answer) for answer in answers]

    def exchange(_block: bytes, _multiplier: int) -> bytes:
        body = left.pop(0) if len(left) > 1 else left[0]
        return body + lrc(body)

    return T1Link(exchange)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (("00C200", "00C200"), "broke the chain off"),
        (("00200101", "00600101") * BLOCKS_MAX, "without end"),
        (("00C30101",), "without end"),
    ],
)
def test_rule_breaking_cards_are_faults(answers: tuple[str, ...], reason: str) -> None:
    """An abort, a chain and time requests without end stop within bounds."""
    link = _scripted(*answers)

    with pytest.raises(ProtocolFault, match=reason):
        link.transmit(bytes(5))


def test_the_card_may_shorten_its_field() -> None:
    """An IFS request in mid-command is answered and obeyed."""
    sent: list[bytes] = []
    answers = [bytes.fromhex("00C10110"), bytes.fromhex("0000029000"), bytes.fromhex("009000")]

    def exchange(block: bytes, _multiplier: int) -> bytes:
        sent.append(block)
        body = answers.pop(0)
        return body + lrc(body)

    link = T1Link(exchange)
    link.transmit(bytes(5))
    with pytest.raises(IndexError):
        link.transmit(bytes(40))

    assert sent[1] == bytes.fromhex("00E10110F0")
    assert (sent[2][1], sent[2][2]) == (0x60, 16)  # numbered 1, more to come, 16 bytes


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=20), min_size=1, max_size=8))
def test_any_bytes_of_a_card_end_in_an_answer_or_a_typed_error(answers: list[bytes]) -> None:
    """Nothing a card sends hangs the link or raises anything outside the tree."""
    left = list(answers)

    def exchange(_block: bytes, _multiplier: int) -> bytes:
        raw = left.pop(0) if len(left) > 1 else left[0]
        return raw + lrc(raw)

    try:
        assert isinstance(T1Link(exchange).transmit(bytes(5)), bytes)
    except CardError:
        return
