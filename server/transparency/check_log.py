# SPDX-License-Identifier: Apache-2.0
"""Check the log: every leaf there once, every root that was ever signed, the seals over rows.

Leaves are read in their order and the tree is grown once. Where the published entries are at
hand, a leaf that differs is named at once; without them a root that does not come out names the
span since the last one that did.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.evidence import LogRecord, LogState, record_leaf
from server.ingest.models import Batch, StoredEvent
from server.ingest.verdicts import Verdict
from server.transparency import leaves, seals
from server.transparency.findings import Finding, shown
from server.transparency.seals import EVENT_COLUMNS, Seal, row_digest
from server.transparency.tile_files import LogFolder
from swipe.errors import SwipeError
from swipe.merkle import CompactRange
from swipe.notes import Checkpoint
from swipe.receipt import Receipt

PIECE = 4_096
# A leaf that its batch does not lead to is looked for in the whole table, this many times.
SEARCHES_MAX = 20
PROOF_END = 32
_PROOF, _VERDICT, _RECEIVED = 4, 5, 7


class LogCheck:
    """One pass over all leaves."""

    def __init__(self, session: Session, folder: LogFolder | None) -> None:
        self._session = session
        self._folder = folder
        self._tree = CompactRange()
        self._whole = True
        self._good = 0
        self._searches = 0
        self._published = self._checkpoint()
        self.count = 0

    def findings(self) -> Iterator[Finding]:
        """Give what is wrong, in the order of the leaves, then with the ends."""
        state = self._session.execute(sa.select(LogState.size, LogState.frontier)).one()
        for low in range(0, state.size, PIECE):
            yield from self._piece(low, min(low + PIECE, state.size))
        if self._whole and self._tree.to_bytes() != bytes(state.frontier) and state.size:
            yield self._root_finding("log_state", "id 1", "frontier", self._tree.root())
        head = self._published
        if head is not None and head.size > state.size:
            yield Finding(
                "log_state", "id 1", "size", f"at least {head.size}", str(state.size),
                "比已公布的短", "shorter than what was published",
            )  # fmt: skip

    def _checkpoint(self) -> Checkpoint | None:
        if self._folder is None:
            return None
        with suppress(SwipeError):
            note = self._folder.note()
            if note and self._folder.holds(note.checkpoint.size, note.checkpoint.root):
                return note.checkpoint
        return None

    def _piece(self, first: int, end: int) -> Iterator[Finding]:
        found = self._leaves(first, end)
        published = self._entries(first, end)
        roots = self._roots(first, end)
        for index in range(first, end):
            leaf, should = found.get(index), published.get(index)
            if leaf is None:
                yield Finding(
                    "event", f"leaf {index}", "leaf_index", shown(should), "null",
                    "存证中的一条不在库里", "a leaf of the log is not in the database",
                )  # fmt: skip
            elif should is not None and leaf[0] != should:
                yield Finding(leaf[1], leaf[2], leaf[3], shown(should), shown(leaf[0]),
                              "与已公布的存证不符", "differs from the published log")  # fmt: skip
            if leaf is None and should is None:
                self._whole = False
            self._tree.append(should or (leaf[0] if leaf else b""))
            self.count += 1
            yield from self._compare(roots.get(index + 1, []))
        for name, row, index in self._doubled:
            yield Finding(
                name, row, "leaf_index", "once", str(index), "重复", "the leaf is there twice"
            )

    def _leaves(self, first: int, end: int) -> dict[int, tuple[bytes, str, str, str]]:
        """Return the leaves of a span with table, row and field that they come from."""
        found: dict[int, tuple[bytes, str, str, str]] = {}
        self._doubled: list[tuple[str, str, int]] = []
        columns = (
            StoredEvent.leaf_index,
            StoredEvent.event_hash,
            StoredEvent.terminal_id,
            StoredEvent.seq,
        )
        rows = list(leaves.event_rows(self._session, columns, (first, end)))
        records = sa.select(LogRecord.leaf_index, LogRecord.kind, LogRecord.body).where(
            LogRecord.leaf_index >= first, LogRecord.leaf_index < end
        )
        for index, kind, body in self._session.execute(records):
            name = f"leaf {index} ({kind})"
            found[index] = (record_leaf(bytes(body)), "log_record", name, "body")
        if len(rows) + len(found) < end - first and self._searches < SEARCHES_MAX:
            self._searches += 1
            span = sa.select(*columns).where(StoredEvent.leaf_index.between(first, end - 1))
            rows = list(self._session.execute(span))
        for index, leaf, terminal_id, seq in rows:
            name = f"terminal {terminal_id}, seq {seq}"
            if index in found:
                self._doubled.append(("event", name, index))
            found[index] = (bytes(leaf), "event", name, "event_hash")
        return found

    def _entries(self, first: int, end: int) -> dict[int, bytes]:
        if self._folder is None or self._published is None or first >= self._published.size:
            return {}
        entries: dict[int, bytes] = {}
        with suppress(SwipeError):
            for index, entry in self._folder.tree(self._published.size).entries(first):
                if index >= end:
                    break
                entries[index] = entry
        return entries

    def _roots(self, first: int, end: int) -> dict[int, list[tuple[int, int, bytes]]]:
        """Return the roots that receipts of a span of sizes tell: batch, terminal, root."""
        statement = (
            sa.select(Batch.log_size, Batch.id, Batch.terminal_id, Batch.receipt)
            .where(Batch.log_size > first, Batch.log_size <= end)
            .order_by(Batch.log_size, Batch.id)
        )
        roots: dict[int, list[tuple[int, int, bytes]]] = {}
        for size, batch_id, terminal_id, receipt in self._session.execute(statement):
            with suppress(SwipeError):
                root = Receipt.from_bytes(bytes(receipt)).log_root
                roots.setdefault(size, []).append((batch_id, terminal_id, root))
        return roots

    def _compare(self, told: list[tuple[int, int, bytes]]) -> Iterator[Finding]:
        if not told or not self._whole:
            return
        root = self._tree.root()
        for batch_id, terminal_id, should in told:
            if root == should:
                self._good = self._tree.size
                continue
            self._whole = False  # every later root differs as well
            yield self._root_finding(
                "batch", f"id {batch_id}, terminal {terminal_id}", "receipt.log_root", should
            )
            return

    def _root_finding(self, table: str, row: str, field: str, should: bytes) -> Finding:
        span = f"{self._good}–{self._tree.size - 1}"
        return Finding(
            table, row, field, shown(should), shown(self._tree.root()),
            f"第 {span} 片叶中有改动", f"something among the leaves {span} was changed",
        )  # fmt: skip


def seal_findings(session: Session) -> Iterator[Finding]:
    """Check the server's word on each event against the seals in the log."""
    statement = (
        sa.select(LogRecord.leaf_index, LogRecord.body)
        .where(LogRecord.kind == seals.ROWS)
        .order_by(LogRecord.leaf_index)
    )
    for index, body in session.execute(statement.execution_options(yield_per=100)):
        try:
            seal = Seal.from_body(bytes(body))
        except (ValueError, KeyError):
            yield Finding("log_record", f"leaf {index} (rows)", "body", "a seal", "no seal")
            continue
        yield from _under(session, seal)


def _under(session: Session, seal: Seal) -> Iterator[Finding]:
    span = (seal.first, seal.last + 1)
    inside = sa.select(LogRecord.leaf_index).where(
        LogRecord.leaf_index.between(seal.first, seal.last)
    )
    records = set(session.scalars(inside))
    places = [index for index in range(*span) if index not in records]
    rows = {row[0]: tuple(row) for row in leaves.event_rows(session, EVENT_COLUMNS, span)}
    for place, index in enumerate(places):
        row = rows.get(index)
        if row is not None and row_digest(row)[: seals.TAG] != seal.tag(place):
            yield _row_finding(session, row, seal.tag(place))


def _row_finding(session: Session, row: tuple[Any, ...], tag: bytes) -> Finding:
    """Name the field of a row that breaks its seal, by trying what it may have been."""
    name = f"terminal {row[1]}, seq {row[2]}"
    received = session.scalar(sa.select(Batch.received_ms).where(Batch.id == row[6]))
    for proof in (row[_PROOF], *range(PROOF_END)):
        for verdict in (row[_VERDICT], *(int(each) for each in Verdict)):
            for at_ms in {row[_RECEIVED], received or row[_RECEIVED]}:
                tried = (*row[:_PROOF], proof, verdict, row[6], at_ms)
                if row_digest(tried)[: seals.TAG] == tag:
                    should = {"proof": proof, "verdict": verdict, "received_ms": at_ms}
                    changed = {
                        field: (value, row[place])
                        for (field, value), place in zip(
                            should.items(), (_PROOF, _VERDICT, _RECEIVED), strict=True
                        )
                        if value != row[place]
                    }
                    return Finding(
                        "event", name, ", ".join(changed),
                        ", ".join(_word(field, pair[0]) for field, pair in changed.items()),
                        ", ".join(_word(field, pair[1]) for field, pair in changed.items()),
                        "与封存不符", "differs from what was sealed in the log",
                    )  # fmt: skip
    return Finding(
        "event", name, "row", f"digest {tag.hex()}…", f"digest {row_digest(row).hex()[:8]}…",
        "与封存不符", "differs from what was sealed in the log",
    )  # fmt: skip


def _word(field: str, value: int) -> str:
    if field == "verdict" and value in set(Verdict):
        return Verdict(value).name
    return str(value)
