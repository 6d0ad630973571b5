# SPDX-License-Identifier: Apache-2.0
"""The server's clock: the only place where it asks what time it is."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Anything that knows the time in milliseconds UTC."""

    def utc_ms(self) -> int:
        """Return milliseconds since 1970-01-01 UTC."""


class SystemClock:
    """The clock of the operating system."""

    def utc_ms(self) -> int:
        """Return milliseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1_000_000
