# SPDX-License-Identifier: Apache-2.0
"""One side of the reconciliation benchmark in a process of its own: `… SIDE FOLDER`.

Every side starts fresh, so that its memory is its own, and prints one JSON object. The folder
holds the arrays of one city; `make` writes them there.
"""

from __future__ import annotations

import importlib
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench.reconcile_world import AS_OF_MS, City, make_city
from server.reconciliation.arrays import History
from server.reconciliation.parameters import DEFAULT_POLICY
from server.reconciliation.policy import reconcile_arrays
from tests.unit.server.reconciliation.reference_person import reconcile
from tests.unit.server.reconciliation.totals import counted

TABLES = ("taps", "persons", "cards", "terminals", "batches", "activities", "corrections")
SIMPLE = "simple_persons"
PASSES = 3
# The objects are slow: a small city of the same kind tells what an event costs them.
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
    totals = asdict(counted(found, city.simple_persons))
    return measured | {
        "events": len(city.history.taps),
        "peak_gb": peak_kb * 1024 / 1e9,
        "totals": totals,
    }


def sql(folder: Path) -> dict[str, Any]:
    """Ask DuckDB for what SQL can say, of the volunteers it can judge."""
    city = read(folder)
    taps = simple_taps(city)
    # DuckDB is loaded on this side only: the others' memory is measured.
    oracle = importlib.import_module("tests.unit.server.reconciliation.sql_oracle")
    connection = oracle.connect(taps, city.history.activities)
    measured = passes(lambda: oracle.totals(connection, DEFAULT_POLICY))
    totals = asdict(oracle.totals(connection, DEFAULT_POLICY))
    return measured | {"events": len(taps), "totals": totals}


def objects(_folder: Path) -> dict[str, Any]:
    """Derive a sample with the plain objects, all rules on."""
    history = make_city(SAMPLE_EVENTS).history
    measured = passes(lambda: reconcile(history, AS_OF_MS, DEFAULT_POLICY))
    return measured | {"events": len(history.taps)}


def plain(_folder: Path) -> dict[str, Any]:
    """Derive a sample with the kernel's own functions as plain Python."""
    history = make_city(SAMPLE_EVENTS).history
    measured = passes(lambda: reconcile_arrays(history, AS_OF_MS, engine="plain"))
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
    "sql": sql,
    "objects": objects,
    "plain": plain,
}


def main() -> None:
    """Run the side named on the command line."""
    side, folder = sys.argv[1], Path(sys.argv[2])
    found = make(folder, int(sys.argv[3])) if side == "make" else SIDES[side](folder)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
