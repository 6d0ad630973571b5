# SPDX-License-Identifier: Apache-2.0
"""Check every stored event against its own signed bytes: columns, hashes, signature, chain.

Rows are read in the order of their key, some at a time, whatever the size of the table. A
signature that still holds proves the bytes, so a column that differs was changed; one that does
not, though it did when the event came, proves that the bytes were.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.suite import Suite
from keys.verify import verify_many
from server.ingest import ranges, storage
from server.ingest.models import StoredEvent, StoredRange
from server.ingest.ranges import Run
from server.ingest.verdicts import Proof
from server.terminals.models import TerminalKey
from server.transparency.findings import Finding, shown
from swipe import arrays
from swipe.arrays import EventArray, Mask
from swipe.event import EVENT_SIZE, SWIPE_CONTEXT, genesis_prev

PIECE = 2_000
SIGNED = tuple(name for name in storage.COLUMNS if name not in (
    "raw", "event_hash", "content_hash", "proof", "verdict", "batch_id", "received_ms",
    "leaf_index",
))  # fmt: skip
_COLUMNS = (*SIGNED, "event_hash", "content_hash", "proof", "raw")

Row = Sequence[Any]


class EventCheck:
    """One pass over all events."""

    def __init__(self, session: Session, *, signatures: bool) -> None:
        self._session = session
        self._signatures = signatures
        self._keys = {
            key.id: (key.terminal_id, bytes(key.public_key))
            for key in session.scalars(sa.select(TerminalKey).order_by(TerminalKey.id))
        }
        self._first_keys: dict[int, bytes] = {}
        for terminal_id, public_key in self._keys.values():
            self._first_keys.setdefault(terminal_id, public_key)
        self._before: tuple[int, int, bytes] | None = None
        self._run: Run | None = None
        self._runs: list[tuple[int, Run]] = []
        self.count = 0

    def findings(self) -> Iterator[Finding]:
        """Give what is wrong, row by row, then with the ranges."""
        last = (-1, -1)
        while True:
            rows = self._rows(last)
            if not rows:
                break
            last = (rows[-1][0], rows[-1][1])
            self.count += len(rows)
            whole = [row for row in rows if len(row[-1]) == EVENT_SIZE]
            for row in rows:
                if len(row[-1]) != EVENT_SIZE:
                    yield _finding(row, "raw", f"{EVENT_SIZE} bytes", f"{len(row[-1])} bytes")
            yield from self._piece(whole)
        yield from self._range_findings()

    def _rows(self, after: tuple[int, int]) -> list[Row]:
        columns = [getattr(StoredEvent, name) for name in _COLUMNS]
        key = sa.tuple_(StoredEvent.terminal_id, StoredEvent.seq)
        statement = (
            sa.select(*columns)
            .where(key > after)
            .order_by(StoredEvent.terminal_id, StoredEvent.seq)
            .limit(PIECE)
        )
        return [tuple(row) for row in self._session.execute(statement)]

    def _piece(self, rows: list[Row]) -> Iterator[Finding]:
        if not rows:
            return
        events = arrays.view(b"".join(bytes(row[-1]) for row in rows))
        signed = self._signed(events, rows)
        computed = storage.signed_columns(events)
        hashes = {
            "event_hash": arrays.event_hashes(events),
            "content_hash": arrays.content_hashes(events),
        }
        wrong = np.zeros(len(rows), dtype=np.bool_)
        for place, name in enumerate(_COLUMNS[:-2]):
            expected = storage.python_column(name, (computed | hashes)[name], len(rows))
            for index, (should, row) in enumerate(zip(expected, rows, strict=True)):
                if _plain(row[place]) != _plain(should):
                    wrong[index] = True
                    yield self._told(row, name, should, row[place], signed=bool(signed[index]))
        for index in np.flatnonzero(~signed).tolist():
            if rows[index][-2] & Proof.SIGNATURE:
                yield _finding(
                    rows[index], "raw", "bytes that the terminal signed",
                    shown(hashes["event_hash"][index].tobytes()),
                    ("字节被改动", "the signature held when it came; the bytes were changed"),
                )  # fmt: skip
        yield from self._chained(events, rows)

    def _told(self, row: Row, name: str, should: object, found: object, *, signed: bool) -> Finding:
        if signed:
            why = ("此列被改动", "the column was changed; the signed bytes are whole")
        else:
            why = ("列与字节不符", "column and bytes differ")
        return _finding(row, name, shown(should), shown(_plain(found)), why)

    def _signed(self, events: EventArray, rows: list[Row]) -> Mask:
        if not self._signatures:
            return np.ones(len(rows), dtype=np.bool_)
        good = np.zeros(len(rows), dtype=np.bool_)
        messages = arrays.signed_messages(events)
        for key_id in np.unique(events["key_id"]).tolist():
            if key_id not in self._keys:
                continue
            places = np.flatnonzero(events["key_id"] == key_id)
            chosen = [messages[place] for place in places]
            good[places] = verify_many(
                self._keys[key_id][1], events["signature"][places], SWIPE_CONTEXT, chosen
            )
        return good

    def _chained(self, events: EventArray, rows: list[Row]) -> Iterator[Finding]:
        for event, row in zip(events, rows, strict=True):
            terminal_id, seq, raw = row[0], row[1], bytes(row[-1])
            first_key = self._first_keys.get(terminal_id, b"")
            suite = Suite.of(first_key) if first_key else Suite.ED25519
            expected = None
            if seq == ranges.FIRST_SEQ and first_key:
                expected = genesis_prev(terminal_id, first_key)
            elif self._before is not None and self._before[:2] == (terminal_id, seq - 1):
                expected = self._before[2]
            if expected is not None and expected != event["prev"].tobytes():
                yield _finding(
                    row, "prev", shown(expected), shown(event["prev"].tobytes()),
                    ("与前一条不连", "this event or the one before it was changed"),
                )  # fmt: skip
            self._before = (terminal_id, seq, suite.digest(raw))
            self._note(terminal_id, seq)

    def _note(self, terminal_id: int, seq: int) -> None:
        """Remember the runs of numbers that are really there."""
        if self._runs and self._runs[-1][0] == terminal_id and self._runs[-1][1].last == seq - 1:
            self._runs[-1] = (terminal_id, Run(self._runs[-1][1].first, seq))
        else:
            self._runs.append((terminal_id, Run(seq, seq)))

    def _range_findings(self) -> Iterator[Finding]:
        statement = sa.select(StoredRange.terminal_id, StoredRange.first_seq, StoredRange.last_seq)
        kept = {(row[0], Run(row[1], row[2])) for row in self._session.execute(statement)}
        there = set(self._runs)
        for terminal_id, run in sorted(kept - there, key=str):
            inside = [r for t, r in there if t == terminal_id and r.last >= run.first
                      and r.first <= run.last]  # fmt: skip
            yield Finding(
                "event", f"terminal {terminal_id}", "seq", f"{run.first}–{run.last}",
                ", ".join(f"{r.first}–{r.last}" for r in sorted(inside, key=str)) or "null",
                "有记录被删除", "events that were receipted are not there",
            )  # fmt: skip
        for terminal_id, run in sorted(there - kept, key=str):
            if not any(t == terminal_id for t, _ in kept - there):
                yield Finding(
                    "event", f"terminal {terminal_id}", "seq", "null", f"{run.first}–{run.last}",
                    "多出的记录", "events that no upload brought",
                )  # fmt: skip


def _finding(
    row: Row, field: str, expected: str, found: str, why: tuple[str, str] = ("", "")
) -> Finding:
    return Finding("event", f"terminal {row[0]}, seq {row[1]}", field, expected, found, *why)


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, (memoryview, bytearray)) else value
