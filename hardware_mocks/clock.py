# SPDX-License-Identifier: Apache-2.0
"""One clock for all programs of a demonstration: eight bytes in a file that everybody maps.

The file holds UTC in milliseconds, big-endian. One program owns it (`DayClock`: it goes on by
itself at the pace of real time and leaps when told); every other program reads it (`FileClock`).
Eight aligned bytes are read and written whole, so a reader never sees half a time.
"""

from __future__ import annotations

import contextlib
import mmap
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

SIZE = 8
TICK_S = 0.02  # the clock's grain: well below the second that an event records
_UTC = struct.Struct(">Q")


class ClockRunsBack(ValueError):
    """The day clock was told to return to a time it has already shown."""

    def __init__(self, now_ms: int, wanted_ms: int) -> None:
        super().__init__(f"the day clock stands at {now_ms} ms and cannot return to {wanted_ms} ms")
        self.now_ms = now_ms
        self.wanted_ms = wanted_ms


class FileClock:
    """Read the day clock, as a device with its own start and, if so wished, a wrong wall clock.

    Args:
        path: the clock file.
        wall_offset_ms: how far this device's wall clock is ahead; its uptime is always true.
    """

    def __init__(self, path: Path, *, wall_offset_ms: int = 0) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), SIZE, access=mmap.ACCESS_READ)
        self._wall_offset_ms = wall_offset_ms
        self._start_ms = self._true_ms()

    def utc_ms(self) -> int:
        """Return the device's wall clock in milliseconds UTC."""
        return self._true_ms() + self._wall_offset_ms

    def uptime_ms(self) -> int:
        """Return the milliseconds of the day that passed since this clock was opened."""
        return self._true_ms() - self._start_ms

    def _true_ms(self) -> int:
        return int(_UTC.unpack(self._map[:SIZE])[0])


class DayClock:
    """Own the clock file: tick along with real time, leap forward on request, never back."""

    def __init__(self, path: Path, utc_ms: int) -> None:
        path.write_bytes(_UTC.pack(utc_ms))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), SIZE)
        self.path = path
        self._base_ms = utc_ms
        self._base_ns = time.monotonic_ns()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._ticker: threading.Thread | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator[DayClock]:
        """Tick in a thread of this process until the block is left."""
        self._base_ns = time.monotonic_ns()
        self._ticker = threading.Thread(target=self._tick, name="day-clock", daemon=True)
        self._ticker.start()
        try:
            yield self
        finally:
            self._ended.set()
            self._ticker.join()

    def utc_ms(self) -> int:
        """Return the time the file shows."""
        return int(_UTC.unpack(self._map[:SIZE])[0])

    def leap_to(self, utc_ms: int) -> None:
        """Show `utc_ms` at once and go on from there.

        Raises:
            ClockRunsBack: the clock has already passed that time.
        """
        with self._lock:
            now_ms = self.utc_ms()
            if utc_ms < now_ms:
                raise ClockRunsBack(now_ms, utc_ms)
            self._base_ms = utc_ms
            self._base_ns = time.monotonic_ns()
            self._map[:SIZE] = _UTC.pack(utc_ms)

    def _tick(self) -> None:
        while not self._ended.wait(TICK_S):
            with self._lock:
                elapsed_ms = (time.monotonic_ns() - self._base_ns) // 1_000_000
                self._map[:SIZE] = _UTC.pack(self._base_ms + elapsed_ms)
