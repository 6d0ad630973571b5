# SPDX-License-Identifier: Apache-2.0
"""One side of the reconciliation benchmark in a process of its own: `… SIDE FOLDER`.

Every side starts fresh, so that its memory is its own, and prints one JSON object. The folder
holds the arrays of one city; `make` writes them there.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench import reconcile_rows
from bench.reconcile_world import AS_OF_MS, City, make_city
from server.reconciliation.arrays import Array, History, Result
from server.reconciliation.parameters import DEFAULT_POLICY
from server.reconciliation.policy import reconcile_arrays

TABLES = ("taps", "persons", "cards", "terminals", "batches", "activities", "corrections")
SIMPLE = "simple_persons"
PASSES = 3
# Pure Python is slow: a small city of the same kind tells what an event costs it.
SAMPLE_EVENTS = 20_000


def make(folder: Path, events: int) -> dict[str, Any]:
    """Make the city and write it to the folder."""
    city = make_city(events)
    for name in TABLES:
        np.save(folder / f"{name}.npy", getattr(city.history, name))
    np.save(folder / f"{SIMPLE}.npy", city.simple_persons)
    return {"events": len(city.history.taps)}


def read(folder: Path) -> City:
    """Read the city from the folder."""
    tables = {name: np.load(folder / f"{name}.npy") for name in TABLES}
    return City(History(**tables), np.load(folder / f"{SIMPLE}.npy"))


def warm(_folder: Path) -> dict[str, Any]:
    """Make the machine code, or find it on disk."""
    started_s = time.perf_counter()
    reconcile_arrays(make_city(1_000).history, AS_OF_MS, engine="compiled")
    return {"start_s": round(time.perf_counter() - started_s, 2)}


def kernel(folder: Path) -> dict[str, Any]:
    """Derive the whole city in machine code, all rules on."""
    warm(folder)
    city = read(folder)
    measured = passes(lambda: reconcile_arrays(city.history, AS_OF_MS, engine="compiled"))
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = reconcile_arrays(city.history, AS_OF_MS, engine="compiled")
    rows = reconcile_rows.of_result(city.history.taps, found.intervals, city.simple_persons)
    return measured | {
        "events": len(city.history.taps),
        "peak_gb": peak_kb * 1024 / 1e9,
        "subset": reconcile_rows.digest(rows),
        "whole": whole(found),
    }


def whole(found: Result) -> dict[str, Any]:
    """Return count, minutes and a hash of everything that was found."""
    listed = [found.exceptions[name] for name in found.exceptions.dtype.names or ()]
    parts = [found.intervals.tobytes(), *(column.tobytes() for column in listed)]
    return {
        "intervals": len(found.intervals),
        "minutes": int(found.intervals["minutes"].sum()),
        "rows": hashlib.sha256(b"".join(parts)).hexdigest(),
    }


def spark(folder: Path) -> dict[str, Any]:
    """Derive the whole city by the kernel on a Spark of two threads, start and files included."""
    engine = importlib.import_module("server.archive.spark")
    city = read(folder)
    with tempfile.TemporaryDirectory() as work:
        started_s = time.perf_counter()
        found = engine.reconcile(city.history, engine.Cluster("local[2]"), AS_OF_MS, Path(work))
        wall_s = time.perf_counter() - started_s
    return {"wall_s": wall_s, "events": len(city.history.taps), "whole": whole(found)}


def subset(ask_for: Callable[[Array, Array], Callable[[], Array]], folder: Path) -> dict[str, Any]:
    """Ask an engine for the rows that windows can say, of the volunteers they can judge."""
    city = read(folder)
    taps = simple_taps(city)
    ask = ask_for(taps, city.history.activities)
    measured = passes(ask)
    return measured | {"events": len(taps), "subset": reconcile_rows.digest(ask())}


def postgres(folder: Path, dsn: str) -> dict[str, Any]:
    """Ask PostgreSQL, once."""
    city = read(folder)
    taps = simple_taps(city)
    ask = reconcile_rows.with_postgres(dsn, taps, city.history.activities)
    started_s = time.perf_counter()
    rows = ask()
    wall_s = time.perf_counter() - started_s
    return {"wall_s": wall_s, "events": len(taps), "subset": reconcile_rows.digest(rows)}


def plain(_folder: Path) -> dict[str, Any]:
    """Derive a sample with the kernel's own functions as pure Python, and compare."""
    history = make_city(SAMPLE_EVENTS).history
    measured = passes(lambda: reconcile_arrays(history, AS_OF_MS, engine="plain"))
    one = whole(reconcile_arrays(history, AS_OF_MS, engine="plain"))
    other = whole(reconcile_arrays(history, AS_OF_MS, engine="compiled"))
    return measured | {"events": len(history.taps), "same": one == other}


def objects(_folder: Path) -> dict[str, Any]:
    """Derive a sample with plain objects, written apart from the kernel, all rules on."""
    reference = importlib.import_module("tests.unit.server.reconciliation.reference_person")
    history = make_city(SAMPLE_EVENTS // 4).history
    measured = passes(lambda: reference.reconcile(history, AS_OF_MS, DEFAULT_POLICY))
    return measured | {"events": len(history.taps)}


def passes(job: Callable[[], object]) -> dict[str, float]:
    """Run a job some times; return medians of processor seconds (all threads) and wall seconds."""
    cpu, wall = [], []
    for _ in range(PASSES):
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        job()
        cpu.append(time.process_time() - cpu_s)
        wall.append(time.perf_counter() - wall_s)
    return {"cpu_s": statistics.median(cpu), "wall_s": statistics.median(wall)}


def simple_taps(city: City) -> Any:
    """Return the taps of the volunteers whom SQL can judge."""
    cards = city.history.taps["card"]
    owners = city.history.cards["person"][cards]
    return city.history.taps[city.simple_persons[owners]]


SIDES: dict[str, Callable[..., dict[str, Any]]] = {
    "warm": warm,
    "kernel": kernel,
    "spark": spark,
    "numpy": lambda folder: subset(reconcile_rows.with_numpy, folder),
    "duckdb": lambda folder: subset(reconcile_rows.with_duckdb, folder),
    "polars": lambda folder: subset(reconcile_rows.with_polars, folder),
    "plain": plain,
    "objects": objects,
}


def main() -> None:
    """Run the side named on the command line."""
    side, folder = sys.argv[1], Path(sys.argv[2])
    if side == "make":
        found = make(folder, int(sys.argv[3]))
    elif side == "postgres":
        found = postgres(folder, sys.argv[3])
    else:
        found = SIDES[side](folder)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
