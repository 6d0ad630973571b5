# SPDX-License-Identifier: Apache-2.0
"""Bind what the log's leaves do not: the server's word on events, the ledger, the audit trail.

The leaf of an event is the hash of what the terminal signed. The verdict, the proof bits and the
instant of receipt are the server's own; so are transfers and audit lines. Their digests become
leaves too: a record of kind `rows` or `ledger` carries 4 bytes of SHA-256 for each row and the
SHA-256 over all of them, a record of kind `audit-head` the end of the audit chain. Changed later,
a row no longer fits its seal, and the tag says which one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server import evidence
from server.db import Database
from server.evidence import LogRecord, LogState
from server.ingest.models import StoredEvent
from server.people import audit
from server.timebank.models import Entry, Transfer
from server.transparency import leaves

ROWS, LEDGER, AUDIT_HEAD = "rows", "ledger", "audit-head"
ROW_CONTEXT = b"yika/row/1\0"
TRANSFER_CONTEXT = b"yika/transfer/1\0"
TAG = 4
# Rows under one seal: its record stays below 24 kB.
SEAL_MAX = 4_096
_ROW = struct.Struct(">QQQ32sHHQQ")

Rows = list[tuple[Any, ...]]

EVENT_COLUMNS = (
    StoredEvent.leaf_index,
    StoredEvent.terminal_id,
    StoredEvent.seq,
    StoredEvent.event_hash,
    StoredEvent.proof,
    StoredEvent.verdict,
    StoredEvent.batch_id,
    StoredEvent.received_ms,
)
# The seal says which columns it is over, so that a later one does not break it.
TRANSFER_COLUMNS = tuple(column.name for column in Transfer.__table__.columns)


@dataclass(frozen=True, slots=True)
class Seal:
    """The digests of rows first to last: a tag of each, and one over all."""

    first: int
    last: int
    sha256: bytes
    tags: bytes
    columns: tuple[str, ...] = ()

    @classmethod
    def over(
        cls, first: int, last: int, digests: Sequence[bytes], columns: tuple[str, ...] = ()
    ) -> Seal:
        """Seal some digests."""
        whole = hashlib.sha256(b"".join(digests)).digest()
        return cls(first, last, whole, b"".join(digest[:TAG] for digest in digests), columns)

    @classmethod
    def from_body(cls, body: bytes) -> Seal:
        """Read the record of a seal; raise ``ValueError`` for one that was changed."""
        read = json.loads(body)
        return cls(
            int(read["first"]),
            int(read["last"]),
            bytes.fromhex(read["sha256"]),
            base64.b64decode(read["tags"]),
            tuple(read.get("columns", ())),
        )

    def document(self) -> dict[str, Any]:
        """Return the record."""
        document = {
            "first": self.first,
            "last": self.last,
            "sha256": self.sha256.hex(),
            "tags": base64.b64encode(self.tags).decode(),
        }
        return document | ({"columns": list(self.columns)} if self.columns else {})

    def tag(self, place: int) -> bytes:
        """Return the tag of the row at a place."""
        return self.tags[place * TAG : (place + 1) * TAG]


def row_digest(row: Sequence[Any]) -> bytes:
    """Return the digest of an event's row, its columns being EVENT_COLUMNS."""
    leaf_index, terminal_id, seq, event_hash, proof, verdict, batch_id, received_ms = row
    packed = _ROW.pack(
        leaf_index, terminal_id, seq, bytes(event_hash), proof, verdict, batch_id, received_ms
    )
    return hashlib.sha256(ROW_CONTEXT + packed).digest()


def transfer_digest(row: Sequence[Any], entries: Sequence[Sequence[int]]) -> bytes:
    """Return the digest of a transfer's columns and of its sorted entries."""
    document = [list(map(_plain, row)), sorted(map(list, entries))]
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(TRANSFER_CONTEXT + text.encode()).digest()


def transfers(session: Session, names: Sequence[str], where: sa.ColumnElement[bool]) -> Rows:
    """Return columns of some transfers, by number."""
    columns = [Transfer.__table__.columns[name] for name in names]
    statement = sa.select(Transfer.id, *columns).where(where).order_by(Transfer.id)
    return [tuple(row) for row in session.execute(statement.limit(SEAL_MAX))]


def entries_of(session: Session, first: int, last: int) -> dict[int, list[tuple[int, int]]]:
    """Return account and minutes of the entries of some transfers."""
    found: dict[int, list[tuple[int, int]]] = {}
    statement = sa.select(Entry.transfer_id, Entry.account_id, Entry.minutes).where(
        Entry.transfer_id.between(first, last)
    )
    for transfer_id, account_id, minutes in session.execute(statement):
        found.setdefault(transfer_id, []).append((account_id, minutes))
    return found


def seal_all(database: Database, now_ms: int) -> None:
    """Seal every event and transfer that is not sealed yet, and the head of the audit trail."""
    while _seal_rows(database, now_ms):
        pass
    while _seal_ledger(database, now_ms):
        pass
    _anchor_audit(database, now_ms)


def last_record(session: Session, kind: str) -> bytes | None:
    """Return the body of the newest record of a kind."""
    statement = sa.select(LogRecord.body).where(LogRecord.kind == kind)
    found = session.scalar(statement.order_by(LogRecord.leaf_index.desc()).limit(1))
    return None if found is None else bytes(found)


def _sealed_to(session: Session, kind: str) -> int:
    body = last_record(session, kind)
    return -1 if body is None else int(json.loads(body)["last"])


def _seal_rows(database: Database, now_ms: int) -> bool:
    """Seal the next events, `first` and `last` being numbers of leaves; say whether there were."""
    with database.reading() as session:
        done = _sealed_to(session, ROWS)
        size = session.scalars(sa.select(LogState.size)).one()
        end = min(size, done + 1 + SEAL_MAX)
        found = leaves.event_rows(session, EVENT_COLUMNS, (done + 1, end))
        rows = sorted(tuple(row) for row in found)
    # Records need no seal, being leaves; a span of nothing else is passed over once it is full.
    if not rows and end - done - 1 < SEAL_MAX:
        return False
    seal = Seal.over(done + 1, end - 1, [row_digest(row) for row in rows])
    return _append(database, ROWS, seal, done, now_ms)


def _seal_ledger(database: Database, now_ms: int) -> bool:
    """Seal the next transfers, `first` and `last` being their numbers."""
    with database.reading() as session:
        done = _sealed_to(session, LEDGER)
        rows = transfers(session, TRANSFER_COLUMNS, Transfer.id > done)
        if not rows:
            return False
        entries = entries_of(session, rows[0][0], rows[-1][0])
    digests = [transfer_digest(row[1:], entries.get(row[0], [])) for row in rows]
    seal = Seal.over(rows[0][0], rows[-1][0], digests, TRANSFER_COLUMNS)
    return _append(database, LEDGER, seal, done, now_ms)


def _append(database: Database, kind: str, seal: Seal, done: int, now_ms: int) -> bool:
    """Append a seal unless another server has sealed the same meanwhile."""
    with database.writing() as session:
        evidence.append(session, [])  # the log's lock, under which the last seal stays the last
        if _sealed_to(session, kind) == done:
            evidence.append_record(session, now_ms, kind, seal.document())
    return True


def _plain(value: Any) -> Any:
    return bytes(value).hex() if isinstance(value, (bytes, memoryview)) else value


def _anchor_audit(database: Database, now_ms: int) -> None:
    with database.reading() as session:
        number, digest = audit.head(session)
        body = last_record(session, AUDIT_HEAD)
    if not number or (body is not None and json.loads(body)["number"] >= number):
        return
    with database.writing() as session:
        record = {"number": number, "hash": digest.hex()}
        evidence.append_record(session, now_ms, AUDIT_HEAD, record)
