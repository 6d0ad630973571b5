# SPDX-License-Identifier: Apache-2.0
"""Read the leaves of the log back from the tables that hold them: events and records.

Events are found through their batch, whose receipt tells how large the log was with it in; so no
index over all events is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from server.evidence import LogRecord, record_leaf
from server.ingest.models import Batch, StoredEvent
from server.transparency.errors import LogDiverged

# Leaves read together: 2 MB of rows.
PIECE = 16_384


def event_rows(
    session: Session,
    columns: Sequence[InstrumentedAttribute[Any]],
    span: tuple[int, int],
) -> Iterator[Sequence[Any]]:
    """Give columns of the events whose leaves lie in a span (from, to), in no order."""
    first, end = span
    last_batch = (
        sa.select(sa.func.min(Batch.log_size)).where(Batch.log_size >= end).scalar_subquery()
    )
    statement = (
        sa.select(*columns)
        .join(
            StoredEvent,
            sa.and_(
                StoredEvent.terminal_id == Batch.terminal_id,
                StoredEvent.seq >= Batch.first_seq,
                StoredEvent.seq < Batch.first_seq + Batch.count,
                StoredEvent.batch_id == Batch.id,
            ),
        )
        .select_from(Batch)
        .where(Batch.log_size > first, Batch.log_size <= sa.func.coalesce(last_batch, end))
        .where(StoredEvent.leaf_index >= first, StoredEvent.leaf_index < end)
    )
    yield from session.execute(statement)


def read(session: Session, first: int, end: int) -> list[bytes]:
    """Return the leaves from `first` to before `end`, in order.

    Raises:
        LogDiverged: one is missing, or there twice.
    """
    leaves: dict[int, bytes] = {}
    count = 0
    columns = (StoredEvent.leaf_index, StoredEvent.event_hash)
    for index, leaf in event_rows(session, columns, (first, end)):
        leaves[index] = bytes(leaf)
        count += 1
    records = sa.select(LogRecord.leaf_index, LogRecord.body).where(
        LogRecord.leaf_index >= first, LogRecord.leaf_index < end
    )
    for index, body in session.execute(records):
        leaves[index] = record_leaf(bytes(body))
        count += 1
    if count != len(leaves):
        raise LogDiverged(first, end, "a leaf is there twice")
    if len(leaves) != end - first:
        lost = next(index for index in range(first, end) if index not in leaves)
        raise LogDiverged(first, end, f"leaf {lost} is missing")
    return [leaves[index] for index in range(first, end)]


def pieces(session: Session, first: int, end: int) -> Iterator[list[bytes]]:
    """Give the leaves piece by piece, each but the last a multiple of a tile."""
    for low in range(first, end, PIECE):
        yield read(session, low, min(low + PIECE, end))
