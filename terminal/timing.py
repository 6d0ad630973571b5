# SPDX-License-Identifier: Apache-2.0
"""Where the time of a tap goes: per phase, and how much of it is card, PSAM and disk."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from card.operation import Connection
from keys.psam import Psam, PurchaseGrant, PurchaseRequest
from terminal.journal import Journal

# Nanoseconds of a clock that only goes forward.
Ticks = Callable[[], int]


@contextlib.contextmanager
def unswept() -> Iterator[None]:
    """Let the interpreter's sweep for unused objects wait until the person has the answer."""
    swept = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if swept:
            gc.enable()


@dataclass(slots=True)
class Timings:
    """Nanoseconds of one presentation. `host_ns` is what is left to this program itself."""

    marks: tuple[tuple[str, int], ...] = ()  # the phases in order, each with its end
    start_ns: int = 0
    total_ns: int = 0
    card_ns: int = 0
    psam_ns: int = 0
    sync_ns: int = 0
    syncs: int = 0
    commands: int = 0

    @property
    def phases(self) -> dict[str, int]:
        """Return how long each phase took; one that came more than once is one."""
        phases: dict[str, int] = {}
        before_ns = self.start_ns
        for name, end_ns in self.marks:
            phases[name] = phases.get(name, 0) + end_ns - before_ns
            before_ns = end_ns
        return phases

    @property
    def host_ns(self) -> int:
        """Return the time spent neither in the card, nor in the PSAM, nor in fdatasync."""
        return self.total_ns - self.card_ns - self.psam_ns - self.sync_ns


class Stopwatch:
    """Time one presentation: wrap card and PSAM, name the phases, read the journal's counters."""

    def __init__(self, journal: Journal, ticks: Ticks = time.perf_counter_ns) -> None:
        self._journal = journal
        self._ticks = ticks
        self._sync_ns, self._syncs = journal.sync_ns, journal.syncs
        self._marks: list[tuple[str, int]] = []
        self._card: list[int] = []
        self._psam: list[int] = []
        self._start = ticks()

    def phase(self, name: str) -> None:
        """End the phase that began with the last call, and give it this name."""
        self._marks.append((name, self._ticks()))

    def stop(self) -> Timings:
        """Return the timings up to now."""
        return Timings(
            tuple(self._marks),
            self._start,
            self._ticks() - self._start,
            sum(self._card),
            sum(self._psam),
            self._journal.sync_ns - self._sync_ns,
            self._journal.syncs - self._syncs,
            len(self._card),
        )

    def connection(self, connection: Connection) -> Connection:
        """Return the connection with its time counted."""
        return _TimedConnection(connection, self._card, self._ticks)

    def psam(self, psam: Psam) -> Psam:
        """Return the PSAM with its time counted."""
        return _TimedPsam(psam, self._psam, self._ticks)


class _TimedConnection:
    def __init__(self, connection: Connection, spent: list[int], ticks: Ticks) -> None:
        self._transmit = connection.transmit
        self._spent = spent
        self._ticks = ticks

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Send a command and count it."""
        start = self._ticks()
        try:
            return self._transmit(apdu)
        finally:
            self._spent.append(self._ticks() - start)


class _TimedPsam:
    def __init__(self, psam: Psam, spent: list[int], ticks: Ticks) -> None:
        self._psam = psam
        self._spent = spent
        self._ticks = ticks
        self.number = psam.number
        self.key_index = psam.key_index
        self.hardware = psam.hardware

    def init_purchase(self, request: PurchaseRequest) -> PurchaseGrant:
        """Begin a purchase."""
        start = self._ticks()
        try:
            return self._psam.init_purchase(request)
        finally:
            self._spent.append(self._ticks() - start)

    def credit_purchase(self, mac2: bytes) -> None:
        """Check MAC2."""
        start = self._ticks()
        try:
            self._psam.credit_purchase(mac2)
        finally:
            self._spent.append(self._ticks() - start)
