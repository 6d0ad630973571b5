# SPDX-License-Identifier: Apache-2.0
"""What a cluster reads: taps as Parquet by shard of their terminal, and the small registers.

Whole terminals stand in one file, because a clock is corrected from all events of its boot. Each
tap carries the instants of its upload and of the receipt it names: nobody needs all uploads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from server.archive import columns
from server.reconciliation import arrays
from server.reconciliation.arrays import Array, History

# A few hundred thousand events each when a city's year is cut into so many.
SHARDS = 64
REGISTERS = "registers.npz"
# Registers that every task needs whole; they are small beside the taps.
WHOLE = ("persons", "cards", "terminals", "activities", "corrections", "sites", "parameters")

FILED_DTYPE = np.dtype(
    [
        *arrays.TAP_DTYPE.descr,
        ("row", "i8"),  # in the array that was given: what results name it by
        ("received_ms", "i8"),  # of its upload
        ("receipt_ms", "i8"),  # of the receipt it names, 0 = none
    ]
)


@dataclass(frozen=True, slots=True)
class TapFiles:
    """A folder of taps that a cluster can reach, and how many files they stand in."""

    folder: Path
    shards: int

    @property
    def names(self) -> list[str]:
        """Return the files with taps."""
        return sorted(str(path) for path in self.folder.glob("taps/*.parquet"))

    @property
    def events(self) -> int:
        """Return how many taps stand in all files."""
        return sum(columns.count(Path(name)) for name in self.names)

    def read(self, name: str) -> Array:
        """Read one file."""
        return columns.to_array(columns.read(Path(name)), FILED_DTYPE)

    def registers(self) -> History:
        """Read everything but taps and uploads."""
        with np.load(self.folder / REGISTERS) as kept:
            found = {name: kept[name] for name in WHOLE}
        return History(
            taps=arrays.empty(arrays.TAP_DTYPE), batches=arrays.empty(arrays.BATCH_DTYPE), **found
        )


def write(history: History, folder: Path, shards: int = SHARDS) -> TapFiles:
    """Write a history for a cluster into a folder."""
    shard = history.terminals["id"][history.taps["terminal"]] % shards
    order = np.argsort(shard, kind="stable")
    edges = np.searchsorted(shard[order], np.arange(shards + 1))
    for number in range(shards):
        rows = order[edges[number] : edges[number + 1]]
        if len(rows):
            path = folder / "taps" / f"t{number:04d}.parquet"
            columns.write(path, _table(history, rows))
    write_registers(history, folder)
    return TapFiles(folder, shards)


def write_registers(history: History, folder: Path) -> None:
    """Write everything but taps and uploads."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / REGISTERS, **{name: getattr(history, name) for name in WHOLE})


def _table(history: History, rows: np.ndarray) -> pa.Table:
    taps = history.taps[rows]
    named = np.maximum(taps["anchor"], 0)
    receipts = history.batches["receipt_ms"][named] if len(history.batches) else 0 * named
    return columns.to_table(
        taps,
        row=rows.astype(np.int64),
        received_ms=history.batches["received_ms"][taps["batch"]],
        receipt_ms=np.where(taps["anchor"] >= 0, receipts, 0),
    )


class Source(Protocol):
    """Where taps come from: names of parts that hold whole terminals, and the registers."""

    @property
    def names(self) -> list[str]:
        """Return the parts."""

    @property
    def events(self) -> int:
        """Return how many taps there are."""

    @property
    def shards(self) -> int:
        """Return into how many shards people are cut."""

    def registers(self) -> History:
        """Return everything but taps and uploads."""

    def read(self, name: str) -> Array:
        """Return the taps of a part, as `FILED_DTYPE`."""


def localise(filed: Array, registers: History) -> History:
    """Return the history of one file: its own uploads, every index leading into them."""
    taps = arrays.empty(arrays.TAP_DTYPE, len(filed))
    for name in arrays.TAP_DTYPE.names or ():
        taps[name] = filed[name]
    anchored = filed["anchor"] >= 0
    numbers = np.union1d(filed["batch"], filed["anchor"][anchored])
    batches = arrays.empty(arrays.BATCH_DTYPE, len(numbers))
    batches["id"] = numbers
    taps["batch"] = np.searchsorted(numbers, filed["batch"])
    taps["anchor"][anchored] = np.searchsorted(numbers, filed["anchor"][anchored])
    batches["received_ms"][taps["batch"]] = filed["received_ms"]
    batches["receipt_ms"][taps["anchor"][anchored]] = filed["receipt_ms"][anchored]
    return replace(registers, taps=taps, batches=batches)
