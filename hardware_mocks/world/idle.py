# SPDX-License-Identifier: Apache-2.0
"""What stands round a terminal's loop in a world: an empty antenna, a GPS that may lie, a link."""

from __future__ import annotations

from dataclasses import dataclass

from card.errors import NoCard
from card.readers import CardConnection
from hardware_mocks.world.clocks import TrueTime
from terminal.courier import Standing
from terminal.devices.protocols import DeviceState, Fix

# Where the receivers believe to be: a park in Shenzhen.
LAT, LON = 225_700_000, 1_140_600_000


class EmptyReader:
    """An antenna without a card: cards are presented to the program by the world itself."""

    name = "world:"

    def wait_card(self, timeout_s: float) -> bool:  # noqa: ARG002 - the reader's interface
        """Say that none came."""
        return False

    def wait_removed(self, timeout_s: float) -> bool:  # noqa: ARG002 - the reader's interface
        """Say that it left."""
        return True

    def connect(self) -> CardConnection:
        """Find no card."""
        raise NoCard

    def close(self) -> None:
        """Nothing to give back."""


@dataclass(slots=True)
class WorldGps:
    """A receiver that proposes a time so many seconds beside the true one; None: no receiver."""

    time: TrueTime
    lie_s: int | None = None

    @property
    def state(self) -> DeviceState:
        """Say how it is."""
        return DeviceState.NONE if self.lie_s is None else DeviceState.OK

    def fix(self) -> Fix | None:
        """Return what it proposes."""
        if self.lie_s is None:
            return None
        return Fix(LAT, LON, self.time.now_ms // 1000 + self.lie_s, 7, 12)

    def not_before(self, utc_s: int) -> None:
        """Take note of nothing: it lies."""

    def close(self) -> None:
        """Nothing to give back."""


class QuietLink:
    """The courier as the loop sees it; the world itself says when to talk."""

    standing = Standing()

    def hurry(self) -> None:
        """Leave it to the world."""
