# SPDX-License-Identifier: Apache-2.0
"""The customer display: bytes on a line become pictures."""

from __future__ import annotations

import os

import pytest

from hardware_mocks.lcd import Frame, FrameParser, Lcd, NothingShown

LINES = ("签到 IN 09:02       ", "张*                 ", "今日 today 0:00     ", " " * 20)


def _frame(lines: tuple[str, ...] = LINES, lamp: str = "g", tone: str = "i") -> bytes:
    text = "".join(line + "\r\n" for line in lines).encode("gb18030")
    return b"\x0c" + text + b"\x1bL" + lamp.encode() + b"\x1bB" + tone.encode() + b"\x03"


def test_one_frame_is_read_whole() -> None:
    """Lines, lamp and tone of a well-formed frame come back as they were drawn."""
    parser = FrameParser()

    frames = parser.feed(_frame())

    assert [Frame(1, LINES, "g", "i")] == frames  # type: ignore[arg-type]
    assert parser.damaged == 0


def test_frame_may_arrive_byte_by_byte() -> None:
    """Nothing is shown before the end mark, whatever the pieces."""
    parser = FrameParser()

    shown = [len(parser.feed(bytes([byte]))) for byte in _frame()]

    assert [0] * (len(shown) - 1) + [1] == shown


@pytest.mark.parametrize(
    "noise",
    [
        b"\xff\x00\x1b",
        _frame()[:30],
        _frame(lines=LINES[:3]),
        _frame(lines=("签" * 11, *LINES[1:])),
        b"\x0c" + b"\xff\xff" + b"\x03",
        b"\x0c" + b" " * 600,
    ],
    ids=["line noise", "cut short", "three lines", "too wide", "no GB18030", "no end"],
)
def test_damage_costs_no_later_frame(noise: bytes) -> None:
    """After any damage the next whole frame is shown."""
    parser = FrameParser()

    frames = parser.feed(noise + _frame())

    assert [frame.lines for frame in frames] == [LINES]


def test_damaged_frames_are_counted() -> None:
    """A frame with a wrong shape is never shown but counted."""
    parser = FrameParser()

    frames = parser.feed(_frame(lines=LINES[:3]) + _frame())

    assert (len(frames), parser.damaged) == (1, 1)


def test_display_shows_what_is_written_to_its_device() -> None:
    """A program that opens the device path and writes a frame is seen at the far end."""
    with Lcd().running() as lcd:
        device = os.open(lcd.device, os.O_WRONLY | os.O_NOCTTY)
        os.write(device, _frame(tone="o"))
        frame = lcd.wait("OUT", lambda seen: seen.tone == "o", after=0, timeout_s=5)
        os.close(device)

    assert frame.text == "签到 IN 09:02\n张*\n今日 today 0:00\n"


def test_display_survives_a_program_that_dies() -> None:
    """The device can be opened again by the next program."""
    with Lcd().running() as lcd:
        for tone in "io":
            device = os.open(lcd.device, os.O_WRONLY | os.O_NOCTTY)
            os.write(device, _frame(tone=tone))
            os.close(device)
        lcd.wait("OUT", lambda seen: seen.tone == "o", after=0, timeout_s=5)

        assert "".join(frame.tone for frame in lcd.frames) == "io"


def test_silence_is_named() -> None:
    """Waiting for a picture that never comes says what was shown instead."""
    with Lcd().running() as lcd:
        device = os.open(lcd.device, os.O_WRONLY | os.O_NOCTTY)
        os.write(device, _frame(tone="x"))
        lcd.wait("anything", lambda _: True, after=0, timeout_s=5)
        with pytest.raises(NothingShown, match=r"waited for IN; the display shows .*tone x"):
            lcd.wait("IN", lambda seen: seen.tone == "i", after=0, timeout_s=0.01)
        os.close(device)
