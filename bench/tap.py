# SPDX-License-Identifier: Apache-2.0
"""One tap as the terminal carries it through, on three ways to a card.

The terminal program's own code runs on virtual cards in process. What a card and a PSAM take is
counted, not waited for: the clock of the phases is the real one, less what the virtual chip needed
to compute, plus what a chip behind that interface takes. Here a cryptographic command takes 20 ms
in card and PSAM alike, eight times the round figure of the FM1208 class. Flushes are real; a raw
flush of the same disk stands beside, because no tap can be faster than its two.

The host's share decides by the processor time it takes. Other programs on the machine lengthen it
far less than the time on the wall, which is told too; but they share its caches, and on two crowded
cores it is half as long again as on quiet ones.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.line import Line, check, report, significant
from card.operation import Connection
from card.protocol import T0Connection
from card.psam import PsamCard
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.latency import PROFILES, Latency, Stopwatch
from hardware_mocks.cardos.psam import VirtualPsam
from hardware_mocks.cardos.shell import ChipCard
from keys.store import FileKeyStore
from terminal.journal import Journal
from terminal.storage import FileStorage
from terminal.tap import present
from terminal.timing import Timings, unswept
from tests.integration.terminal.bench import Bench, InProcess, issue, keys_in, psam_chip

CARDS = 20
TAPS, QUICK_TAPS = 2_000, 300
BETWEEN_TAPS_S = 7  # a queue at the gate; each card comes round after more than 60 s
COMMANDS_MAX = 7
SYNCS_MAX = 2
CRYPTO_US = 20_000
TAP_P95_MS = 300
HOST_P99_US = 1_000
WAYS = ("contact-t1", "contactless-106", "contactless-424")
LIMITED_WAY = "contactless-106"
PSAM_WAY = "contact-t1"
FLUSH_BYTES = 240
FLUSHES = 200
SHARES = (0.50, 0.95, 0.99)


class ChipClock:
    """The time of a tap whose chips take what their interface makes them take."""

    def __init__(self) -> None:
        self.spent = Stopwatch()
        self.processor_ns = 0
        self._computed_ns = 0
        self._ahead_ns = 0

    def __call__(self) -> int:
        """Return nanoseconds: real ones, without the virtual chips' own, with the counted ones."""
        return time.perf_counter_ns() + self._ahead_ns

    def count(self, computed_ns: int) -> None:
        """Leave out what a virtual chip computed, and take what a chip would have taken."""
        self._computed_ns += computed_ns
        self._ahead_ns = self.spent.elapsed_us * 1000 - self._computed_ns

    def connect(self, chip: ChipCard, way: Latency) -> Connection:
        """Power a chip behind an interface."""
        chip.pace(way, self.spent)
        chip.power_on()
        return T0Connection(_Counted(InProcess(chip), self), strip_le=False)  # as over T=1


class _Counted:
    """Leave what a virtual chip computes out of the time."""

    def __init__(self, connection: Connection, clock: ChipClock) -> None:
        self._connection = connection
        self._clock = clock

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Pass a command on."""
        processor, start = time.thread_time_ns(), time.perf_counter_ns()
        try:
            return self._connection.transmit(apdu)
        finally:
            self._clock.count(time.perf_counter_ns() - start)
            self._clock.processor_ns += time.thread_time_ns() - processor


class _CountedStorage(FileStorage):
    """The journal's file; the processor time of its flushes is the disk's, not the host's."""

    def __init__(self, path: Path, clock: ChipClock) -> None:
        super().__init__(path)
        self._clock = clock

    def sync(self) -> None:
        """Flush."""
        processor = time.thread_time_ns()
        try:
            super().sync()
        finally:
            self._clock.processor_ns += time.thread_time_ns() - processor


def run(quick: bool) -> Iterator[Line]:
    """Measure taps on each way to a card; with `quick`, fewer of them."""
    with tempfile.TemporaryDirectory() as folder:
        raw = _flushes_us(Path(folder))
        for way in WAYS:
            taps = _taps(Path(folder) / way, way, QUICK_TAPS if quick else TAPS)
            yield from _lines(way, [timings for timings, _ in taps])
            yield from _host(way, sorted(processor / 1000 for _, processor in taps))
        for share in SHARES:
            case = f"one raw fdatasync of {FLUSH_BYTES} bytes, {_name(share)}"
            yield report("tap", case, _at(raw, share), "us")


def _lines(way: str, taps: list[Timings]) -> Iterator[Line]:
    commands, syncs = max(tap.commands for tap in taps), max(tap.syncs for tap in taps)
    whole = sorted(tap.total_ns / 1e6 for tap in taps)
    host = sorted(tap.host_ns / 1000 for tap in taps)
    sync = sorted(tap.sync_ns / 1000 for tap in taps)
    yield check("tap", f"{way}: card commands, most in a tap", commands, "commands",
                limit=COMMANDS_MAX, sense="max")  # fmt: skip
    yield check("tap", f"{way}: fdatasync, most in a tap", syncs, "calls",
                limit=SYNCS_MAX, sense="max")  # fmt: skip
    for share in SHARES:
        case = f"{way}: whole tap, {CRYPTO_US // 1000} ms a cryptographic command, {_name(share)}"
        value = _at(whole, share)
        if way == LIMITED_WAY and share == 0.95:
            yield check("tap", case, value, "ms", limit=TAP_P95_MS, sense="max")
        else:
            yield report("tap", case, value, "ms")
    for share in SHARES:
        case = f"{way}: host without fdatasync, on the wall, {_name(share)}"
        yield report("tap", case, _at(host, share), "us")
    for share in SHARES:
        yield report("tap", f"{way}: both fdatasync, {_name(share)}", _at(sync, share), "us")
    for phase in taps[0].phases:
        spent = sorted(tap.phases.get(phase, 0) / 1e6 for tap in taps)
        for share in SHARES:
            yield report("tap", f"{way}: {phase}, {_name(share)}", _at(spent, share), "ms")


def _host(way: str, spent: list[float]) -> Iterator[Line]:
    """Tell the processor time of the host's share."""
    for share in SHARES:
        case, value = f"{way}: host, processor time, {_name(share)}", _at(spent, share)
        if share == 0.99:
            yield check("tap", case, value, "us", limit=HOST_P99_US, sense="max")
        else:
            yield report("tap", case, value, "us")


def _taps(folder: Path, way: str, count: int) -> list[tuple[Timings, int]]:
    """Carry out `count` accepted taps; return their timings and the host's processor time.

    The first round is left out.
    """
    folder.mkdir()
    store, clock = keys_in(folder), ChipClock()
    slow = {name: dataclasses.replace(PROFILES[name], crypto_us=CRYPTO_US) for name in PROFILES}
    psam: VirtualPsam = psam_chip(store)
    booth = Bench(folder / "terminal", store, PsamCard(clock.connect(psam, slow[PSAM_WAY])))
    booth.desk.ticks = clock
    chain = booth.desk.chain
    chain.journal.close()
    chain.journal = Journal(_CountedStorage(booth.journal_path, clock), chain.journal.header)
    cards = [_card(store, number, way) for number in range(1, CARDS + 1)]
    timings = []
    gc.collect()
    gc.freeze()
    for number in range(count + CARDS):
        booth.clock.advance(BETWEEN_TAPS_S)
        connection = clock.connect(cards[number % CARDS], slow[way])
        with unswept():  # as the terminal's loop does it, until the answer is shown
            before = time.thread_time_ns() - clock.processor_ns
            outcome = present(booth.desk, connection)
            spent = time.thread_time_ns() - clock.processor_ns - before
        if not outcome.decided or outcome.timings.commands < COMMANDS_MAX - 1:
            raise RuntimeError(f"tap {number} was not accepted: {outcome.say}")
        timings.append((outcome.timings, spent))
    gc.unfreeze()
    booth.desk.chain.journal.close()
    return timings[CARDS:]


def _card(store: FileKeyStore, number: int, way: str) -> VirtualCard:
    """Issue a card; one without contacts gives its answers at once, with no GET RESPONSE."""
    card = issue(store, number)
    if way == PSAM_WAY:
        return card
    antenna = VirtualCard(contactless=True)
    antenna.memory.image = card.memory.image
    antenna.memory.commit()
    return antenna


def _flushes_us(folder: Path) -> list[float]:
    taken = []
    with (folder / "flush").open("wb") as file:
        for _ in range(FLUSHES):
            file.write(bytes(FLUSH_BYTES))
            file.flush()
            start = time.perf_counter_ns()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter_ns() - start) / 1000)
    return sorted(taken)


def _name(share: float) -> str:
    return f"p{round(100 * share)}"


def _at(ordered: list[float], share: float) -> float:
    return significant(ordered[min(len(ordered) - 1, int(share * len(ordered)))])
