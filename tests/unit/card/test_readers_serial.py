# SPDX-License-Identifier: Apache-2.0
"""Names, frames and exchanges of serial readers, without any line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.errors import AnswerLost, CardError, MuteCard, NoCard, NoReader, ReaderError
from card.readers.atr import parse
from card.readers.ccid import Command, Icc, Message, Voltage, parameters
from card.readers.gemcore import (
    REPEAT,
    Deframer,
    Distorted,
    Frame,
    Movement,
    Repeat,
    TimeRequest,
    frame,
)
from card.readers.serial_exchange import EXTENSIONS_S_MAX, Exchange
from card.readers.serial_models import MODELS, model_named
from card.readers.serial_name import SerialName
from hardware_mocks.serial_reader.sockets import t1_atr

TRANSFER = Message(Command.TRANSFER, 0, 7, bytes.fromhex("0084000008"))
STATUS = Message(Command.SLOT_STATUS, 0, 7)


def _answer(sequence: int = 7, status: int = 0, error: int = 0, data: bytes = b"") -> Frame:
    own = bytes((status, error, 0))
    return Frame(Message(0x80, 0, sequence, data, own).to_bytes())


def test_a_name_says_device_model_slot_and_speed() -> None:
    """What is left out has its usual value."""
    full = SerialName.parse("serial:/dev/ttyUSB0?model=gemcore-pos-pro&slot=4&baud=9600")
    short = SerialName.parse("serial:/dev/ttyS0")

    assert (full.device, full.model.name, full.slot, full.baud) == (
        "/dev/ttyUSB0", "gemcore-pos-pro", 4, 9_600,
    )  # fmt: skip
    assert (short.model.name, short.slot, short.baud) == ("gempc-twin", 0, 115_200)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("serial:", "expected"),
        ("serial:?slot=0", "expected"),
        ("serial:/dev/x?model=nobody", "known: gempc-twin"),
        ("serial:/dev/x?slot=1", "1 slot"),
        ("serial:/dev/x?slot=-1", "1 slot"),
        ("serial:/dev/x?slot=a", "invalid literal"),
        ("serial:/dev/x?baud=300", "baud 300"),
        ("serial:/dev/x?colour=red", "unknown option colour"),
        ("serial:/dev/x?model", "bad query"),
    ],
)
def test_a_wrong_name_says_what_is_wrong(name: str, reason: str) -> None:
    """The detail names the part that does not fit."""
    with pytest.raises(NoReader, match=reason):
        SerialName.parse(name)


def test_every_model_is_found_by_its_name() -> None:
    """Slots for SAMs may be slower than the one for the card."""
    assert all(model_named(name).slots >= 1 for name in MODELS)
    assert model_named("gemcore-pos-pro").rate_limit(0) > model_named("gemcore-pos-pro").rate_limit(
        1
    )


def test_a_message_is_what_the_standard_says() -> None:
    """Ten bytes of header, length little-endian, then the data (CCID §6.1.4)."""
    assert TRANSFER.to_bytes().hex() == "6f05000000000700000000" + "84000008"
    assert Message.from_bytes(TRANSFER.to_bytes()) == TRANSFER


@pytest.mark.parametrize("text", ["", "80" * 9, "80010000000007000000", "00" * 272])
def test_a_message_of_the_wrong_length_is_refused(text: str) -> None:
    """Too short, too long, or other than it says."""
    with pytest.raises(ReaderError):
        Message.from_bytes(bytes.fromhex(text))


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [(0x42, 0xFE, NoCard), (0x41, 0xFE, MuteCard), (0x41, 0xBB, ReaderError), (0x43, 0, NoCard)],
)
def test_failed_answers_become_facts(status: int, error: int, kind: type[CardError]) -> None:
    """What the slot says of its card decides before the error number."""
    message = Message.from_bytes(_answer(status=status, error=error).message)
    with pytest.raises(kind):
        message.check("test")


def test_protocol_parameters_follow_the_card() -> None:
    """T=1 names check bytes, waiting times and field length; T=0 its waiting integer."""
    t0, t1 = parse(bytes.fromhex("3B66000059494B412009")), parse(t1_atr(use_crc=True, ifsc=96))

    assert parameters(t0, 0, 0x11).hex() == "1100000a00"
    assert parameters(t1, 1, 0x95).hex() == "95110045006000"
    assert Voltage.V5 == 1
    assert Icc.ABSENT == 2


def test_frames_are_cut_from_a_stream_however_it_arrives() -> None:
    """Byte by byte or all at once, the same signals come out in the same order."""
    stream = REPEAT + b"\x50\x02" + frame(STATUS.to_bytes()) + b"\x80\x50\x03"
    expected = [
        Repeat(), Movement(False), Frame(STATUS.to_bytes()), TimeRequest(), Movement(True),
    ]  # fmt: skip
    slowly = Deframer()

    assert Deframer().feed(stream) == expected
    assert [s for octet in stream for s in slowly.feed(bytes([octet]))] == expected
    assert not slowly.pending


@pytest.mark.parametrize(
    "text", ["41", "0307", "031517", "5009", "03068006010000", "03066500000000000700000068"]
)
def test_what_is_no_frame_is_dropped_and_deafens(text: str) -> None:
    """After a distortion nothing is believed until the line was silent."""
    deframer = Deframer()
    (signal,) = deframer.feed(bytes.fromhex(text) + b"\x50\x02")

    assert isinstance(signal, Distorted)
    assert deframer.pending
    assert deframer.feed(b"\x50\x02") == []
    deframer.reset()
    assert deframer.feed(b"\x50\x02") == [Movement(present=False)]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=30), max_size=10))
def test_any_stream_stays_bounded(parts: list[bytes]) -> None:
    """Whatever comes in, at most one unfinished frame is held."""
    deframer = Deframer()
    for part in parts:
        for signal in deframer.feed(part):
            assert signal is not None


def test_an_echo_is_not_an_answer() -> None:
    """A reader that echoes sends our command back first; distorted or not, it is passed over."""
    for echo in (Frame(TRANSFER.to_bytes()), Distorted("LRC")):
        exchange = Exchange(TRANSFER, 1.0, 0.0, echoes=True)
        exchange.take(echo, 0.0)
        assert (exchange.answer, exchange.to_send) == (None, b"")
        exchange.take(_answer(), 0.0)
        assert exchange.answer is not None


def test_a_command_to_a_card_is_repeated_only_when_the_reader_shows_it_never_came() -> None:
    """Silence asks for the answer again; an older answer then proves the command was lost."""
    exchange = Exchange(TRANSFER, 1.0, 0.0, echoes=False)
    exchange.take(_answer(6), 0.0)
    unasked = exchange.to_send
    exchange.take(None, 1.0)
    asked = exchange.to_send
    exchange.take(_answer(6), 1.0)
    repeated = exchange.to_send

    assert (unasked, asked, repeated) == (b"", REPEAT, frame(TRANSFER.to_bytes()))


def test_a_command_to_the_reader_is_simply_repeated() -> None:
    """It changes no card."""
    exchange = Exchange(STATUS, 1.0, 0.0, echoes=False)
    exchange.take(None, 1.0)

    assert exchange.to_send == frame(STATUS.to_bytes())


@pytest.mark.parametrize("signal", [None, Repeat(), Distorted("LRC")])
@pytest.mark.parametrize(("message", "kind"), [(TRANSFER, AnswerLost), (STATUS, ReaderError)])
def test_three_repetitions_are_the_end(
    message: Message, kind: type[ReaderError], signal: Repeat | None
) -> None:
    """A line that does not carry is an error; where a card may have run the command, it says so."""
    exchange = Exchange(message, 1.0, 0.0, echoes=False)
    for _ in range(3):
        exchange.take(signal, 0.0)
    with pytest.raises(ReaderError) as caught:
        exchange.take(signal, 0.0)

    assert type(caught.value) is kind


def test_time_is_given_but_not_for_ever() -> None:
    """Requests for time move the deadline up to a limit."""
    exchange = Exchange(TRANSFER, 1.0, 0.0, echoes=False)
    exchange.take(TimeRequest(), 0.5)
    by_byte = exchange.deadline
    exchange.take(_answer(status=0x80, error=5), 1.0)
    by_message = exchange.deadline
    with pytest.raises(AnswerLost):
        exchange.take(TimeRequest(), EXTENSIONS_S_MAX + 1.0)

    assert (by_byte, by_message) == (1.5, 6.0)
