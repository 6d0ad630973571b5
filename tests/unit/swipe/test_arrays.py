# SPDX-License-Identifier: Apache-2.0
"""Bulk reading gives, row by row, what single events give."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.purse import bcd_datetime
from swipe import arrays
from swipe.errors import WrongLength
from swipe.event import Event, content_hash, core_digest, event_hash, is_proven, tap_counts
from swipe.kinds import EventType
from tests.factories import make_chain, make_event, make_identity

IDENTITY = make_identity()
CHAIN = make_chain(6, IDENTITY)


def _array(events: list[Event]) -> arrays.EventArray:
    return arrays.view(b"".join(event.to_bytes() for event in events))


ARRAY = _array(CHAIN)


def test_view_refuses_a_broken_last_event() -> None:
    """Bytes that are not whole events are refused."""
    with pytest.raises(WrongLength):
        arrays.view(bytes(223))


def test_hashes_equal_the_single_ones() -> None:
    """Chain hashes, content hashes and h8 are those of each event."""
    for many, single in (
        (arrays.event_hashes(ARRAY), event_hash),
        (arrays.content_hashes(ARRAY), content_hash),
        (arrays.core_digests(ARRAY), core_digest),
    ):
        assert [row.tobytes() for row in many] == [single(event) for event in CHAIN]
    assert arrays.signed_messages(ARRAY) == [event.signed_bytes for event in CHAIN]


def test_hashes_of_a_slice_are_its_own() -> None:
    """A strided or sliced view is hashed as the events it shows."""
    assert arrays.event_hashes(ARRAY[::2])[1].tobytes() == event_hash(CHAIN[2])


def test_a_chain_is_ok_link_by_link() -> None:
    """A changed event breaks the link after it, and only that."""
    broken = list(CHAIN)
    broken[2] = dataclasses.replace(CHAIN[2], site=99)

    assert arrays.chain_ok(ARRAY, CHAIN[0].prev).all()
    assert not arrays.chain_ok(ARRAY, bytes(32))[0]
    assert np.flatnonzero(~arrays.chain_ok(_array(broken))).tolist() == [3]
    assert arrays.chain_ok(ARRAY[:0]).size == 0


def test_contiguous_wants_one_terminal_and_the_next_number() -> None:
    """A missing number and a foreign terminal are breaks."""
    foreign = dataclasses.replace(CHAIN[3], terminal_id=1)

    assert arrays.contiguous(ARRAY).all()
    assert arrays.contiguous(_array([CHAIN[0], CHAIN[2]])).tolist() == [True, False]
    assert arrays.contiguous(_array([CHAIN[2], foreign])).tolist() == [True, False]
    assert arrays.contiguous(_array([CHAIN[2], CHAIN[1]])).tolist() == [True, False]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(-48, 56)), min_size=1))
def test_bcd_equals_the_purse(instants: list[tuple[int, int]]) -> None:
    """Date and time of every row are those the card was sent."""
    table = np.zeros(len(instants), dtype=arrays.EVENT_DTYPE)
    table["utc_s"] = [utc_s for utc_s, _ in instants]
    table["tz_q"] = [tz_q for _, tz_q in instants]

    date, time = arrays.bcd_datetimes(table)

    rows = [(d.tobytes(), t.tobytes()) for d, t in zip(date, time, strict=True)]
    assert rows == [bcd_datetime(*instant) for instant in instants]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 255), st.integers(0, 255))
def test_counts_equal_the_single_ones(kind: int, result: int) -> None:
    """What an event adds to the totals, and whether it is proven, does not depend on the way."""
    event = dataclasses.replace(CHAIN[0], type=kind, result=result)
    row = _array([event])
    n_in, n_out, n_rej = (bool(part[0]) for part in arrays.tap_counts(row))

    assert (n_in, n_out) == tuple(map(bool, tap_counts(event)))
    assert n_rej == (kind == EventType.REJECTED)
    assert bool(arrays.is_proven(row)[0]) == is_proven(kind)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ver", 2),
        ("type", 0x0C),
        ("flags", 0x0800),
        ("flags", 0x8000),
        ("seq", 0),
        ("up_ms", 1000),
        ("utc_ms", 1000),
        ("tz_q", 57),
        ("tz_q", -49),
        ("card_kind", 5),
        ("cg_type", 5),
        ("result", 4),
    ],
)
def test_forbidden_values_are_named(field: str, value: int) -> None:
    """A value the format does not allow is told by its field and its row."""
    bad = dataclasses.replace(CHAIN[1], **{field: value})

    faults = arrays.form_faults(_array([CHAIN[0], bad]))

    assert {name: mask.tolist() for name, mask in faults.items()} == {field: [False, True]}


def test_good_events_have_no_form_faults() -> None:
    """Taps and system events as built are well formed, also where a payload holds byte 127."""
    payload = make_event(IDENTITY, type=EventType.ACK_ANCHOR, payload=b"\xff" * 32)

    assert arrays.form_faults(_array([*CHAIN, payload])) == {}
