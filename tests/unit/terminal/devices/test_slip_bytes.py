# SPDX-License-Identifier: Apache-2.0
"""What goes to a printer and what comes back from it, whatever the bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware_mocks.printer import EscPosParser
from terminal.devices.print_process import judged, read_slip_line
from terminal.devices.protocols import DeviceState, Slip
from terminal.devices.slip_bytes import slip_bytes, wrapped
from terminal.keypad import keys_of
from terminal.screen import width

BYTE = st.one_of(st.none(), st.integers(0, 255))


@given(st.integers(0, 255), BYTE, BYTE)
def test_any_status_is_a_state(printer: int, causes: int | None, paper: int | None) -> None:
    """Three bytes of any value are a named state, and only good ones let a slip out."""
    state = judged(printer, causes, paper)

    assert isinstance(state, DeviceState)
    if state is DeviceState.OK:
        assert printer & 0x93 == 0x12
        assert not printer & 0x08


@pytest.mark.parametrize("paper", [0x12, 0x1E, 0x72])
def test_paper_is_told_by_its_own_bits(paper: int) -> None:
    """Enough, low, and out."""
    expected = {0x12: "ok", 0x1E: "paper-low", 0x72: "paper-out"}

    assert str(judged(0x12, 0x12, paper)) == expected[paper]


@given(st.text(max_size=120), st.sampled_from([32, 42, 48]))
def test_no_line_is_wider_than_the_paper(text: str, columns: int) -> None:
    """Lines are wrapped, and what a printer would obey is left out."""
    parts = wrapped(text, columns)

    assert all(width(part) <= columns for part in parts)
    assert "".join(parts) == "".join(char for char in text if char.isprintable())


@settings(max_examples=40)
@given(st.lists(st.text(max_size=60), max_size=6))
def test_a_slip_is_text_and_known_commands(lines: list[str]) -> None:
    """No text makes the printer do anything but print it."""
    parser = EscPosParser()
    parser.feed(slip_bytes(Slip(tuple(lines)), 32))

    assert parser.unknown == 0
    assert len(parser.slips) == 1


@given(st.binary(max_size=200))
def test_a_message_is_a_slip_or_nothing(line: bytes) -> None:
    """What is no slip is left aside by the printing process."""
    slip = read_slip_line(line)

    assert slip is None or isinstance(slip, Slip)


@given(st.binary(max_size=64))
def test_any_key_bytes_are_keys_or_noise(data: bytes) -> None:
    """The keypad's line may say anything."""
    assert len(keys_of(data)) <= len(data)
