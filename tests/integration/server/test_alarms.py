# SPDX-License-Identifier: Apache-2.0
"""Terminals that staff must look at, each measured by its own habits."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from server.ingest import alarms, policy, silence
from server.ingest.models import Batch
from server.runtime import EXTENSION
from server.terminals.models import Terminal
from server.transparency.alarm_watch import AlarmWatch
from tests.factories import TERMINAL_ID
from tests.integration.server.rig import NOW_MS, Rig

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# 2026-09-21, a Monday, midnight in Shanghai.
MONDAY_MS = 1_789_920_000_000


def heard(rig: Rig, instants: list[int]) -> None:
    """Let a terminal have uploaded at some instants."""
    with rig.database.writing() as session:
        for number, at_ms in enumerate(instants, 1000):
            session.add(
                Batch(
                    terminal_id=TERMINAL_ID, batch_no=number, sha256=bytes(32), first_seq=1,
                    count=1, up_to_seq=1, received_ms=at_ms, header=bytes(192),
                    receipt=bytes(192), anchor=bytes(8), answer=0,
                )
            )  # fmt: skip
        session.execute(sa.update(Terminal).values(last_contact_ms=max(instants)))


def is_silent(rig: Rig, now_ms: int) -> bool:
    """Tell whether the terminal is silent at an instant."""
    with rig.database.reading() as session:
        return bool(silence.silent(session, now_ms))


def office(weeks: int) -> list[int]:
    """Return the uploads of an office: Monday to Friday, 9 to 18 o'clock, every half hour."""
    return [
        MONDAY_MS + (7 * week + day) * DAY_MS + 9 * HOUR_MS + half * HOUR_MS // 2
        for week in range(weeks)
        for day in range(5)
        for half in range(19)
    ]


def test_an_office_may_be_silent_over_a_weekend_not_over_a_night(rig: Rig) -> None:
    """The pause from Friday to Monday is usual; the same pause from Tuesday on is an alarm."""
    uploads = office(5)
    heard(rig, uploads)
    friday_evening = uploads[-1]

    assert not is_silent(rig, friday_evening + 64 * HOUR_MS)
    assert is_silent(rig, friday_evening + 80 * HOUR_MS)

    heard_on_tuesday = [at for at in uploads if at < MONDAY_MS + 30 * DAY_MS]
    with rig.database.writing() as session:
        session.execute(sa.update(Terminal).values(last_contact_ms=heard_on_tuesday[-1]))
    assert not is_silent(rig, heard_on_tuesday[-1] + 16 * HOUR_MS)
    assert is_silent(rig, heard_on_tuesday[-1] + 20 * HOUR_MS)


def test_a_kiosk_that_never_sleeps_is_missed_within_the_hour(rig: Rig) -> None:
    """A terminal that uploads every five minutes is alarmed after half an hour."""
    uploads = [MONDAY_MS + step * 300_000 for step in range(10 * 288)]
    heard(rig, uploads)

    assert not is_silent(rig, uploads[-1] + 25 * 60_000)
    assert is_silent(rig, uploads[-1] + 31 * 60_000)


def test_a_new_terminal_has_a_day(rig: Rig) -> None:
    """Without a habit a terminal counts from when it was ordered, and has a day."""
    assert not is_silent(rig, NOW_MS + 23 * HOUR_MS)
    assert is_silent(rig, NOW_MS + 25 * HOUR_MS)


def test_one_holiday_does_not_become_a_habit() -> None:
    """The longest of four or more same weekdays is left out; with three it counts."""
    weeks = {7 * week: 14 * HOUR_MS for week in range(5)}

    assert policy.usual_pause_ms(weeks | {21: 200 * HOUR_MS}, 35) == 14 * HOUR_MS
    assert policy.usual_pause_ms({0: 1, 7: 9, 14: 2}, 21) == 9
    assert policy.usual_pause_ms({0: 1}, 7) is None


@pytest.mark.parametrize("usual", [0, 1, HOUR_MS, 100 * DAY_MS])
def test_the_limit_has_a_floor_and_a_ceiling(usual: int) -> None:
    """Whatever the habit, nobody is called before half an hour or left alone after two weeks."""
    limit = policy.silence_limit_ms(usual)

    assert policy.SILENCE_MIN_MS <= limit <= policy.SILENCE_MAX_MS


def test_gaps_forks_and_settlements_are_alarms(rig: Rig) -> None:
    """A missing range, a fork with its quarantine: each is listed with its numbers."""
    events = rig.chain(6)
    rig.upload(events[:2], 1)
    rig.upload(events[4:], 2)
    rig.upload(rig.chain(1, start=events[0], changes=[{"site": 9}]), 3)

    with rig.database.reading() as session:
        found = alarms.alarms(session, NOW_MS)

    assert [(alarm.kind, alarm.en) for alarm in found[:2]] == [
        ("gap", "3–4 missing"), ("forked", "forked at 2"),
    ]  # fmt: skip
    assert alarms.counts(found) == {
        "silent": 0, "gap": 1, "forked": 1, "quarantined": 1, "psam": 0, "ended": 0, "unsettled": 0,
    }  # fmt: skip


def test_metrics_follow_and_a_clock_set_back_does_no_harm(sqlite_rig: Rig, tmp_path: Path) -> None:
    """The gauges rise and fall with the alarms, also when the server's clock steps back."""
    rig = sqlite_rig
    runtime = rig.app(tmp_path).extensions[EXTENSION]
    watch = AlarmWatch(runtime)
    gauge = runtime.metrics.terminals.labels("silent")
    seen = []
    for step_ms in (0, 25 * HOUR_MS, 10 * HOUR_MS):
        rig.clock.now_ms = NOW_MS + step_ms
        watch.look()
        seen.append(gauge._value.get())

    assert seen == [0, 1, 0]
