# SPDX-License-Identifier: Apache-2.0
"""Archived events as the taps a cluster judges: every worker reads the files of one shard.

Events become taps by the same code that loads them from the database; what is known of people,
cards and places is small and goes to every worker, the uploads of a shard stand in a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from server.archive.columns import read
from server.archive.tap_files import FILED_DTYPE
from server.ingest.models import Batch
from server.ingest.verdicts import Proof
from server.reconciliation import arrays
from server.reconciliation.arrays import Array, History
from server.reconciliation.event_rows import COLUMNS, Events
from server.reconciliation.loading import Known

UPLOADS = pa.schema(
    [("id", pa.int64()), ("terminal_id", pa.int64()), ("anchor", pa.binary()),
     ("received_ms", pa.int64())]
)  # fmt: skip
PIECE = 10_000


@dataclass(frozen=True)
class EventFiles:
    """Archived events by shard of their terminal, and what makes taps of them."""

    history: History
    known: Known
    terminals: tuple[int, ...]
    later: frozenset[tuple[int, int]]  # events whose phone token another event had used before
    files: dict[str, tuple[str, ...]]
    uploads: Path
    shards: int
    events: int

    @property
    def names(self) -> list[str]:
        """Return the shards that hold events."""
        return sorted(self.files)

    def registers(self) -> History:
        """Return everything but taps and uploads."""
        return self.history

    def read(self, name: str) -> Array:
        """Return the events of a shard as taps with the instants of their uploads."""
        events: list[Sequence[Any]] = []
        names = (*COLUMNS, "raw", "leaf_index")
        for file in self.files[name]:
            table = pq.ParquetFile(file).read(columns=list(names))
            events += zip(*(table.column(each).to_pylist() for each in names), strict=True)
        kept = read(self.uploads / f"{name}.parquet")
        uploads = sorted(
            zip(*(kept.column(each).to_pylist() for each in UPLOADS.names), strict=True)
        )
        made = Events.made_of((row[:-2] for row in events), [row[-2] for row in events])
        taps = self.known.taps(self.terminals, made, list(uploads))
        leaves = np.array([row[-1] for row in events], np.int64)
        return self._filed(made, taps, leaves, np.array([row[3] for row in uploads], np.int64))

    def _filed(
        self, events: Events, taps: Array, leaves: NDArray[np.int64], receipts: NDArray[np.int64]
    ) -> Array:
        rows, filed = events.rows, np.zeros(len(taps), FILED_DTYPE)
        for field in arrays.TAP_DTYPE.names or ():
            filed[field] = taps[field]
        filed["row"], filed["received_ms"] = leaves, rows["received_ms"]
        named = filed["anchor"] >= 0
        filed["receipt_ms"][named] = receipts[filed["anchor"][named]]
        numbers = zip(rows["terminal_id"].tolist(), rows["seq"].tolist(), strict=True)
        again = [number in self.later for number in numbers]
        filed["proof"][again] &= ~int(Proof.TOKEN)
        return filed


def write_uploads(session: Session, folder: Path, shards: int) -> None:
    """Write the uploads of every terminal, each to the file of its shard."""
    folder.mkdir(parents=True, exist_ok=True)
    statement = sa.select(Batch.id, Batch.terminal_id, Batch.anchor, Batch.received_ms)
    found = session.execute(statement.order_by(Batch.id).execution_options(yield_per=PIECE))
    writers = [
        pq.ParquetWriter(folder / f"s{shard:04d}.parquet", UPLOADS, compression="zstd")
        for shard in range(shards)
    ]
    try:
        for piece in found.partitions():
            cells = zip(*piece, strict=True)
            arrays_of = [pa.array(*pair) for pair in zip(cells, UPLOADS.types, strict=True)]
            table = pa.table(arrays_of, schema=UPLOADS)
            shard = table.column("terminal_id").to_numpy() % shards
            for number in np.unique(shard).tolist():
                writers[number].write_table(table.filter(pa.array(shard == number)))
    finally:
        for writer in writers:
            writer.close()
