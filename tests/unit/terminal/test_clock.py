# SPDX-License-Identifier: Apache-2.0
"""The terminal's time: sources, uncertainty, corrections."""

from __future__ import annotations

import pytest

from terminal.clock import (
    UNKNOWN_UNCERTAINTY_MS,
    Earlier,
    Fix,
    SystemClock,
    TerminalTime,
    drift_ms,
)
from tests.unit.terminal.clocks import HandClock

HOUR_MS = 3_600_000
NINE = 1_795_222_800_000  # 2026-11-21 09:00 in Shanghai


def time_at(clock: HandClock, **earlier: int | None) -> TerminalTime:
    """Return a terminal's time that starts now."""
    return TerminalTime(clock, 50, Earlier(**earlier))  # type: ignore[arg-type]


def test_without_any_receipt_the_time_is_unknown() -> None:
    """A device's clock that no server ever confirmed is reported as unknown."""
    reading = time_at(HandClock()).now()

    assert (reading.known, reading.unc_ms) == (False, UNKNOWN_UNCERTAINTY_MS)
    assert reading.utc_ms == NINE


def test_uncertainty_grows_with_the_time_since_the_receipt() -> None:
    """After a restart the uncertainty is the receipt's plus the drift since then."""
    reading = time_at(HandClock(), receipt_ms=NINE - 2 * HOUR_MS, receipt_unc_ms=500).now()

    assert (reading.known, reading.unc_ms) == (True, 500 + 360)


def test_uncertainty_grows_within_a_start() -> None:
    """Fifty parts per million are 180 ms an hour."""
    clock = HandClock()
    time = time_at(clock, receipt_ms=NINE, receipt_unc_ms=10)
    clock.advance(3600)

    assert time.now().unc_ms == 190


def test_clock_before_a_known_time_is_unknown() -> None:
    """A clock that runs before what the journal has seen is not believed; time goes on from it."""
    clock = HandClock()
    clock.utc = NINE - HOUR_MS
    time = time_at(clock, floor_ms=NINE, receipt_ms=NINE - 10)
    clock.advance(5)

    assert (time.now().known, time.now().utc_ms) == (False, NINE + 5000)


def test_setting_the_device_clock_moves_no_event() -> None:
    """Within a start only the uptime counts."""
    clock = HandClock()
    time = time_at(clock, receipt_ms=NINE)
    clock.utc += 2 * HOUR_MS
    clock.uptime += 1000

    assert time.now().utc_ms == NINE + 1000


def test_set_clock_is_told_once() -> None:
    """A jump of the device's clock against the uptime is reported, and then taken as it is."""
    clock = HandClock()
    time = time_at(clock, receipt_ms=NINE)
    clock.utc += 2 * HOUR_MS

    assert time.jump() == (NINE, NINE + 2 * HOUR_MS)
    assert time.jump() is None


def test_small_differences_are_no_jump() -> None:
    """Two seconds are what time services correct by themselves."""
    clock = HandClock()
    time = time_at(clock, receipt_ms=NINE)
    clock.utc += 2000

    assert time.jump() is None


def test_receipt_sets_an_unknown_clock() -> None:
    """The first receipt gives the time, its radius half the wait plus the server's own."""
    clock = HandClock()
    time = time_at(clock)
    clock.advance(0.2)
    fix = Fix(NINE + HOUR_MS, 30, clock.uptime - 200, clock.uptime)
    step = time.discipline(fix)

    assert step is not None
    assert (step.old_utc_ms, step.new_utc_ms) == (NINE + 200, NINE + HOUR_MS + 100)
    assert (time.now().unc_ms, time.now().known) == (131, True)


def test_receipt_corrects_a_fast_clock() -> None:
    """A clock two hours fast is stepped back."""
    clock = HandClock()
    clock.utc += 2 * HOUR_MS
    time = time_at(clock, receipt_ms=NINE - HOUR_MS, receipt_unc_ms=1000)
    step = time.discipline(Fix(NINE, 0, clock.uptime, clock.uptime))

    assert step is not None
    assert step.old_utc_ms - step.new_utc_ms == 2 * HOUR_MS
    assert time.now().utc_ms == NINE


def test_small_difference_becomes_uncertainty() -> None:
    """Less than a second is not stepped, so durations stay exact; the uncertainty holds it."""
    clock = HandClock()
    time = time_at(clock, receipt_ms=NINE, receipt_unc_ms=100)
    step = time.discipline(Fix(NINE + 700, 20, clock.uptime, clock.uptime))

    assert step is None
    assert (time.now().utc_ms, time.now().unc_ms) == (NINE, 720)


def test_agreeing_receipt_sharpens_the_time() -> None:
    """A receipt that fits makes the uncertainty smaller and moves nothing."""
    clock = HandClock()
    time = time_at(clock, receipt_ms=NINE, receipt_unc_ms=5000)
    step = time.discipline(Fix(NINE + 40, 20, clock.uptime, clock.uptime))

    assert step is None
    assert (time.now().utc_ms, time.now().unc_ms) == (NINE, 60)


def test_vague_receipt_changes_nothing() -> None:
    """A receipt that took minutes to arrive tells nothing a good clock does not know better."""
    clock = HandClock()
    time = time_at(clock, receipt_ms=NINE, receipt_unc_ms=100)
    step = time.discipline(Fix(NINE - 30_000, 0, clock.uptime - 120_000, clock.uptime))

    assert step is None
    assert (time.now().utc_ms, time.now().unc_ms) == (NINE, 100)


def test_uncertainty_is_capped() -> None:
    """The field's largest value means that nothing is known."""
    time = time_at(HandClock(), receipt_ms=0, receipt_unc_ms=UNKNOWN_UNCERTAINTY_MS)

    assert time.now().unc_ms == UNKNOWN_UNCERTAINTY_MS


@pytest.mark.parametrize(("elapsed", "ppm", "drift"), [(0, 50, 0), (1, 50, 1), (10**6, 5, 5)])
def test_drift_is_rounded_up(elapsed: int, ppm: int, drift: int) -> None:
    """An uncertainty is never understated."""
    assert drift_ms(elapsed, ppm) == drift


def test_system_clock_runs() -> None:
    """The real clocks are in milliseconds and do not run back."""
    clock = SystemClock()
    first = clock.uptime_ms()

    assert clock.utc_ms() > 1_700_000_000_000
    assert clock.uptime_ms() >= first > 0
