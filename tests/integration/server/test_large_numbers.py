# SPDX-License-Identifier: Apache-2.0
"""Numbers as large as their fields: whatever a signed event names, the person is derived."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from server.ingest.models import StoredEvent
from swipe import payloads
from swipe.event import Event
from swipe.kinds import EventType, Flag, RejectReason, Result
from tests.factories import PSAM_NO, UTC_S, make_event
from tests.integration.server.rig import Rig
from tests.integration.server.test_hours import derive, hours, new_card

LARGEST = 2**32 - 1
BEGIN_S = UTC_S - 6 * 3600
HONEST = [(0, 30, "B", "credited")]


def half_an_hour(rig: Rig, asn: bytes) -> None:
    """Upload half an hour of a card at a terminal of its own."""
    post = rig.add_post(900)
    changes = [
        {"card_asn": asn, "card_ctr": tap, "utc_s": BEGIN_S + 1800 * tap, "up_s": 1800 * (tap + 1)}
        for tap in range(2)
    ]
    assert rig.put(post.batch(post.chain(2, rig.store, changes=changes)), 1, 1900).status == 200


def strange(rig: Rig, asn: bytes, **fields: object) -> Event:
    """Sign one event that no sound terminal makes."""
    values = {"card_asn": asn, "psam_no": PSAM_NO, "utc_s": BEGIN_S + 600, "seq": 1}
    return make_event(rig.terminal_identity, **(values | fields))


def settle(rig: Rig, person: int, event: Event) -> None:
    """Upload the event; it is stored as it is, and the person's hours stand as they were."""
    assert rig.upload([event]).status == 200
    with rig.database.reading() as session:
        stored = sa.select(StoredEvent.raw).where(StoredEvent.terminal_id == event.terminal_id)
        assert [bytes(raw) for raw in session.scalars(stored)] == [event.to_bytes()]
    derive(rig, [person])
    derive(rig, None)
    assert [found for found in hours(rig, person) if found[3] == "credited"] == HONEST


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seq", LARGEST), ("boot", LARGEST), ("site", LARGEST), ("activity", LARGEST),
        ("psam_seq", LARGEST), ("unc_ms", LARGEST), ("utc_s", LARGEST), ("up_s", LARGEST),
        ("card_ctr", 0xFFFF), ("flags", 0xFFFF), ("result", 0xFF), ("n_in", LARGEST),
    ],
)  # fmt: skip
def test_a_tap_with_the_largest_number_in_a_field_spoils_nobodys_hours(
    sqlite_rig: Rig, field: str, value: int
) -> None:
    """One field is as large as it can be, without any proof: the hours beside it stand."""
    person, asn = new_card(sqlite_rig)
    half_an_hour(sqlite_rig, asn)
    settle(sqlite_rig, person, strange(sqlite_rig, asn, **{"card_ctr": 9, field: value}))


@pytest.mark.parametrize("kind", [EventType.VOID_LAST, EventType.REJECTED])
def test_an_event_that_names_the_largest_number_names_no_tap(
    sqlite_rig: Rig, kind: EventType
) -> None:
    """An undo and a duplicate of tap 4 294 967 295 touch no other tap."""
    person, asn = new_card(sqlite_rig)
    half_an_hour(sqlite_rig, asn)
    if kind == EventType.VOID_LAST:
        payload = payloads.build(kind, voided_seq=LARGEST, voided_hash=bytes(8))
    else:
        payload = payloads.build(
            kind, reason=RejectReason.DUPLICATE, kind=EventType.IN, utc_s=LARGEST, of_seq=LARGEST,
            result=Result.SUPPRESSED,
        )  # fmt: skip
    flags = int(Flag.DUPLICATE) if kind == EventType.REJECTED else 0
    event = strange(sqlite_rig, asn, type=kind, payload=payload, flags=flags)
    settle(sqlite_rig, person, event)


def test_numbers_beyond_31_bits_stay_apart_and_in_order(sqlite_rig: Rig) -> None:
    """A tap-in and a tap-out with the two largest numbers of a terminal are half an hour."""
    person, asn = new_card(sqlite_rig)
    changes = [
        {
            "card_asn": asn, "card_ctr": tap, "utc_s": BEGIN_S + 1800 * tap,
            "up_s": 1800 * (tap + 1), "seq": LARGEST - 1 + tap, "boot": LARGEST,
        }
        for tap in range(2)
    ]  # fmt: skip
    assert sqlite_rig.upload(sqlite_rig.chain(2, changes=changes)).status == 200
    derive(sqlite_rig, [person])
    assert hours(sqlite_rig, person) == HONEST
