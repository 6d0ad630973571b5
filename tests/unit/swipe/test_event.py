# SPDX-License-Identifier: Apache-2.0
"""The event: its hashes, its chain, its signature, and what each byte of it is under."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import pytest

from keys.purse import bcd_datetime
from swipe.errors import FieldError, WrongLength
from swipe.event import (
    EVENT_LAYOUT,
    EVENT_SIGNED,
    EVENT_SIZE,
    Event,
    content_hash,
    core_digest,
    event_hash,
    genesis_prev,
    is_proven,
    tap_counts,
    verify_event,
)
from swipe.kinds import PROVEN_TYPES, EventType, Result
from swipe.payloads import build
from tests.factories import make_event, make_identity

IDENTITY = make_identity()


def test_sizes_are_those_of_the_format() -> None:
    """160 signed bytes and a signature of 64."""
    assert (EVENT_SIGNED, EVENT_SIZE) == (160, 224)
    assert EVENT_LAYOUT.size == EVENT_SIZE
    assert EVENT_LAYOUT.span("prev") == (128, 160)


def test_a_signed_event_verifies_and_comes_back() -> None:
    """Bytes and object are the same event."""
    event = make_event(IDENTITY)

    again = Event.from_bytes(event.to_bytes())

    assert again == event
    assert verify_event(again, IDENTITY.public_key)
    assert not verify_event(again, make_identity("other").public_key)


def test_an_event_made_of_a_table_is_the_constructor_s() -> None:
    """The quick way gives the same event, and refuses a name that is missing or unknown."""
    event = make_event(IDENTITY)
    values = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}

    assert Event.of(values) == event
    assert Event.of(values).to_bytes() == event.to_bytes()
    for wrong in ({"ver": 1}, values | {"colour": 7}):
        with pytest.raises(TypeError):
            Event.of(wrong)


def test_an_answered_draft_is_what_its_bytes_say() -> None:
    """A draft with an answer and a signature equals the event read from the same bytes."""
    draft = dataclasses.replace(make_event(IDENTITY), tac=bytes(4), result=Result.TORN)
    answer: dict[str, Any] = {"tac": b"\x01\x02\x03\x04", "result": Result.OK}
    whole = dataclasses.replace(draft, **answer)

    answered = draft.answered(whole.signed_bytes, b"s" * 64, answer)

    assert answered == Event.from_bytes(whole.signed_bytes + b"s" * 64)
    assert answered.to_bytes() == whole.signed_bytes + b"s" * 64


@pytest.mark.parametrize("offset", range(EVENT_SIZE))
def test_any_flip_breaks_the_signature(offset: int) -> None:
    """One flipped bit in any of the 224 bytes makes the signature wrong."""
    raw = bytearray(make_event(IDENTITY).to_bytes())
    raw[offset] ^= 1 << (offset % 8)

    assert not verify_event(Event.from_bytes(bytes(raw)), IDENTITY.public_key)


def test_the_three_hashes_cover_what_they_say() -> None:
    """Identity of the content: 160 bytes; chain: 224; h8: core and prev with its own prefix."""
    event = make_event(IDENTITY)
    raw = event.to_bytes()

    assert content_hash(event) == content_hash(raw) == hashlib.sha256(raw[:160]).digest()
    assert event_hash(event) == event_hash(raw) == hashlib.sha256(raw).digest()
    expected = hashlib.sha256(b"yika/core/1\0" + raw[:96] + raw[128:160]).digest()[:8]
    assert core_digest(event) == expected


def test_h8_does_not_depend_on_the_card_answer() -> None:
    """The card is asked before it answers: bytes 96 to 127 are not under h8."""
    event = make_event(IDENTITY)

    changed = dataclasses.replace(event, tac=bytes(4), card_ctr=9, cg2=bytes(8), result=1)

    assert core_digest(changed) == core_digest(event)


def test_genesis_binds_terminal_and_key() -> None:
    """The first prev is of the terminal's number and key."""
    expected = hashlib.sha256(b"yika/chain/1\0" + (5).to_bytes(8) + IDENTITY.public_key).digest()

    assert genesis_prev(5, IDENTITY.public_key) == expected
    assert genesis_prev(6, IDENTITY.public_key) != expected


def test_payload_takes_the_room_of_the_answer() -> None:
    """A payload stands in 96 to 127, is signed, and reads back."""
    payload = build(EventType.ACK_ANCHOR, receipt_hash=bytes(range(32)))
    event = make_event(IDENTITY, type=EventType.ACK_ANCHOR, payload=payload)

    assert event.to_bytes()[96:128] == event.payload == payload
    assert verify_event(event, IDENTITY.public_key)


def test_an_intent_is_an_event_without_signature() -> None:
    """The 160 bytes of an INTENT read as the event they announce."""
    event = make_event(IDENTITY)

    intent = Event.from_signed_bytes(event.signed_bytes)

    assert intent == dataclasses.replace(event, signature=bytes(64))
    with pytest.raises(WrongLength):
        Event.from_signed_bytes(event.to_bytes())


def test_instants_are_joined() -> None:
    """Seconds and milliseconds make one number; the BCD time is the card's second."""
    event = make_event(IDENTITY, utc_s=1_795_222_800, utc_ms=7, up_s=2, up_ms=3)

    assert event.utc_total_ms == 1_795_222_800_007
    assert event.up_total_ms == 2003
    assert event.bcd() == bcd_datetime(1_795_222_800, 32)


@pytest.mark.parametrize(
    ("field", "value"),
    [("seq", 2**32), ("card_asn", bytes(9)), ("tz_q", 128), ("terminal_id", -1)],
)
def test_values_that_do_not_fit_are_named(field: str, value: int | bytes) -> None:
    """A value too large or of a wrong length is refused by its field's name."""
    event = dataclasses.replace(make_event(IDENTITY), **{field: value})

    with pytest.raises(FieldError, match=field):
        event.to_bytes()


@pytest.mark.parametrize("kind", EventType)
@pytest.mark.parametrize("result", Result)
def test_running_totals_count_taps_made_or_torn(kind: EventType, result: Result) -> None:
    """IN and OUT count one, SWITCH one in both, and only when made or torn."""
    event = dataclasses.replace(make_event(IDENTITY), type=kind, result=result)
    counted = result in (Result.OK, Result.TORN)
    n_in = counted and kind in (EventType.IN, EventType.SWITCH)
    n_out = counted and kind in (EventType.OUT, EventType.SWITCH)

    assert tap_counts(event) == (int(n_in), int(n_out))


def test_proven_types() -> None:
    """Seven types carry a card's answer; an unknown code does not."""
    assert {kind for kind in range(256) if is_proven(kind)} == {int(kind) for kind in PROVEN_TYPES}
