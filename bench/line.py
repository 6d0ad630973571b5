# SPDX-License-Identifier: Apache-2.0
"""The one shape of a benchmark line, and the facts about the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable
from typing import Literal

Line = dict[str, object]
VERSIONS_OF = ("cryptography", "numpy", "numba", "duckdb", "SQLAlchemy", "psycopg", "construct")


def report(bench: str, case: str, value: float, unit: str) -> Line:
    """A figure that is told but decides nothing: absolute speeds of a shared machine."""
    return {"bench": bench, "case": case, "value": value, "unit": unit, "report": True}


def check(
    bench: str, case: str, value: float, unit: str, *, limit: float, sense: Literal["min", "max"]
) -> Line:
    """A figure that decides the exit status: a ratio, a count or a size.

    >>> check("tap", "card commands", 6, "commands", limit=7, sense="max")["ok"]
    True
    """
    ok = value >= limit if sense == "min" else value <= limit
    return {
        "bench": bench,
        "case": case,
        "value": value,
        "unit": unit,
        "limit": limit,
        "sense": sense,
        "ok": ok,
    }


def machine() -> Line:
    """Name the machine, because no figure means anything without it."""
    flags = ""
    cpu = platform.processor()
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
        for row in info:
            key, _, value = row.partition(":")
            if key.strip() == "model name":
                cpu = value.strip()
            if key.strip() == "flags":
                flags = value
                break
    return {
        "bench": "machine",
        "cpu": cpu,
        "cores": os.cpu_count(),
        "avx512ifma": "avx512ifma" in flags,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "versions": {name: importlib.metadata.version(name) for name in VERSIONS_OF},
    }


def significant(value: float, digits: int = 4) -> float:
    """Round for people: no figure here is good to more than four digits.

    >>> significant(123456.789)
    123500.0
    """
    return float(f"{value:.{digits}g}")


def median_seconds(action: Callable[[], object], timer: Callable[[], float], passes: int) -> float:
    """Time `action` `passes` times with `timer` and return the median, in seconds."""
    taken = []
    for _ in range(passes):
        start = timer()
        action()
        taken.append(timer() - start)
    return sorted(taken)[len(taken) // 2]
