# SPDX-License-Identifier: Apache-2.0
"""Reconciliation of a city: the kernel with all rules on, beside plain objects and DuckDB.

Speeds are per processor second, all threads counted, because the sides use one or two cores of a
machine that others share. The objects run on a sample and are scaled per event. DuckDB answers
only what SQL can say, and both must agree on it before any speed counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.line import Line, check, report
from bench.reconcile_late import late_batch_ms

FULL_EVENTS = 10_000_000
QUICK_EVENTS = 1_000_000
OBJECTS_RATIO_MIN = 10.0
SQL_RATIO_MIN = 3.0
PEAK_GB_MAX = 1.5
LATE_PERSONS = 500


def run(quick: bool) -> Iterator[Line]:
    """Measure reconciliation; with `quick`, of a tenth of the events."""
    with tempfile.TemporaryDirectory() as folder:
        made = side("make", folder, str(QUICK_EVENTS if quick else FULL_EVENTS))
        # The first process compiles, unless an earlier run left the machine code on disk.
        warm = side("warm", folder)
        yield report("reconcile", "start of the compiled engine", warm["start_s"], "s")
        kernel = side("kernel", folder)
        sql = side("sql", folder)
    objects, plain = side("objects", ""), side("plain", "")
    yield report("reconcile", "events", made["events"], "events")
    for name, measured in (
        ("kernel, all rules", kernel),
        ("the same as plain Python, sample", plain),
        ("plain objects, all rules, sample", objects),
        ("DuckDB, the subset SQL can say", sql),
    ):
        yield report("reconcile", name, speed(measured), "events/s of one core")
    yield report("reconcile", "kernel, wall", round(kernel["wall_s"], 3), "s")
    yield report("reconcile", "DuckDB, wall", round(sql["wall_s"], 3), "s")
    yield from verdicts(kernel, sql, objects)
    yield report("reconcile", "late batch to hours of 500 cards", late_batch_ms(LATE_PERSONS), "ms")


def verdicts(
    kernel: dict[str, Any], sql: dict[str, Any], objects: dict[str, Any]
) -> Iterator[Line]:
    """Hold the sides against each other."""
    agree = int(kernel["totals"] == sql["totals"])
    yield check("reconcile", "totals equal to SQL", agree, "bool", limit=1, sense="min")
    yield check(
        "reconcile",
        "kernel against plain objects",
        round(speed(kernel) / speed(objects), 1),
        "ratio",
        limit=OBJECTS_RATIO_MIN,
        sense="min",
    )
    yield check(
        "reconcile",
        "kernel against DuckDB",
        round(speed(kernel) / speed(sql), 2),
        "ratio",
        limit=SQL_RATIO_MIN,
        sense="min",
    )
    yield check(
        "reconcile",
        "peak memory of the kernel",
        round(kernel["peak_gb"], 3),
        "GB",
        limit=PEAK_GB_MAX,
        sense="max",
    )


def speed(measured: dict[str, Any]) -> int:
    """Return events per processor second."""
    return round(measured["events"] / measured["cpu_s"])


def side(name: str, folder: str, *more: str) -> dict[str, Any]:
    """Run one side in a process of its own."""
    command = [sys.executable, "-m", "bench.reconcile_side", name, folder, *more]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
