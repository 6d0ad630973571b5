# SPDX-License-Identifier: Apache-2.0
"""Frames on a serial line: exact bytes, spoilt ones left out, messages whole or not at all."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swipe.errors import FieldError, SwipeError, TooMany
from swipe.serial_link import (
    FRAME_MAX,
    MESSAGE_MAX,
    PIECE_MAX,
    REPEAT_S,
    WINDOW,
    Frame,
    FrameDecoder,
    Kind,
    Receiver,
    Sender,
    cobs,
    crc32c,
    uncobs,
)

SPEC = (Path(__file__).parents[3] / "docs" / "spec" / "serial-link.md").read_text("utf-8")
SESSION = 0x0A0B0C0D


@given(st.binary(max_size=1200))
def test_cobs_comes_back_without_a_zero(data: bytes) -> None:
    """Any bytes come back, and no zero stands among those on the line."""
    coded = cobs(data)

    assert 0 not in coded
    assert uncobs(coded) == data


@pytest.mark.parametrize("length", [0, 1, 253, 254, 255, 508, 509])
def test_cobs_at_its_edges(length: int) -> None:
    """Runs as long as a block, and one more or less, come back."""
    for data in (b"\1" * length, bytes(length), b"\1" * length + b"\0", b"\0" + b"\1" * length):
        assert uncobs(cobs(data)) == data


@given(
    st.sampled_from(Kind), st.integers(0, 2**32 - 1), st.integers(0, 65_535),
    st.binary(max_size=PIECE_MAX), st.booleans(),
)  # fmt: skip
def test_a_frame_comes_back(
    kind: Kind, session: int, number: int, piece: bytes, gateway: bool
) -> None:
    """A frame is read as it was written, and is never longer than the limit."""
    frame = Frame(kind, session, number, piece, gateway)
    data = frame.to_bytes()

    assert len(data) <= FRAME_MAX
    assert FrameDecoder().feed(data) == [frame]


@given(st.binary(max_size=PIECE_MAX), st.integers(0, 3000))
def test_one_flipped_bit_spoils_a_frame(piece: bytes, bit: int) -> None:
    """A frame with a flipped bit is left out, and the next one is read."""
    frame = Frame(Kind.PIECE, SESSION, 7, piece)
    data = bytearray(frame.to_bytes())
    bit %= 8 * len(data)
    data[bit // 8] ^= 1 << bit % 8
    found = FrameDecoder().feed(bytes(data) + b"\0" + frame.to_bytes())

    assert found == [frame]


@given(st.lists(st.binary(max_size=600), max_size=8))
def test_noise_is_no_frame(parts: list[bytes]) -> None:
    """Noise of any length ends at a zero; the frame after it is read, and memory stays small."""
    decoder = FrameDecoder()
    for part in parts:
        decoder.feed(part)
        assert len(decoder._kept) <= FRAME_MAX + 1
    frame = Frame(Kind.ACK, SESSION, 1)

    assert decoder.feed(b"\0" + frame.to_bytes())[-1] == frame


@pytest.mark.parametrize("coded", [b"", b"\x05\x01", b"\x02\x01\x00\x01", b"\x01" * 8])
def test_a_frame_that_is_none_is_named(coded: bytes) -> None:
    """Too short, a distance beyond the end, a wrong check: each is one of the named errors."""
    with pytest.raises(SwipeError):
        Frame.from_bytes(coded)


def test_an_unknown_kind_is_refused() -> None:
    """A kind of a later version is not guessed at."""
    content = b"\x7f" + bytes(6)
    with pytest.raises(FieldError, match="kind"):
        Frame.from_bytes(cobs(content + crc32c(content).to_bytes(4)))


def deliver(message: bytes, seed: int, loss: float) -> bytes:
    """Send a message over a line that loses, doubles, and swaps frames; return what arrives."""
    rng = random.Random(seed)
    sender, receiver = Sender(SESSION, message), Receiver(SESSION)
    now = 0.0
    while not sender.done:
        frames = [f for f in sender.due(now) if rng.random() > loss]
        frames += [f for f in frames if rng.random() < 0.1]
        rng.shuffle(frames)
        for frame in frames:
            receiver.take(frame)
        if rng.random() > loss:
            sender.acknowledged(receiver.wanted, now)
        now += REPEAT_S / 2
        assert now < 100_000
    assert receiver.complete
    return receiver.message


@given(st.binary(max_size=9000), st.integers(0, 1000), st.sampled_from([0.0, 0.2, 0.6]))
def test_a_message_arrives_whole(message: bytes, seed: int, loss: float) -> None:
    """However many frames are lost, doubled or late, the message that arrives is the one sent."""
    assert deliver(message, seed, loss) == message


def test_the_window_is_kept() -> None:
    """Not more than the window is under way; silence repeats from the first one missing."""
    sender = Sender(SESSION, bytes(PIECE_MAX * 40))
    first = [frame.number for frame in sender.due(0.0)]
    none = list(sender.due(0.1))
    sender.acknowledged(3, 0.1)
    more = [frame.number for frame in sender.due(0.1)]
    again = [frame.number for frame in sender.due(0.1 + REPEAT_S)]

    assert first == list(range(WINDOW))
    assert none == []
    assert more == [16, 17, 18]
    assert again == list(range(3, 3 + WINDOW))


def test_acknowledgements_of_the_past_and_of_nothing() -> None:
    """An acknowledgement for less than before, or for more than there is, changes nothing."""
    sender = Sender(SESSION, bytes(PIECE_MAX * 3))
    list(sender.due(0.0))
    sender.acknowledged(2, 0.0)
    sender.acknowledged(1, 0.0)
    sender.acknowledged(99, 0.0)

    assert sender.heard
    assert not sender.done
    assert [frame.number for frame in sender.due(REPEAT_S)] == [2]


def test_messages_are_limited() -> None:
    """Neither side holds more than the limit."""
    with pytest.raises(TooMany):
        Sender(SESSION, bytes(MESSAGE_MAX + 1))
    receiver = Receiver(SESSION, limit=300)
    receiver.take(Frame(Kind.PIECE, SESSION, 0, bytes(240)))
    with pytest.raises(TooMany):
        receiver.take(Frame(Kind.PIECE, SESSION, 1, bytes(240)))
    with pytest.raises(TooMany):
        Frame(Kind.PIECE, SESSION, 0, bytes(PIECE_MAX + 1)).to_bytes()


def test_the_examples_of_the_document() -> None:
    """The bytes in docs/spec/serial-link.md are those of the code."""
    shown = dict(re.findall(r"```hex ([\w-]+)\n([0-9A-F \n]+)```", SPEC))
    frames = {
        "request": Frame(Kind.LAST, SESSION, 0, b"hello\0"),
        "ack": Frame(Kind.ACK, SESSION, 1, from_gateway=True),
        "busy": Frame(Kind.BUSY, SESSION, from_gateway=True),
        "drop": Frame(Kind.DROP, SESSION, from_gateway=True),
    }

    assert {name: bytes.fromhex(text) for name, text in shown.items()} == {
        name: frame.to_bytes() for name, frame in frames.items()
    }
    for kind in Kind:
        assert f"| {kind:02X} | {kind.name} |" in SPEC
    for number in (PIECE_MAX, WINDOW, FRAME_MAX):
        assert str(number) in SPEC
