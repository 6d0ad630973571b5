# SPDX-License-Identifier: Apache-2.0
"""Put events into the database in bulk: binary COPY on PostgreSQL, executemany on SQLite.

The columns are computed once as arrays. For COPY each row is assembled as a numpy record with its
length words in place; rows with and without a card or PSAM have different records, because NULL
has no bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from server.ingest.checks import Opened
from server.ingest.models import StoredEvent
from server.rows import copy_in
from swipe import arrays
from swipe.arrays import EventArray
from swipe.kinds import EventType

COLUMNS = tuple(column.name for column in StoredEvent.__table__.columns)
COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = b"\xff\xff"
_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
# Columns that are NULL where an event has no card or no PSAM.
NULLABLE = ("card_asn", "psam_no")


@dataclass(frozen=True, slots=True)
class Stored:
    """What the server adds to the events it stores."""

    proof: NDArray[np.int16]
    verdict: NDArray[np.int16]
    batch_id: int
    received_ms: int
    first_leaf: int


def insert_events(session: Session, opened: Opened, rows: NDArray[np.intp], added: Stored) -> None:
    """Store the given rows of an upload; nothing of them may be stored yet."""
    if not len(rows):
        return
    columns = _columns(opened, rows, added)
    if session.get_bind().dialect.name == "postgresql":
        _copy(session, columns)
    else:
        _insert_many(session, columns, len(rows))


def _columns(opened: Opened, rows: NDArray[np.intp], added: Stored) -> dict[str, NDArray[Any]]:
    """Return every column as an array: integers, or (n, width) bytes."""
    count = len(rows)
    hashes = {
        "event_hash": opened.event_hashes[rows],
        "content_hash": opened.content_hashes[rows],
    }
    return (
        signed_columns(opened.events[rows])
        | hashes
        | {
            "proof": added.proof[rows],
            "verdict": added.verdict[rows],
            "batch_id": np.full(count, added.batch_id, dtype=np.int64),
            "received_ms": np.full(count, added.received_ms, dtype=np.int64),
            "leaf_index": added.first_leaf + np.arange(count, dtype=np.int64),
        }
    )


def signed_columns(events: EventArray) -> dict[str, NDArray[Any]]:
    """Return the columns that follow from the events' own bytes."""
    # Only these carry a card's counter in 98 to 105; other payloads hold something else there.
    answered = arrays.is_proven(events) | (events["type"] == EventType.TORN)
    # From OPEN on, byte 127 belongs to the payload: of a receipt's hash, say.
    has_result = events["type"] < EventType.OPEN
    return {
        "terminal_id": events["terminal_id"].astype(np.int64),
        "seq": events["seq"].astype(np.int64),
        "type": events["type"].astype(np.int16),
        "result": np.where(has_result, events["result"], 0).astype(np.int16),
        "flags": events["flags"].astype(np.int32),
        "boot": events["boot"].astype(np.int64),
        "up_ms": _millis(events["up_s"], events["up_ms"]),
        "utc_ms": _millis(events["utc_s"], events["utc_ms"]),
        "unc_ms": events["unc_ms"].astype(np.int64),
        "site": events["site"].astype(np.int64),
        "activity": events["activity"].astype(np.int64),
        "card_asn": _hex(events["card_asn"]),
        "card_ctr": np.where(answered, events["card_ctr"], 0).astype(np.int32),
        "psam_no": events["psam_no"],
        "psam_seq": np.where(answered, events["psam_seq"], 0).astype(np.int64),
        "anchor": events["anchor"],
        "raw": arrays.rows(events),
    }


def _millis(seconds: NDArray[Any], millis: NDArray[Any]) -> NDArray[np.int64]:
    return seconds.astype(np.int64) * 1000 + millis.astype(np.int64)


def _hex(serials: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Write (n, 10) bytes as (n, 20) hex digits in ASCII."""
    digits = np.empty((len(serials), 2 * serials.shape[1]), dtype=np.uint8)
    digits[:, 0::2] = _HEX[serials >> 4]
    digits[:, 1::2] = _HEX[serials & 15]
    return digits


def _present(name: str, column: NDArray[Any]) -> NDArray[np.bool_]:
    """Say where a nullable column has a value: a serial or number other than all zeros."""
    zero = ord("0") if name == "card_asn" else 0
    present: NDArray[np.bool_] = (column != zero).any(axis=1)
    return present


def _insert_many(session: Session, columns: dict[str, NDArray[Any]], count: int) -> None:
    values = [python_column(name, columns[name], count) for name in COLUMNS]
    marks = ", ".join("?" * len(COLUMNS))
    statement = f"INSERT INTO event ({', '.join(COLUMNS)}) VALUES ({marks})"  # noqa: S608
    rows = list(zip(*values, strict=True))
    session.connection().exec_driver_sql(statement, rows)


def python_column(name: str, column: NDArray[Any], count: int) -> Sequence[Any]:
    """Return a column as the values a driver takes: integers, bytes, text, or None."""
    if column.ndim == 1:
        return column.tolist()  # type: ignore[no-any-return]
    width = column.shape[1]
    raw = np.ascontiguousarray(column).tobytes()
    cells: list[Any] = [raw[at : at + width] for at in range(0, count * width, width)]
    if name == "card_asn":
        cells = [cell.decode("ascii") for cell in cells]
    if name in NULLABLE:
        present = _present(name, column).tolist()
        cells = [cell if there else None for cell, there in zip(cells, present, strict=True)]
    return cells


def _copy(session: Session, columns: dict[str, NDArray[Any]]) -> None:
    present = [_present(name, columns[name]) for name in NULLABLE]
    pattern = sum(mask.astype(np.int8) << bit for bit, mask in enumerate(present))
    statement = f"COPY event ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)"
    parts = [COPY_HEADER]
    for kind in range(1 << len(NULLABLE)):
        rows = np.flatnonzero(pattern == kind)
        if len(rows):
            absent = {n for bit, n in enumerate(NULLABLE) if not kind >> bit & 1}
            parts.append(_records(columns, rows, absent))
    copy_in(session, statement, [b"".join([*parts, COPY_TRAILER])])


def _records(columns: dict[str, NDArray[Any]], rows: NDArray[np.intp], absent: set[str]) -> bytes:
    """Assemble rows in the binary COPY format: field count, then length and bytes of each."""
    fields: list[tuple[Any, ...]] = [("count", ">i2")]
    for name in COLUMNS:
        fields.append((f"{name}_len", ">i4"))
        if name not in absent:
            fields.append(_field(name, columns[name]))
    records = np.zeros(len(rows), dtype=np.dtype(fields))
    records["count"] = len(COLUMNS)
    for name in COLUMNS:
        if name in absent:
            records[f"{name}_len"] = -1
            continue
        records[f"{name}_len"] = records.dtype[name].itemsize
        records[name] = columns[name][rows]
    return records.tobytes()


def _field(name: str, column: NDArray[Any]) -> tuple[Any, ...]:
    if column.ndim == 2:
        return (name, "u1", (column.shape[1],))
    return (name, column.dtype.newbyteorder(">"))
