# SPDX-License-Identifier: Apache-2.0
"""Files of results of any length, the usual ways to read them, and a database with the orders."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from server.bank.files.frame import SUM_MODULUS, Header
from server.bank.files.layout import LAYOUTS, Kind
from server.bank.files.reading import FIXED, Expected, FileReader
from server.bank.files.writing import FileWriter

CODE = "BANK-1"
DATE = dt.date(2026, 11, 22)
DAY = "20261122"
BLOCK = 1 << 15
FIRST_ORDER = 10**11
FIRST_SERIAL = 6_217_000_000_000_000_000
HEADER = Header(CODE, Kind.RESULT, 1, DATE)
FIELDS = LAYOUTS[Kind.RESULT].names


def columns(low: int, high: int) -> dict[str, Any]:
    """Give the results of some orders by columns."""
    rows = high - low
    return {
        "batch": np.full(rows, 1, dtype=np.int64),
        "order_no": np.arange(FIRST_ORDER + low, FIRST_ORDER + high, dtype=np.int64),
        "outcome": ["OK"] * rows,
        "reason": [""] * rows,
        "asn": np.arange(FIRST_SERIAL + low, FIRST_SERIAL + high, dtype=np.int64),
        "date": [DAY] * rows,
    }


def write_fixed(target: BinaryIO, count: int) -> None:
    """Write a file of the family, block by block."""
    writer = FileWriter(target, HEADER, LAYOUTS[Kind.RESULT])
    for low in range(0, count, BLOCK):
        writer.add(columns(low, min(count, low + BLOCK)))
    writer.finish()


def write_csv(path: Path, count: int) -> None:
    """Write the same results as CSV with the csv module, and the totals beside it."""
    total = 0
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        for place in range(count):
            order = FIRST_ORDER + place
            total = (total + order) % SUM_MODULUS
            serial = f"{FIRST_SERIAL + place:020d}"
            writer.writerow(("00000001", f"{order:012d}", "OK", "", serial, DAY))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps([count, total, digest]))


def read_fixed(path: Path) -> int:
    """Read and check a file of the family; return its records."""
    with path.open("rb") as stream:
        reader = FileReader(stream, Expected(FIXED, LAYOUTS))
        for chunk in reader.chunks():
            if chunk.findings:
                raise RuntimeError("a good record was refused")
        return reader.sums.count


def read_csv(path: Path) -> int:
    """Check the same things the usual way: the csv module, one row and one field at a time."""
    expected = json.loads(path.with_suffix(".json").read_text())
    count = total = 0
    with path.open(newline="") as file:
        for batch, order, outcome, reason, serial, day in csv.reader(file):
            if len(batch) != 8 or not batch.isdigit() or len(order) != 12 or not order.isdigit():
                raise RuntimeError("batch or order")
            if outcome not in ("OK", "RJ") or (reason and not reason.isalnum()):
                raise RuntimeError("outcome or reason")
            if len(serial) != 20 or not serial.isdigit() or len(day) != 8:
                raise RuntimeError("serial or day")
            if dt.date(int(day[:4]), int(day[4:6]), int(day[6:])) > DATE:
                raise RuntimeError("future")
            count += 1
            total = (total + int(order)) % SUM_MODULUS
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if [count, total, digest] != expected:
        raise RuntimeError("totals")
    return count


def read_polars(path: Path) -> int:
    """Check the same things with Polars, on all cores."""
    import polars as pl  # noqa: PLC0415 - a peer, loaded in its own turn

    expected = json.loads(path.with_suffix(".json").read_text())
    names = ["batch", "order_no", "outcome", "reason", "asn", "date"]
    frame = pl.read_csv(path, has_header=False, new_columns=names,
                        schema_overrides=dict.fromkeys(names, pl.String))  # fmt: skip
    good = frame.select(
        pl.col("batch").str.contains(r"^\d{8}$").all().alias("a"),
        pl.col("order_no").str.contains(r"^\d{12}$").all().alias("b"),
        pl.col("outcome").is_in(["OK", "RJ"]).all().alias("c"),
        pl.col("asn").str.contains(r"^\d{20}$").all().alias("d"),
        (pl.col("date").str.to_date("%Y%m%d", strict=True) <= DATE).all().alias("e"),
    )
    total = int(frame["order_no"].cast(pl.Int64).sum()) % SUM_MODULUS
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if not all(good.row(0)) or [frame.height, total, digest] != expected:
        raise RuntimeError("a good file was refused")
    return frame.height


READERS = {"fixed": read_fixed, "csv": read_csv, "polars": read_polars}


def csv_rows(path: Path) -> Iterator[list[str]]:
    """Give the rows of a CSV file."""
    with path.open(newline="") as file:
        yield from csv.reader(file)


def _peak_bytes() -> int:
    """Return the most memory this process ever held; the parent's share is not in it."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def main() -> None:
    """Run one step in a process of its own: `write|fixed|csv|polars PATH [COUNT]`."""
    step, path = sys.argv[1], Path(sys.argv[2])
    began, used = time.perf_counter(), time.process_time()
    if step == "write":
        with path.open("wb") as target:
            write_fixed(target, int(sys.argv[3]))
        count = int(sys.argv[3])
    else:
        count = READERS[step](path)
    peak = _peak_bytes()
    print(json.dumps({
        "count": count, "wall_s": time.perf_counter() - began,
        "cpu_s": time.process_time() - used, "peak": peak,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
