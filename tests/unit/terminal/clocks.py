# SPDX-License-Identifier: Apache-2.0
"""A clock for tests: it stands still until it is moved."""

from __future__ import annotations

from tests.factories import UTC_S


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self, utc_s: int = UTC_S, uptime_ms: int = 60_000) -> None:
        self.utc = utc_s * 1000
        self.uptime = uptime_ms

    def utc_ms(self) -> int:
        """Return the time of day it was set to."""
        return self.utc

    def uptime_ms(self) -> int:
        """Return the uptime it was set to."""
        return self.uptime

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.utc += round(seconds * 1000)
        self.uptime += round(seconds * 1000)
