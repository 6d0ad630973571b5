# SPDX-License-Identifier: Apache-2.0
"""One tap as the terminal carries it through: card commands, the host's own time, flushes.

The terminal program's own code runs on virtual cards in process, so that what is left is the
host: card, PSAM and fdatasync are measured apart and taken out. A flush of the same disk stands
beside, because no tap can be faster than its two.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.line import Line, check, report, significant
from terminal.timing import Timings
from tests.integration.terminal.bench import Bench, hardware_psam, issue, keys_in

CARDS = 20
TAPS, QUICK_TAPS = 2_000, 300
BETWEEN_TAPS_S = 7  # a queue at the gate; each card comes round after more than 60 s
COMMANDS_MAX = 7
SYNCS_MAX = 2
FLUSH_BYTES = 240
FLUSHES = 200


def run(quick: bool) -> Iterator[Line]:
    """Measure taps; with `quick`, fewer of them."""
    with tempfile.TemporaryDirectory() as folder:
        taps = _taps(Path(folder), QUICK_TAPS if quick else TAPS)
        flush_us = _flush_us(Path(folder))
    commands = max(tap.commands for tap in taps)
    syncs = max(tap.syncs for tap in taps)
    host = sorted(tap.host_ns / 1000 for tap in taps)
    sync = sorted(tap.sync_ns / 1000 for tap in taps)
    yield check("tap", "card commands, most in a tap", commands, "commands",
                limit=COMMANDS_MAX, sense="max")  # fmt: skip
    yield check("tap", "fdatasync, most in a tap", syncs, "calls", limit=SYNCS_MAX, sense="max")
    yield report("tap", "host between card, PSAM and disk, p50", _at(host, 0.50), "us")
    yield report("tap", "host between card, PSAM and disk, p99", _at(host, 0.99), "us")
    yield report("tap", "journal flushes of a tap, p50", _at(sync, 0.50), "us")
    yield report("tap", "journal flushes of a tap, p99", _at(sync, 0.99), "us")
    yield report("tap", f"one raw fdatasync of {FLUSH_BYTES} bytes, p50", flush_us, "us")
    for phase in taps[0].phases:
        spent = sorted(tap.phases.get(phase, 0) / 1000 for tap in taps)
        yield report("tap", f"phase {phase}, with card, PSAM, disk, p50", _at(spent, 0.5), "us")


def _taps(folder: Path, count: int) -> list[Timings]:
    """Carry out `count` accepted taps and return their timings, the first round left out."""
    store = keys_in(folder)
    booth = Bench(folder / "terminal", store, hardware_psam(store))
    cards = [issue(store, number) for number in range(1, CARDS + 1)]
    timings = []
    for number in range(count + CARDS):
        booth.clock.advance(BETWEEN_TAPS_S)
        outcome = booth.tap(cards[number % CARDS])
        if not outcome.decided or outcome.timings.commands < COMMANDS_MAX - 1:
            raise RuntimeError(f"tap {number} was not accepted: {outcome.say}")
        timings.append(outcome.timings)
    return timings[CARDS:]


def _flush_us(folder: Path) -> float:
    taken = []
    with (folder / "flush").open("wb") as file:
        for _ in range(FLUSHES):
            file.write(bytes(FLUSH_BYTES))
            file.flush()
            start = time.perf_counter_ns()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter_ns() - start) / 1000)
    return _at(sorted(taken), 0.5)


def _at(ordered: list[float], share: float) -> float:
    return significant(ordered[min(len(ordered) - 1, int(share * len(ordered)))])
