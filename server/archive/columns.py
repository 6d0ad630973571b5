# SPDX-License-Identifier: Apache-2.0
"""Structured arrays as Parquet files and back: the same names, the same integers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from server.reconciliation.arrays import Array

PARTIAL = ".partial"


def to_table(array: Array, **more: NDArray[Any]) -> pa.Table:
    """Return an array, and further columns of the same length, as an Arrow table."""
    columns = {name: array[name] for name in array.dtype.names or ()} | more
    return pa.table(
        {name: pa.array(np.ascontiguousarray(values)) for name, values in columns.items()}
    )


def to_array(table: pa.Table, dtype: np.dtype[np.void]) -> Array:
    """Return the columns of a table that a dtype names as a structured array.

    >>> dtype = np.dtype([("a", "i4")])
    >>> to_array(to_table(np.array([(1,), (2,)], dtype)), dtype)["a"].tolist()
    [1, 2]
    """
    rows = np.zeros(table.num_rows, dtype)
    for name in dtype.names or ():
        rows[name] = table.column(name).to_numpy()
    return rows


def write(path: Path, table: pa.Table) -> None:
    """Write a Parquet file that has its name only when it is whole; a second writer is harmless."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")
    pq.write_table(table, draft, compression="zstd")
    draft.replace(path)


def read(path: Path) -> pa.Table:
    """Read a Parquet file by its path alone; folder names do not become columns."""
    return pq.ParquetFile(path).read()


def count(path: Path) -> int:
    """Return the rows of a Parquet file."""
    return int(pq.ParquetFile(path).metadata.num_rows)
