# SPDX-License-Identifier: Apache-2.0
"""Minutes of today as the journal has them."""

from __future__ import annotations

import pytest

from swipe import payloads
from swipe.event import Event
from swipe.kinds import EventType, Flag, Result
from terminal.modes.enquiry import last_counted, minutes_today
from tests.factories import UTC_S, make_event


def tap(seq: int, kind: EventType, minute: int) -> Event:
    """Return a tap so many minutes into the morning."""
    return make_event(seq=seq, type=kind, utc_s=UTC_S + 60 * minute)


def undo(seq: int, of: int) -> Event:
    """Return the event that undoes a tap."""
    payload = payloads.build(EventType.VOID_LAST, voided_seq=of)
    return make_event(seq=seq, type=EventType.VOID_LAST).with_payload(payload)


@pytest.mark.parametrize(
    ("events", "minutes"),
    [
        ([], 0),
        ([tap(1, EventType.IN, 0)], 120),
        ([tap(1, EventType.IN, 0), tap(2, EventType.OUT, 30)], 30),
        ([tap(1, EventType.IN, 0), tap(2, EventType.SWITCH, 30), tap(3, EventType.OUT, 50)], 50),
        ([tap(1, EventType.OUT, 30)], 0),
        ([tap(1, EventType.IN, 0), tap(2, EventType.OUT, 30), undo(3, 2)], 120),
        ([tap(1, EventType.IN, 0), undo(2, 1)], 0),
        ([tap(1, EventType.TRAINING, 0)], 0),
    ],
)
def test_minutes_between_taps(events: list[Event], minutes: int) -> None:
    """INs and OUTs in pairs, an open IN until now, nothing for what was undone or training."""
    assert minutes_today(events, UTC_S + 120 * 60) == minutes


def marked(seq: int, flags: int, result: Result = Result.OK) -> Event:
    """Return an IN with these flags and this result."""
    return make_event(seq=seq, type=EventType.IN, flags=flags, result=result)


@pytest.mark.parametrize(
    ("events", "seq"),
    [
        ([], 0),
        ([tap(1, EventType.IN, 0), tap(2, EventType.OUT, 30)], 2),
        ([tap(1, EventType.IN, 0), tap(2, EventType.OUT, 30), undo(3, 2)], 1),
        ([tap(1, EventType.IN, 0), undo(2, 1)], 0),
        ([tap(1, EventType.SWITCH, 0), tap(2, EventType.TRAINING, 9)], 1),
        ([marked(1, 0, Result.TORN)], 0),
        ([marked(1, Flag.HOTLISTED)], 0),
        ([marked(1, Flag.EXPIRED)], 0),
        ([marked(1, Flag.MINOR)], 0),
        ([marked(1, Flag.MINOR | Flag.GUARDIAN_PRESENT | Flag.OFFLINE)], 1),
    ],
)
def test_only_what_counts_is_worth_a_slip(events: list[Event], seq: int) -> None:
    """No paper says more than the screen did: not for undone, torn, lost or expired cards."""
    found = last_counted(events)

    assert (0 if found is None else found.seq) == seq
