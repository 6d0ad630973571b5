# SPDX-License-Identifier: Apache-2.0
"""The terminal's time and how far it may be wrong.

Two sources: the device's clock (wrong by any amount, may jump) and its uptime (steady within some
parts per million). The last receipt of the server says what time it was at a known uptime; from
there the uncertainty grows with the declared drift: *radius of the receipt + elapsed × ppm*.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

UNKNOWN_UNCERTAINTY_MS = 0xFFFF_FFFF  # the largest value of the field: "no idea"
# A correction below this is kept as uncertainty instead of a step, so that durations stay exact.
STEP_MIN_MS = 1_000
# A device clock that departs further than this from the uptime was set by somebody.
JUMP_MIN_MS = 2_000
# Both sources are read as one only if nothing happened in between.
READ_TOGETHER_MS = 20
READ_ATTEMPTS_MAX = 8


class Clock(Protocol):
    """What a device must offer: its idea of UTC and the time since its start, in milliseconds."""

    def utc_ms(self) -> int:
        """Return milliseconds since 1970-01-01 UTC, as the device believes."""

    def uptime_ms(self) -> int:
        """Return milliseconds since the device's start; never runs back."""


class SystemClock:
    """Read the clocks of Linux: CLOCK_REALTIME, and CLOCK_BOOTTIME which counts suspension."""

    def utc_ms(self) -> int:
        """Return the device's UTC in milliseconds."""
        return time.time_ns() // 1_000_000

    def uptime_ms(self) -> int:
        """Return milliseconds since the device was started, suspension included."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the time: what an event records."""

    utc_ms: int
    uptime_ms: int
    unc_ms: int
    known: bool

    @property
    def utc_s(self) -> int:
        """Return whole seconds since 1970-01-01 UTC."""
        return self.utc_ms // 1000


@dataclass(frozen=True, slots=True)
class Fix:
    """A time the server signed: its UTC, its own uncertainty, and the uptimes around it."""

    utc_ms: int
    unc_ms: int
    sent_uptime_ms: int
    received_uptime_ms: int

    @property
    def radius_ms(self) -> int:
        """Return how far the middle of the exchange may be from the signed time.

        >>> Fix(utc_ms=0, unc_ms=10, sent_uptime_ms=100, received_uptime_ms=141).radius_ms
        31
        """
        return self.unc_ms + -(-(self.received_uptime_ms - self.sent_uptime_ms) // 2)


@dataclass(frozen=True, slots=True)
class TimeStep:
    """A correction to be recorded: what the time was, what it is, and how well that is known."""

    old_utc_ms: int
    new_utc_ms: int
    unc_ms: int


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the journal knows of the time before this start; all in UTC milliseconds."""

    floor_ms: int = 0
    receipt_ms: int | None = None
    receipt_unc_ms: int = 0


@dataclass(frozen=True, slots=True)
class _Base:
    utc_ms: int
    uptime_ms: int
    radius_ms: int
    known: bool


class TerminalTime:
    """Keep the terminal's UTC: the device clock at the start, the server's time once known.

    Within one start it advances by the uptime alone, so setting the device's clock moves no event.
    """

    def __init__(self, clock: Clock, drift_ppm: int, earlier: Earlier) -> None:
        self._clock = clock
        self.drift_ppm = drift_ppm
        utc, uptime = self._device()
        self._device_offset = utc - uptime
        self._base = _first_base(utc, uptime, earlier, drift_ppm)

    def now(self) -> Reading:
        """Return the time with its uncertainty."""
        uptime = self._clock.uptime_ms()
        base = self._base
        elapsed = max(0, uptime - base.uptime_ms)
        unc = UNKNOWN_UNCERTAINTY_MS
        if base.known:
            unc = min(base.radius_ms + drift_ms(elapsed, self.drift_ppm), unc)
        return Reading(base.utc_ms + elapsed, uptime, unc, base.known)

    def uptime_ms(self) -> int:
        """Return the uptime alone, for limits and timeouts."""
        return self._clock.uptime_ms()

    def jump(self) -> tuple[int, int] | None:
        """Tell once when the device's clock was set: (expected, found) in UTC milliseconds."""
        utc, uptime = self._device()
        expected = self._device_offset + uptime
        if abs(utc - expected) <= JUMP_MIN_MS:
            return None
        self._device_offset = utc - uptime
        return expected, utc

    def device_astray(self) -> TimeStep | None:
        """Return how the device's clock differs, if the next start may not believe it.

        It may if it is right to within the second that the next start allows it, with all that is
        unsure of the time it is held against.
        """
        utc, _ = self._device()
        now = self.now()
        if now.known and abs(utc - now.utc_ms) + now.unc_ms <= STEP_MIN_MS:
            return None
        return TimeStep(utc, now.utc_ms, now.unc_ms)

    def discipline(self, fix: Fix) -> TimeStep | None:
        """Take the server's time; return the step if the clock had to be set.

        A time that agrees with ours, within what either may be wrong, moves nothing: it can only
        make the uncertainty smaller. So does a difference below a second, which is added to the
        uncertainty: that stays true and keeps durations exact.
        """
        before = self.now()
        middle = (fix.sent_uptime_ms + fix.received_uptime_ms) // 2
        # It may have been signed as soon as the batch had left: all the wait may have drifted.
        since_sent_ms = before.uptime_ms - fix.sent_uptime_ms
        radius = fix.radius_ms + drift_ms(since_sent_ms, self.drift_ppm)
        signed_now = fix.utc_ms + before.uptime_ms - middle
        difference = abs(signed_now - before.utc_ms)
        agrees = difference <= radius + before.unc_ms
        if before.known and (agrees or difference < STEP_MIN_MS):
            if radius + difference < before.unc_ms or not agrees:
                self._rebase(before.utc_ms, before.uptime_ms, radius + difference)
            return None
        self._rebase(signed_now, before.uptime_ms, radius)
        return TimeStep(before.utc_ms, signed_now, self.now().unc_ms)

    def _rebase(self, utc_ms: int, uptime_ms: int, radius_ms: int) -> None:
        self._base = _Base(utc_ms, uptime_ms, radius_ms, known=True)

    def _device(self) -> tuple[int, int]:
        """Read both clocks as of one moment, or as nearly as the machine allows."""
        for _ in range(READ_ATTEMPTS_MAX):
            before = self._clock.uptime_ms()
            utc = self._clock.utc_ms()
            after = self._clock.uptime_ms()
            if after - before <= READ_TOGETHER_MS:
                break
        return utc, after


def drift_ms(elapsed_ms: int, ppm: int) -> int:
    """Return how far a clock of this drift may have gone astray, rounded up.

    >>> drift_ms(3_600_000, 50)
    180
    """
    return -(-abs(elapsed_ms) * ppm // 1_000_000)


def _first_base(utc_ms: int, uptime_ms: int, earlier: Earlier, ppm: int) -> _Base:
    """Judge the device's clock at the start.

    It is believed, with the drift since the last receipt, unless there never was a receipt or it
    runs before a time the terminal has already lived through.
    """
    if utc_ms < earlier.floor_ms:
        return _Base(earlier.floor_ms, uptime_ms, 0, known=False)
    if earlier.receipt_ms is None:
        return _Base(utc_ms, uptime_ms, 0, known=False)
    radius = earlier.receipt_unc_ms + drift_ms(utc_ms - earlier.receipt_ms, ppm)
    return _Base(utc_ms, uptime_ms, radius, known=True)
