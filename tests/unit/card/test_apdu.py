# SPDX-License-Identifier: Apache-2.0
"""Command and response APDUs: the four cases and what does not fit them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.apdu import CommandApdu, ResponseApdu
from card.errors import MalformedApdu

CASES = [
    ("80120000", CommandApdu(0x80, 0x12, 0, 0)),
    ("00B0950038", CommandApdu(0x00, 0xB0, 0x95, 0, le=0x38)),
    ("00B2010C00", CommandApdu(0x00, 0xB2, 0x01, 0x0C, le=256)),
    ("00A40000023F00", CommandApdu(0x00, 0xA4, 0, 0, b"\x3f\x00")),
    ("00A40000023F0000", CommandApdu(0x00, 0xA4, 0, 0, b"\x3f\x00", 256)),
]


@pytest.mark.parametrize(("coded", "command"), CASES)
def test_the_four_cases(coded: str, command: CommandApdu) -> None:
    """Each case of ISO/IEC 7816-3 codes to its bytes and back."""
    assert coded == command.to_bytes().hex().upper()
    assert command == CommandApdu.from_bytes(bytes.fromhex(coded))


@pytest.mark.parametrize("coded", ["00B095", "00A4000003AABB", "00A400000100AABB", "00A4000000AA"])
def test_lengths_that_do_not_fit_are_refused(coded: str) -> None:
    """Bytes that are none of the four cases are not guessed at."""
    with pytest.raises(MalformedApdu):
        CommandApdu.from_bytes(bytes.fromhex(coded))


@pytest.mark.parametrize(
    "arguments",
    [
        {"cla": 256, "ins": 0, "p1": 0, "p2": 0},
        {"cla": 0, "ins": 0, "p1": 0, "p2": 0, "data": bytes(256)},
        {"cla": 0, "ins": 0, "p1": 0, "p2": 0, "le": 0},
        {"cla": 0, "ins": 0, "p1": 0, "p2": 0, "le": 257},
    ],
)
def test_values_out_of_range_are_refused(arguments: dict[str, int]) -> None:
    """A command that cannot be coded cannot be made."""
    with pytest.raises(MalformedApdu):
        CommandApdu(**arguments)  # type: ignore[arg-type]


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=4, max_size=4), st.binary(max_size=255), st.integers(0, 256))
def test_any_command_survives_its_coding(header: bytes, data: bytes, le: int) -> None:
    """Coding and parsing are inverse for every short command."""
    cla, ins, p1, p2 = header
    command = CommandApdu(cla, ins, p1, p2, data, le or None)

    assert command == CommandApdu.from_bytes(command.to_bytes())


@pytest.mark.parametrize("size", [0, 1, 259])
def test_an_answer_has_a_status_word_and_fits_a_short_apdu(size: int) -> None:
    """Answers without a status word, or too long, are refused."""
    with pytest.raises(MalformedApdu):
        ResponseApdu.from_bytes(bytes(size))
