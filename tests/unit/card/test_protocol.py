# SPDX-License-Identifier: Apache-2.0
"""GET RESPONSE and wrong-length repeats, and their bounds."""

from __future__ import annotations

import pytest

from card.errors import ProtocolFault
from card.protocol import PARTS_MAX, T0Connection
from tests.contracts.connection_cards import Script


def _send(script: Script, apdu: str, *, strip_le: bool = True) -> tuple[bytes, int]:
    return T0Connection(script, strip_le=strip_le).transmit(bytes.fromhex(apdu))


def test_le_is_left_off_a_command_with_data() -> None:
    """Over T=0 a case-4 command goes without Le and its data are fetched."""
    script = Script("6103", "010203 9000")

    assert _send(script, "00A40000023F0000") == (b"\x01\x02\x03", 0x9000)
    assert script.sent == ["00A40000023F00", "00C0000003"]


def test_le_stays_over_t1() -> None:
    """Where the protocol carries Le, the command goes as it is."""
    script = Script("6F00 9000")

    _send(script, "00A40000023F0000", strip_le=False)

    assert script.sent == ["00A40000023F0000"]


def test_a_header_alone_gets_its_fifth_byte() -> None:
    """A case-1 command is five bytes over T=0."""
    script = Script("9000")

    _send(script, "800E0000")

    assert script.sent == ["800E000000"]


def test_a_wrong_le_is_repeated_with_the_right_one() -> None:
    """6Cxx names the length; the command is repeated with it."""
    script = Script("6C20", "AA 9000")

    assert _send(script, "00B2AAC800") == (b"\xaa", 0x9000)
    assert script.sent == ["00B2AAC800", "00B2AAC820"]


def test_parts_are_joined() -> None:
    """An answer in several parts arrives as one, with the last status word."""
    script = Script("6102", "0102 6101", "03 9000")

    assert _send(script, "00A40000023F0000") == (b"\x01\x02\x03", 0x9000)


@pytest.mark.parametrize("status", ["6F00", "6985", "9302", "6D00"])
def test_a_failed_get_response_is_no_refusal_of_the_command(status: str) -> None:
    """61xx said that the command was carried out: what fails behind it has lost the answer only."""
    with pytest.raises(ProtocolFault, match=status):
        _send(Script("6108", status), "805401000F" + "00" * 15 + "08")


def test_a_warning_behind_get_response_stays_one() -> None:
    """A warning comes with the data, as it does without GET RESPONSE."""
    assert _send(Script("6102", "0102 6282"), "00A40000023F0000") == (b"\x01\x02", 0x6282)


def test_get_response_keeps_only_the_logical_channel() -> None:
    """GET RESPONSE goes without secure messaging or proprietary class bits."""
    script = Script("6108", "0102030405060708 9000")

    _send(script, "805401000F" + "00" * 15 + "08")

    assert script.sent[1] == "00C0000008"


def test_a_right_length_that_is_wrong_again_is_a_fault() -> None:
    """A card that keeps naming lengths is not followed."""
    with pytest.raises(ProtocolFault):
        _send(Script("6C20", "6C21"), "00B2AAC800")


def test_more_data_without_end_is_a_fault() -> None:
    """A card that always has more is cut off."""
    with pytest.raises(ProtocolFault):
        _send(Script(*["00 6101"] * (PARTS_MAX + 2)), "00A40000023F0000")
