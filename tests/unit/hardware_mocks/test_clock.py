# SPDX-License-Identifier: Apache-2.0
"""The day clock: one time for all programs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hardware_mocks.clock import ClockRunsBack, DayClock, FileClock

MORNING_MS = 1_792_279_800_000  # 2026-10-17T23:30:00Z


def test_every_reader_shows_the_owners_time(tmp_path: Path) -> None:
    """A leap of the owner is seen at once by every program that maps the file."""
    day = DayClock(tmp_path / "clock", MORNING_MS)
    readers = [FileClock(day.path), FileClock(day.path)]

    day.leap_to(MORNING_MS + 3_600_000)

    assert [reader.utc_ms() for reader in readers] == [MORNING_MS + 3_600_000] * 2


def test_uptime_counts_from_the_opening(tmp_path: Path) -> None:
    """A program started later has less uptime, as a device has."""
    day = DayClock(tmp_path / "clock", MORNING_MS)
    early = FileClock(day.path)
    day.leap_to(MORNING_MS + 1000)
    late = FileClock(day.path)
    day.leap_to(MORNING_MS + 1500)

    assert (early.uptime_ms(), late.uptime_ms()) == (1500, 500)


def test_wrong_wall_clock_has_a_true_uptime(tmp_path: Path) -> None:
    """An offset moves what the device believes, never how long it has been running."""
    day = DayClock(tmp_path / "clock", MORNING_MS)
    fast = FileClock(day.path, wall_offset_ms=7_200_000)
    day.leap_to(MORNING_MS + 60_000)

    assert (fast.utc_ms(), fast.uptime_ms()) == (MORNING_MS + 7_260_000, 60_000)


def test_day_clock_never_runs_back(tmp_path: Path) -> None:
    """A leap into the past is refused and changes nothing."""
    day = DayClock(tmp_path / "clock", MORNING_MS)

    with pytest.raises(ClockRunsBack) as refusal:
        day.leap_to(MORNING_MS - 1)

    assert (refusal.value.now_ms, refusal.value.wanted_ms) == (MORNING_MS, MORNING_MS - 1)
    assert day.utc_ms() == MORNING_MS


def test_running_clock_ticks_with_real_time(tmp_path: Path) -> None:
    """While it runs, the clock goes on by itself from wherever it was set."""
    day = DayClock(tmp_path / "clock", MORNING_MS)

    with day.running():
        day.leap_to(MORNING_MS + 60_000)
        limit = time.monotonic() + 5
        while day.utc_ms() < MORNING_MS + 60_100 and time.monotonic() < limit:
            time.sleep(0.005)

    assert MORNING_MS + 60_100 <= day.utc_ms() < MORNING_MS + 65_000
