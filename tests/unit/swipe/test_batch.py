# SPDX-License-Identifier: Apache-2.0
"""The batch: header and events bound to each other and to one key."""

from __future__ import annotations

import dataclasses

import pytest

from swipe import arrays, batch
from swipe.batch import (
    BATCH_LAYOUT,
    HEADER_SIGNED,
    HEADER_SIZE,
    MAX_BATCH_EVENTS,
    BatchStamp,
    build_batch,
    faults,
    split,
)
from swipe.errors import TooMany, UnknownVersion, WrongEvents, WrongLength
from swipe.event import EVENT_SIZE, Event, event_hash
from swipe.kinds import BatchFlag, BatchKind, EventType, Result
from swipe.payloads import build
from tests.factories import KEY_ID, TERMINAL_ID, make_batch, make_chain, make_event, make_identity

IDENTITY = make_identity()
EVENTS = make_chain(5, IDENTITY)
BODY = make_batch(EVENTS, IDENTITY, batch_no=9, flags=BatchFlag.MORE)


def _rejoined(events: list[Event]) -> bytes:
    return BODY[:HEADER_SIZE] + b"".join(event.to_bytes() for event in events)


def test_a_batch_splits_into_what_it_was_made_of() -> None:
    """Header and events come back, and nothing in them is at odds."""
    header, events = split(BODY)

    assert (header.terminal_id, header.key_id, header.batch_no) == (TERMINAL_ID, KEY_ID, 9)
    assert (header.first_seq, header.count, header.last_seq) == (1, 5, 5)
    assert (header.n_in, header.n_out, header.n_rej) == (3, 2, 0)
    assert header.head == event_hash(EVENTS[-1])
    assert header.flags == BatchFlag.MORE
    assert [event.tobytes() for event in events] == [event.to_bytes() for event in EVENTS]
    assert faults(header, events) == []
    assert batch.verify(header, IDENTITY.public_key)


def test_sizes_are_those_of_the_format() -> None:
    """128 signed bytes, a signature of 64, and 224 for each event."""
    assert (BATCH_LAYOUT.size, HEADER_SIGNED) == (HEADER_SIZE, 128)
    assert len(BODY) == HEADER_SIZE + 5 * EVENT_SIZE


@pytest.mark.parametrize("offset", range(HEADER_SIZE))
def test_any_flip_in_the_header_is_seen(offset: int) -> None:
    """One flipped bit in the header breaks its form or its signature."""
    raw = bytearray(BODY)
    raw[offset] ^= 1 << (offset % 8)

    try:
        header, _ = split(bytes(raw))
    except (UnknownVersion, WrongLength, TooMany):
        return
    assert not batch.verify(header, IDENTITY.public_key)


@pytest.mark.parametrize("offset", range(0, 5 * EVENT_SIZE, 37))
def test_any_flip_in_the_events_is_seen(offset: int) -> None:
    """One flipped bit in the events breaks the root under the header's signature."""
    raw = bytearray(BODY)
    raw[HEADER_SIZE + offset] ^= 1
    header, events = split(bytes(raw))

    assert batch.verify(header, IDENTITY.public_key)
    assert "root" in faults(header, events)


def test_swapped_events_are_seen() -> None:
    """Two events in the wrong order break numbers, root and chain, not the header."""
    header, events = split(_rejoined([EVENTS[i] for i in (0, 2, 1, 3, 4)]))

    assert faults(header, events) == ["first_seq", "root", "chain"]


def test_totals_are_recounted() -> None:
    """A header whose totals are not those of its events is told by the field."""
    header, events = split(BODY)
    lying = dataclasses.replace(header, n_in=4, n_rej=1)

    assert faults(lying, events) == ["n_in", "n_rej"]


def test_rejected_and_resolved_taps_count_as_they_should() -> None:
    """Rejected taps count as n_rej; resolved ones count nowhere."""
    changes = [
        {"type": EventType.REJECTED, "payload": build(EventType.REJECTED, reason=1)},
        {"type": EventType.TORN_RESOLVED, "result": Result.RESOLVED},
        {"type": EventType.OUT, "result": Result.TORN},
        {"type": EventType.SWITCH},
    ]
    header, events = split(make_batch(make_chain(4, IDENTITY, changes=changes), IDENTITY))

    assert (header.n_in, header.n_out, header.n_rej) == (1, 2, 1)
    assert [int(part.sum()) for part in arrays.tap_counts(events)] == [1, 2, 1]


@pytest.mark.parametrize("length", [0, 191, 192, 192 + 223, len(BODY) - 1, len(BODY) + 1])
def test_wrong_lengths_are_refused(length: int) -> None:
    """A batch that is cut, extended or empty is refused with its length."""
    with pytest.raises(WrongLength):
        split((BODY + b"\0")[:length])


def test_a_count_beyond_the_limit_is_refused_first() -> None:
    """A header that announces more than the limit is refused by that number."""
    header = dataclasses.replace(split(BODY)[0], count=MAX_BATCH_EVENTS + 1)

    with pytest.raises(TooMany, match="1001 events"):
        split(header.to_bytes() + BODY[HEADER_SIZE:])


def test_an_unknown_version_is_named() -> None:
    """A batch of a later format is told from a broken one."""
    with pytest.raises(UnknownVersion, match="version 2"):
        split(b"\x02" + BODY[1:])


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([], "none"),
        ([EVENTS[0], EVENTS[2]], "consecutive"),
        ([EVENTS[0], make_event(IDENTITY, seq=2, terminal_id=5)], "terminals differ"),
    ],
)
def test_events_that_make_no_batch_are_refused(events: list[Event], reason: str) -> None:
    """A builder takes consecutive events of one terminal, at least one."""
    stamp = BatchStamp(BatchKind.LIVE, KEY_ID, 1, 0)

    with pytest.raises(WrongEvents, match=reason):
        build_batch(stamp, [event.to_bytes() for event in events], IDENTITY)


def test_a_builder_keeps_the_limit() -> None:
    """1001 events are refused before anything is signed."""
    stamp = BatchStamp(BatchKind.LIVE, KEY_ID, 1, 0)

    with pytest.raises(TooMany):
        build_batch(stamp, [EVENTS[0].to_bytes()] * (MAX_BATCH_EVENTS + 1), IDENTITY)


@pytest.mark.parametrize("first_seq", [2, 2**32, 2**63, 2**64 - 1])
def test_no_first_number_is_too_large_to_be_wrong(first_seq: int) -> None:
    """A header whose first number is not its events' is named, whatever the number."""
    header, events = batch.split(make_batch(EVENTS))
    changed = dataclasses.replace(header, first_seq=first_seq)

    assert "first_seq" in batch.faults(changed, events)
