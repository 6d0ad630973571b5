# SPDX-License-Identifier: Apache-2.0
"""The alarm list of hours: what waits too long, and leaders who tap for too many."""

from __future__ import annotations

from server.reconciliation.alarms import GROUP_DAYS, QUEUE_DAYS, Alarm, alarms
from server.reconciliation.corrections import Said
from server.reconciliation.parameters import DAY_MS
from server.reconciliation.rules_set import declare_lost
from swipe.kinds import EventType, Flag
from tests.factories import SITE, UTC_S
from tests.integration.server.rig import Rig
from tests.integration.server.test_hours import derive, hours, new_card, one_tap

MORNING_S = UTC_S - 10 * 3600
FIRST_POST = 7_000


def serve(rig: Rig, which: int, length_s: int, flags: int = 0) -> int:
    """Let somebody serve once, the tap-in with these flags; return the person."""
    person, asn = new_card(rig)
    post = rig.add_post(FIRST_POST + which)
    changes = [
        {
            "card_asn": asn, "card_ctr": tap, "type": (EventType.IN, EventType.OUT)[tap],
            "utc_s": MORNING_S + tap * length_s, "up_s": 10 + tap * length_s,
            "flags": 0 if tap else flags,
        }
        for tap in (0, 1)
    ]  # fmt: skip
    events = post.chain(2, rig.store, changes=changes)
    assert rig.put(post.batch(events), 1, post.terminal_id).status == 200
    return person


def listed(rig: Rig, after_days: int = 0) -> list[Alarm]:
    """Return the alarms as they are now, or some days later."""
    with rig.database.reading() as session:
        return alarms(session, rig.clock.utc_ms() + after_days * DAY_MS)


def test_a_site_where_the_leader_taps_for_many_is_listed(rig: Rig) -> None:
    """Five of ten hours by the leader are no alarm, ten of fifteen are, and four weeks end it."""
    people = [serve(rig, 0, 5 * 3600, Flag.OPERATOR_OVERRIDE), serve(rig, 1, 5 * 3600)]
    derive(rig, None)
    assert [hours(rig, person)[0][1] for person in people] == [300, 300]
    assert listed(rig) == []

    serve(rig, 2, 5 * 3600, Flag.OPERATOR_OVERRIDE)
    derive(rig, None)

    (found,) = listed(rig)
    assert (found.kind, found.subject) == ("group", f"site:{SITE} ? 66%")
    assert found.since_ms == rig.clock.utc_ms() - GROUP_DAYS * DAY_MS
    assert listed(rig, GROUP_DAYS) == []


def test_a_small_share_is_no_alarm(sqlite_rig: Rig) -> None:
    """Ten hours by the leader among sixty are helping out."""
    rig = sqlite_rig
    for which in range(12):
        serve(rig, which, 5 * 3600, Flag.OPERATOR_OVERRIDE if which < 2 else 0)
    derive(rig, None)

    assert listed(rig) == []


def test_an_entry_nobody_settles_is_listed(sqlite_rig: Rig) -> None:
    """A tap-out alone waits for a leader; after a week it is on the list."""
    rig = sqlite_rig
    person, asn = new_card(rig)
    one_tap(rig, asn, EventType.OUT)
    derive(rig, [person])

    assert listed(rig, QUEUE_DAYS - 1) == []
    assert [item.kind for item in listed(rig, QUEUE_DAYS)] == ["queue"]


def test_a_lost_terminal_is_listed(sqlite_rig: Rig) -> None:
    """A terminal declared lost is named with the instant since when."""
    rig = sqlite_rig
    post = rig.add_post(FIRST_POST)
    with rig.database.writing() as session:
        said = Said("wang", "仓库火灾", rig.clock.utc_ms())
        declare_lost(session, post.terminal_id, 5, said)

    assert [(item.kind, item.since_ms) for item in listed(rig)] == [("lost", 5)]
