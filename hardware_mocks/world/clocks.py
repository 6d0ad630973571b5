# SPDX-License-Identifier: Apache-2.0
"""True time, which only the world knows, and what devices believe of it."""

from __future__ import annotations

from dataclasses import dataclass

# Friday morning in Shanghai, a working day for everybody.
START_MS = 1_795_222_800_000
# A device without a battery for its clock wakes here: 2000-01-01.
NO_BATTERY_MS = 946_684_800_000


@dataclass(slots=True)
class TrueTime:
    """Milliseconds since 1970-01-01 UTC as they truly pass."""

    now_ms: int = START_MS

    def pass_ms(self, span_ms: int) -> None:
        """Let time pass."""
        self.now_ms += span_ms


@dataclass(slots=True)
class ServerClock:
    """The server's clock: true within what the server declares."""

    time: TrueTime
    error_ms: int = 0

    def utc_ms(self) -> int:
        """Return the server's UTC in milliseconds."""
        return self.time.now_ms + self.error_ms


@dataclass(slots=True)
class DeviceClock:
    """A terminal's crystal and wall clock: they drift together, and the wall clock is set."""

    time: TrueTime
    drift_ppm: int
    offset_ms: int
    started_ms: int = 0
    base_ms: int = 0  # true time since which the wall clock has run from its offset

    def __post_init__(self) -> None:
        self.base_ms = self.started_ms = self.time.now_ms

    def utc_ms(self) -> int:
        """Return what the device's wall clock shows."""
        return self.time.now_ms + self.offset_ms + self._drift(self.time.now_ms - self.base_ms)

    def uptime_ms(self) -> int:
        """Return milliseconds since the power came, by the crystal."""
        passed = self.time.now_ms - self.started_ms
        return passed + self._drift(passed)

    def set_by(self, step_ms: int) -> None:
        """Set the wall clock: it is so much further now."""
        self.offset_ms += step_ms

    def power_on(self, *, battery: bool) -> None:
        """Begin a new uptime; without a battery the wall clock begins anew as well."""
        self.started_ms = self.time.now_ms
        if not battery:
            self.offset_ms, self.base_ms = NO_BATTERY_MS - self.time.now_ms, self.time.now_ms

    def _drift(self, passed_ms: int) -> int:
        return passed_ms * self.drift_ppm // 1_000_000
