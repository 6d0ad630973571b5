# SPDX-License-Identifier: Apache-2.0
"""Payloads: one table for each type without a card's answer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swipe.errors import FieldError, PayloadError, WrongLength
from swipe.event import EVENT_LAYOUT, Event
from swipe.kinds import PROVEN_TYPES, SYSTEM_FROM, EventType, RejectReason, Result
from swipe.payloads import PAYLOADS, build, parse
from tests.factories import make_event


def test_every_type_has_a_proof_or_a_payload() -> None:
    """No type is without meaning in bytes 96 to 127, and none has two."""
    assert set(PAYLOADS) | PROVEN_TYPES == set(EventType)
    assert not set(PAYLOADS) & PROVEN_TYPES


@pytest.mark.parametrize("kind", PAYLOADS, ids=lambda kind: kind.name)
def test_payload_fills_32_bytes(kind: EventType) -> None:
    """Every table with its padding is 32 bytes long."""
    assert PAYLOADS[kind].size == 32


@pytest.mark.parametrize("kind", PAYLOADS, ids=lambda kind: kind.name)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_round_trip(kind: EventType, data: st.DataObject) -> None:
    """What is built is parsed again."""
    values: dict[str, int | bytes] = {}
    for field in PAYLOADS[kind].fields:
        if field.name == "reserved":
            continue
        top = 2 ** (8 * field.size) - 1
        values[field.name] = data.draw(
            st.binary(min_size=field.size, max_size=field.size)
            if field.is_bytes
            else st.integers(0, top)
        )

    assert parse(kind, build(kind, **values)) == values


@pytest.mark.parametrize("kind", [k for k in PAYLOADS if k < SYSTEM_FROM], ids=lambda k: k.name)
def test_result_keeps_its_byte_below_0x10(kind: EventType) -> None:
    """A payload of a card event leaves byte 127 to `result`."""
    event = make_event(type=kind, payload=build(kind, result=Result.SUPPRESSED))

    assert Event.from_bytes(event.to_bytes()).result == Result.SUPPRESSED


def test_torn_keeps_the_places_of_the_answer() -> None:
    """A TORN event's counter, random and transaction number read as those of a tap."""
    payload = build(EventType.TORN, card_ctr=7, card_rand=b"abcd", psam_seq=9, result=Result.TORN)
    event = make_event(type=EventType.TORN, payload=payload)

    assert (event.card_ctr, event.card_rand, event.psam_seq) == (7, b"abcd", 9)
    assert (event.tac, event.mac2, event.cg2) == (bytes(4), bytes(4), bytes(8))


def test_reasons_have_the_numbers_of_the_specification() -> None:
    """A reason code never moves."""
    payload = build(EventType.REJECTED, reason=RejectReason.NO_OPEN_SERVICE, of_seq=5)

    assert payload.hex() == "0a" + "00" + "00000000" + "00000005" + "00" * 22


def test_unknown_fields_are_refused() -> None:
    """A misspelt name is an error, and the reserved bytes cannot be set."""
    with pytest.raises(PayloadError, match="no field colour"):
        build(EventType.OPEN, colour=1)
    with pytest.raises(PayloadError, match="no field reserved"):
        build(EventType.OPEN, reserved=bytes(17))


@pytest.mark.parametrize("kind", [EventType.IN, 0x0C, 0x1A, 0xFF])
def test_types_without_payload_are_refused(kind: int) -> None:
    """A proven or unknown type has no payload."""
    with pytest.raises(PayloadError, match="no payload"):
        build(kind)


def test_reserved_bytes_must_be_zero() -> None:
    """A payload with something in its reserved bytes is not of this version."""
    payload = bytearray(build(EventType.DECOMMISSION, reason=1))
    payload[20] = 1

    with pytest.raises(FieldError, match="must be zero"):
        parse(EventType.DECOMMISSION, bytes(payload))


def test_length_is_checked() -> None:
    """31 bytes are no payload."""
    with pytest.raises(WrongLength):
        parse(EventType.OPEN, bytes(31))


def test_answer_offsets_are_the_events() -> None:
    """The payload begins where card_ctr does and ends where prev begins."""
    assert (EVENT_LAYOUT.span("card_ctr")[0], EVENT_LAYOUT.span("result")[1]) == (96, 128)
