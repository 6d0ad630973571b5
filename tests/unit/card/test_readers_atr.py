# SPDX-License-Identifier: Apache-2.0
"""The answer to reset: what cards in the field send, and what no card may send."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.errors import ProtocolFault
from card.readers.atr import ATR_BYTES_MAX, Atr, parse
from hardware_mocks.cardos.atr import CARD_HISTORICAL, contact_atr, contactless_atr
from hardware_mocks.serial_reader.sockets import t1_atr


def test_a_t0_card_of_the_field() -> None:
    """The virtual FMCOS card offers T=0 only and has no check byte."""
    atr = parse(contact_atr(CARD_HISTORICAL))

    assert (atr.protocol, atr.protocols, atr.historical) == (0, (0,), CARD_HISTORICAL)
    assert (atr.rate, atr.fi_di, atr.specific, atr.contactless) == (0x11, (372, 1), None, False)


def test_a_contactless_card_is_told_by_its_form() -> None:
    """The form of PC/SC part 3 offers T=0 first, but is contactless."""
    atr = parse(contactless_atr(CARD_HISTORICAL))

    assert (atr.contactless, atr.protocols) == (True, (0, 1))


@pytest.mark.parametrize("use_crc", [False, True])
def test_a_t1_card_says_how_it_wants_its_blocks(use_crc: bool) -> None:
    """IFSC, waiting times and check bytes come from the first bytes after TD of T=1."""
    atr = parse(t1_atr(use_crc=use_crc, ifsc=96))

    assert (atr.protocol, atr.ifsc, atr.bwi_cwi, atr.crc) == (1, 96, 0x45, use_crc)


def test_specific_mode_decides_the_protocol() -> None:
    """TA2 fixes the protocol, whatever is offered first."""
    # TD1 = 90 (T=0, TA2 and TD2 follow), TA2 = 01, TD2 = 01 (T=1), TCK.
    atr = parse(bytes.fromhex("3B8090010110"))

    assert (atr.specific, atr.protocols, atr.protocol) == (1, (0, 1), 1)


def test_waiting_times_follow_the_standard() -> None:
    """WI 10 at 4 MHz is 0.89 s; BWI 4 is 1.43 s."""
    t0, t1 = parse(contact_atr(b"")), parse(t1_atr())

    assert t0.waiting_s(0, 4_000_000) == pytest.approx(0.8928)
    assert t1.waiting_s(1, 4_000_000) == pytest.approx(1.42848)


def test_inverse_convention_is_kept() -> None:
    """TS = 3F is told apart."""
    assert parse(bytes.fromhex("3F00")).inverse


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("3B", "1 bytes"),
        ("3C00", "TS"),
        ("3B66000059494B41", "historical"),
        ("3BF0", "cut at byte"),
        ("3B66000059494B41200900", "where"),
        ("3B86800159494B41200935", "check byte"),
        ("3B8002828E", "where"),
        ("3B800282", "offers T=2 only"),
        ("3B" + "00" * ATR_BYTES_MAX, "34 bytes"),
    ],
)
def test_broken_answers_are_named(text: str, reason: str) -> None:
    """Cut, overlong, mischecked or foreign: a typed error that says where."""
    with pytest.raises(ProtocolFault, match=reason):
        parse(bytes.fromhex(text))


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_an_answer_or_a_fault(raw: bytes) -> None:
    """No byte string makes anything else happen."""
    try:
        atr = parse(raw)
    except ProtocolFault:
        return
    assert isinstance(atr, Atr)
    assert atr.waiting_s(atr.protocol, 4_000_000) > 0
