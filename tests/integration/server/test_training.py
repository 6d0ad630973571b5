# SPDX-License-Identifier: Apache-2.0
"""Training by tapping: uploads of a terminal in training mode become class-hours, not service."""

from __future__ import annotations

import sqlalchemy as sa

from server.reconciliation.explaining import explain
from server.reconciliation.models import ServiceInterval, TrainingRecord
from server.reconciliation.services import (
    reconcile,
    service_minutes,
    service_minutes_of,
    training,
    training_minutes,
)
from server.terminals.models import Activity
from swipe.kinds import EventType, Flag
from tests.factories import UTC_S
from tests.integration.server.rig import Rig
from tests.integration.server.test_hours import derive, hours, new_card

BEGIN_S = UTC_S - 6 * 3600


def tapped(rig: Rig, asn: bytes, kind: EventType, minutes: tuple[int, ...]) -> None:
    """Upload taps of one card at a terminal of its own, at minutes after the first."""
    post = rig.add_post(int(asn[-3:].hex()) + 1_000_000 + int(kind))
    changes = [
        {
            "card_asn": asn, "card_ctr": number, "type": kind,
            "utc_s": BEGIN_S + 60 * minute, "up_s": 100 + 60 * minute,
        }
        for number, minute in enumerate(minutes)
    ]  # fmt: skip
    events = post.chain(len(changes), rig.store, changes=changes)
    assert rig.put(post.batch(events), 1, post.terminal_id).status == 200


def test_s11_taps_in_training_mode_are_class_hours_and_no_service(sqlite_rig: Rig) -> None:
    """Two taps 95 minutes apart in training mode: two class-hours, no minute of service."""
    person, asn = new_card(sqlite_rig)
    tapped(sqlite_rig, asn, EventType.TRAINING, (0, 95))
    derive(sqlite_rig, [person])

    with sqlite_rig.database.reading() as session:
        record = session.scalars(sa.select(TrainingRecord)).one()
        assert (record.minutes, record.out_seq, record.current) == (95, 2, True)
        assert training(session, person) == 2
        assert training(session, person, unit_minutes=60) == 1
        assert service_minutes(session, person, 0) == 0
    assert hours(sqlite_rig, person) == []


def test_s11_a_class_nobody_left_has_no_minutes_until_the_second_tap_arrives(
    sqlite_rig: Rig,
) -> None:
    """One tap is kept without minutes; deriving again changes nothing."""
    person, asn = new_card(sqlite_rig)
    tapped(sqlite_rig, asn, EventType.TRAINING, (0,))
    derive(sqlite_rig, [person])
    with sqlite_rig.database.writing() as session:
        reconcile(session, [person], sqlite_rig.clock.utc_ms())

    with sqlite_rig.database.reading() as session:
        kept = session.scalars(sa.select(TrainingRecord)).all()
        assert [(row.minutes, row.end_ms, row.current) for row in kept] == [(0, None, True)]
        assert training_minutes(session, [person]) == {}


def test_s11_service_tapped_at_a_training_terminal_is_training(sqlite_rig: Rig) -> None:
    """A tap in with the mark of training mode opens a class, whatever its type says."""
    person, asn = new_card(sqlite_rig)
    post = sqlite_rig.add_post(901_001)
    changes = [
        {
            "card_asn": asn, "card_ctr": number, "type": EventType.IN, "up_s": 100 + 2_700 * number,
            "flags": Flag.TRAINING_MODE, "utc_s": BEGIN_S + 2_700 * number,
        }
        for number in (0, 1)
    ]  # fmt: skip
    events = post.chain(2, sqlite_rig.store, changes=changes)
    assert sqlite_rig.put(post.batch(events), 1, post.terminal_id).status == 200
    derive(sqlite_rig, None)

    with sqlite_rig.database.reading() as session:
        assert training(session, person) == 1


def test_s05_nine_to_eleven_thirty_seven_is_157_minutes(sqlite_rig: Rig) -> None:
    """A tap-in at 9:00 and a tap-out at 11:37 are 157 minutes of service, since then and before."""
    person, asn = new_card(sqlite_rig)
    post = sqlite_rig.add_post(901_002)
    changes = [
        {
            "card_asn": asn, "card_ctr": number, "type": kind, "up_s": 100 + 60 * minute,
            "utc_s": BEGIN_S + 60 * minute,
        }
        for number, (kind, minute) in enumerate(((EventType.IN, 0), (EventType.OUT, 157)))
    ]  # fmt: skip
    events = post.chain(2, sqlite_rig.store, changes=changes)
    assert sqlite_rig.put(post.batch(events), 1, post.terminal_id).status == 200
    derive(sqlite_rig, [person])

    with sqlite_rig.database.reading() as session:
        assert service_minutes(session, person, 0) == 157
        assert service_minutes(session, person, 1000 * UTC_S) == 0
        assert service_minutes_of(session, [person, person + 1]) == {person: 157}


def test_s06_late_arrival_and_early_leave_are_on_record(sqlite_rig: Rig) -> None:
    """Planned 9:00 to 12:00, tapped 9:20 to 11:30: 20 minutes late, 30 early, as it explains."""
    person, asn = new_card(sqlite_rig)
    with sqlite_rig.database.writing() as session:
        planned = Activity(
            site_id=1, code="S06", name_zh="值勤", name_en="duty", start_ms=1000 * BEGIN_S,
            end_ms=1000 * (BEGIN_S + 3 * 3600), family="",
        )  # fmt: skip
        session.add(planned)
        session.flush()
        activity = planned.id
    post = sqlite_rig.add_post(901_003)
    changes = [
        {
            "card_asn": asn, "card_ctr": number, "type": kind, "up_s": 100 + 60 * minute,
            "utc_s": BEGIN_S + 60 * minute, "activity": activity,
        }
        for number, (kind, minute) in enumerate(((EventType.IN, 20), (EventType.OUT, 150)))
    ]  # fmt: skip
    events = post.chain(2, sqlite_rig.store, changes=changes)
    assert sqlite_rig.put(post.batch(events), 1, post.terminal_id).status == 200
    derive(sqlite_rig, [person])

    with sqlite_rig.database.reading() as session:
        row = session.scalars(
            sa.select(ServiceInterval).where(
                ServiceInterval.person == person, ServiceInterval.current
            )
        ).one()
        told = explain(session, row)
    assert told["attendance"] == {"late_minutes": 20, "early_minutes": 30}
    assert told["minutes"] == 130
