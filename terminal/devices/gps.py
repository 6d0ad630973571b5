# SPDX-License-Identifier: Apache-2.0
"""A GPS receiver on a serial line: it proposes position and time, and sets nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

from terminal.devices.nmea import FixGate, SentenceCutter
from terminal.devices.protocols import DeviceState, Fix
from terminal.serial_line import SerialLine

READ_MAX = 8_192  # eight seconds of a receiver at 9600 baud; the rest stays in the kernel
SILENT_S = 10.0  # a receiver speaks every second
GARBAGE_NOISE = 200  # so much noise without one good sentence is another device or another speed


class SerialGps:
    """Read sentences whenever somebody asks for the fix."""

    def __init__(self, device: str, baud: int, now: Callable[[], float] = time.monotonic) -> None:
        self._line = SerialLine(device, baud)
        self._now = now
        self._cutter = SentenceCutter()
        self._gate = FixGate()
        self._heard_s: float | None = None

    @property
    def state(self) -> DeviceState:
        """Say whether it is there, speaks NMEA, and has a fix."""
        self._listen()
        now_s = self._now()
        if not self._line.is_open:
            return DeviceState.OFFLINE
        if self._heard_s is None or now_s - self._heard_s > SILENT_S:
            noisy = self._cutter.noise >= GARBAGE_NOISE
            return DeviceState.GARBAGE if noisy else DeviceState.OFFLINE
        return DeviceState.OK if self._gate.fix(now_s) else DeviceState.SEARCHING

    def fix(self) -> Fix | None:
        """Return the newest fix that passed every gate and is not stale."""
        self._listen()
        return self._gate.fix(self._now())

    def not_before(self, utc_s: int) -> None:
        """Believe no date before this signed time."""
        self._gate.not_before(utc_s)

    def close(self) -> None:
        """Close the line."""
        self._line.close()

    def _listen(self) -> None:
        now_s = self._now()
        for sentence in self._cutter.feed(self._line.read(READ_MAX)):
            self._heard_s = now_s
            self._cutter.noise = 0
            self._gate.take(sentence, now_s)
