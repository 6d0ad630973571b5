# SPDX-License-Identifier: Apache-2.0
"""The public log: one RFC 6962 tree over everything accepted, its frontier kept under lock.

Leaves are the hashes of stored events and of enrolments, in the order of storing. Who appends
holds the lock of the single state row until its unit of work ends, so that leaf numbers have
no gap and no two checkpoints disagree.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from server.db import Base, Id, Millis
from swipe import merkle

STATE_ID = 1
RECORD_CONTEXT = b"yika/record/1\0"


class LogState(Base):
    """Size and frontier of the tree; exactly one row, id 1."""

    __tablename__ = "log_state"

    id: Mapped[Id]
    size: Mapped[int] = mapped_column(sa.BigInteger)
    frontier: Mapped[bytes]


class LogRecord(Base):
    """A leaf that is not an event: what was enrolled, by whom, approved by whom."""

    __tablename__ = "log_record"
    __table_args__ = (sa.Index("ix_log_record_kind", "kind", "leaf_index"),)

    leaf_index: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    at_ms: Mapped[Millis]
    kind: Mapped[str] = mapped_column(sa.String(32))
    body: Mapped[bytes]


# Written once: to build a statement costs more than to run it.
_STATE = (
    sa.select(LogState.size, LogState.frontier).where(LogState.id == STATE_ID).with_for_update()
)
_GROWN = (
    sa.update(LogState)
    .where(LogState.id == STATE_ID)
    .values(size=sa.bindparam("to_size"), frontier=sa.bindparam("to_frontier"))
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tree after an append: number of the first new leaf, size, root."""

    first_index: int
    size: int
    root: bytes


def append(session: Session, leaves: Sequence[bytes]) -> Checkpoint:
    """Add leaves in order; the log stays locked until the unit of work ends.

    With no leaves the state is only read, under the same lock.
    """
    connection = session.connection()
    state = connection.execute(_STATE).one()
    tree = merkle.CompactRange.from_bytes(state.frontier) if state.size else merkle.CompactRange()
    first_index = tree.size
    if leaves:
        tree.extend(leaves)
        grown = {"to_size": tree.size, "to_frontier": tree.to_bytes()}
        connection.execute(_GROWN, grown)
    return Checkpoint(first_index, tree.size, tree.root())


def append_record(session: Session, at_ms: int, kind: str, record: Mapping[str, Any]) -> None:
    """Add one leaf that is not an event: the SHA-256 of the record's canonical JSON.

    >>> canonical("psam", {"b": 1, "a": "x"})
    b'{"a":"x","b":1,"kind":"psam"}'
    """
    body = canonical(kind, record)
    checkpoint = append(session, [record_leaf(body)])
    session.add(LogRecord(leaf_index=checkpoint.first_index, at_ms=at_ms, kind=kind, body=body))


def record_leaf(body: bytes) -> bytes:
    """Return the leaf that stands for a record."""
    return hashlib.sha256(RECORD_CONTEXT + body).digest()


def canonical(kind: str, record: Mapping[str, Any]) -> bytes:
    """Return the one byte form of a record: UTF-8 JSON, keys sorted, no spaces."""
    document = {**record, "kind": kind}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
