# SPDX-License-Identifier: Apache-2.0
"""Reconciliation of a city: the kernel with all rules on, beside pure Python, SQL and Spark.

Speeds are per processor second, all threads counted, because the sides use one or two cores of a
machine that others share; PostgreSQL and Spark, which are processes of their own, per second of
the clock. Pure Python runs on a sample of the same kind and is scaled per event. Windows in numpy,
DuckDB, Polars and PostgreSQL answer the subset they can say. All sides must agree row for row
before any speed counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.line import Line, check, report
from bench.reconcile_late import late_batch_ms
from tests.integration.postgres import PostgresCluster

FULL_EVENTS = 10_000_000
QUICK_EVENTS = 1_000_000
PYTHON_RATIO_MIN = 10.0
SQL_RATIO_MIN = 3.0
PEAK_GB_MAX = 1.5
LATE_PERSONS = 500
WINDOWS = {
    "numpy": "numpy, whole columns, the subset",
    "duckdb": "DuckDB, the subset SQL can say",
    "polars": "Polars, the subset",
}
SETTINGS = "-c listen_addresses='' -c shared_buffers=256MB -F -c synchronous_commit=off"
Sides = dict[str, dict[str, Any]]


def run(quick: bool, size: int | None = None) -> Iterator[Line]:
    """Measure reconciliation of `size` events; without it of 10 million, a tenth with `quick`."""
    events = size or (QUICK_EVENTS if quick else FULL_EVENTS)
    found: Sides = {}
    with tempfile.TemporaryDirectory() as folder:
        made = side("make", folder, str(events))
        yield report("reconcile", "events", made["events"], "events")
        # The first process compiles, unless an earlier run left the machine code on disk.
        warm = side("warm", folder)
        yield report("reconcile", "start of the compiled engine", warm["start_s"], "s")
        for name in ("kernel", *WINDOWS, "plain", "objects", "spark"):
            found[name] = side(name, folder)
        with postgres() as dsn:
            found["postgres"] = side("postgres", folder, dsn)
    yield from speeds(found)
    yield from verdicts(found)
    yield report("reconcile", "late batch to hours of 500 cards", late_batch_ms(LATE_PERSONS), "ms")


def speeds(found: Sides) -> Iterator[Line]:
    """Report how fast each side was."""
    sample = f"sample of {found['plain']['events']} events"
    for name, told in (
        ("kernel", "kernel, all rules"),
        ("plain", f"the same functions as pure Python, {sample}"),
        ("objects", f"plain objects, all rules, sample of {found['objects']['events']} events"),
        *WINDOWS.items(),
    ):
        yield report("reconcile", told, speed(found[name]), "events/s of one core")
    scaled_s = found["plain"]["cpu_s"] * found["kernel"]["events"] / found["plain"]["events"]
    yield report("reconcile", "pure Python, scaled to all events", round(scaled_s), "s")
    for name, told in (
        ("kernel", "kernel, all rules, wall"),
        *((name, f"{told}, wall") for name, told in WINDOWS.items()),
        ("postgres", "PostgreSQL windows, the subset, wall"),
        ("spark", "Spark, the kernel on two local threads, start and files included, wall"),
    ):
        rate = round(found[name]["events"] / found[name]["wall_s"])
        yield report("reconcile", told, rate, "events/s")


def verdicts(found: Sides) -> Iterator[Line]:
    """Hold the sides against each other."""
    kernel = found["kernel"]
    for name in (*WINDOWS, "postgres"):
        agree = int(found[name]["subset"] == kernel["subset"])
        case = f"rows equal to {name}: {kernel['subset']['intervals']} intervals"
        yield check("reconcile", case, agree, "bool", limit=1, sense="min")
    agree = int(found["spark"]["whole"] == kernel["whole"])
    yield check("reconcile", "everything equal to Spark", agree, "bool", limit=1, sense="min")
    agree = int(found["plain"]["same"])
    case = "everything equal to pure Python, sample"
    yield check("reconcile", case, agree, "bool", limit=1, sense="min")
    for name, told, least in (
        ("plain", "kernel against pure Python", PYTHON_RATIO_MIN),
        ("duckdb", "kernel against DuckDB", SQL_RATIO_MIN),
    ):
        ratio = round(speed(kernel) / speed(found[name]), 2)
        yield check("reconcile", told, ratio, "ratio", limit=least, sense="min")
    peak = round(kernel["peak_gb"], 3)
    case = "peak memory of the kernel's process"
    yield check("reconcile", case, peak, "GB", limit=PEAK_GB_MAX, sense="max")


def speed(measured: dict[str, Any]) -> int:
    """Return events per processor second."""
    return round(measured["events"] / measured["cpu_s"])


@contextmanager
def postgres() -> Iterator[str]:
    """Run a throw-away PostgreSQL; yield how to reach it."""
    cluster = PostgresCluster(SETTINGS)
    cluster.start()
    try:
        yield cluster.dsn("postgres")
    finally:
        cluster.stop()


def side(name: str, folder: str, *more: str) -> dict[str, Any]:
    """Run one side in a process of its own."""
    command = [sys.executable, "-m", "bench.reconcile_side", name, folder, *more]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    if done.returncode != 0:
        message = f"side {name} ended {done.returncode}: {done.stderr[-2000:]}"
        raise RuntimeError(message)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
