# SPDX-License-Identifier: Apache-2.0
"""Follow one terminal's chain through whatever order and state its records are found in.

Records come in file order, each with the verdict on its signature. A record whose signature is
wrong is held until the next one is known, because only its neighbour tells an altered record from
an inserted one:

- the successor's ``prev`` is the hash of these bytes: they were chained like this, and only the
  signature is bad;
- it is not: the bytes changed after they were chained;
- the successor's number leaves no room for it: it was inserted.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass

from keys.suite import Suite
from swipe.errors import SwipeError
from swipe.event import (
    EVENT_LAYOUT,
    EVENT_SIGNED,
    Event,
    event_hash,
    genesis_prev,
    is_proven,
    tap_counts,
)
from swipe.findings import Cause, Report
from swipe.kinds import CardKind, EventType
from swipe.payloads import PAYLOADS, parse

# Open gaps are remembered so that late records can fill them; a file with more is hopeless.
GAPS_KEPT = 10_000
# A PSAM steps its number on every question; more than this between two taps deserves a look.
PSAM_STEP_MAX = 16


@dataclass(frozen=True, slots=True)
class Record:
    """Carry one event as it was found."""

    event: Event
    raw: bytes
    offset: int
    signed: bool
    suite: Suite = Suite.ED25519
    in_batch: bool = False
    altered: bool = False
    flipped: int | None = None

    @property
    def hash(self) -> bytes:
        """Give the hash of the bytes found."""
        return event_hash(self.raw, self.suite)


class Totals:
    """Recount IN, OUT and REJECTED over the present unbroken run of records."""

    def __init__(self) -> None:
        self._start = 0
        self._counts = (array("I"), array("I"), array("I"))
        self._now = [0, 0, 0]

    def restart(self, seq: int) -> None:
        """Begin a new run with this number."""
        self._start, self._now = seq, [0, 0, 0]
        for column in self._counts:
            del column[:]

    def add(self, event: Event) -> None:
        """Count one more record."""
        n_in, n_out = tap_counts(event)
        for column, now in zip(self._counts, self._now, strict=True):
            column.append(now)
        for i, more in enumerate((n_in, n_out, int(event.type == EventType.REJECTED))):
            self._now[i] += more

    def between(self, first: int, last: int) -> tuple[int, ...] | None:
        """Give the counts over records ``first`` to ``last``, or ``None`` if not all were seen."""
        low, high = first - self._start, last + 1 - self._start
        if not 0 <= low <= high <= len(self._counts[0]):
            return None
        ends = zip(self._before(low), self._before(high), strict=True)
        return tuple(end - start for start, end in ends)

    def _before(self, index: int) -> list[int]:
        at_end = index == len(self._counts[0])
        return list(self._now) if at_end else [column[index] for column in self._counts]


class Chain:
    """Check records one after the other and put what is wrong into a report."""

    def __init__(
        self, terminal_id: int, public_key: bytes, report: Report, *, whole: bool = False
    ) -> None:
        """Begin a chain; a ``whole`` one (a journal) must start at number 1."""
        self._terminal_id = terminal_id
        self._whole = whole
        self._genesis = genesis_prev(terminal_id, public_key)
        self._report = report
        self._held: Record | None = None
        self._last: Event | None = None
        self._last_seq = 0
        # None: the record before is unknown or altered, so nothing can be said about the link.
        self._last_hash: bytes | None = None
        self._gaps: list[tuple[int, int, int]] = []
        # Hash heads of the records in rising order, and of those that came too late.
        self._seqs = array("Q")
        self._heads = array("Q")
        self._late: dict[int, int] = {}
        self._first_seq = 0
        self._totals = Totals()
        self._psam: tuple[bytes, int] | None = None

    def add(self, record: Record) -> None:
        """Take the next record of the file."""
        if self._held is not None:
            self._settle(self._held, record)
            self._held = None
        if not record.signed:
            self._held = record
        elif record.event.terminal_id != self._terminal_id:
            self._find(Cause.FOREIGN, record, terminal=record.event.terminal_id)
        else:
            self._place(record)

    def finish(self) -> None:
        """Settle what is still open at the end of the file."""
        if self._held is not None:
            self._settle(self._held, None)
            self._held = None
        for first, last, offset in self._gaps:
            self._report.add(Cause.MISSING, offset, first, first=first, last=last)

    def knows(self, hash_: bytes) -> bool:
        """Say whether a record with this hash was in the file."""
        head = int.from_bytes(hash_[:8])
        return head in self._heads

    @property
    def unsettled(self) -> int:
        """Count what is open: gaps, and a record that waits for its successor."""
        return len(self._gaps) + (self._held is not None)

    @property
    def run(self) -> tuple[int, int]:
        """Give the first and the last number seen."""
        return self._first_seq, self._last_seq

    def _find(self, cause: Cause, record: Record, **facts: int | str | None) -> None:
        self._report.add(cause, record.offset, record.event.seq, **facts)

    def _settle(self, held: Record, after: Record | None) -> None:
        """Say what is wrong with a record whose signature is, knowing the one after it."""
        if self._is_inserted(held, after):
            self._find(Cause.INSERTED, held)
            return
        if held.flipped is not None:
            byte, bit = divmod(held.flipped, 8)
            if byte >= EVENT_SIGNED:
                self._find(Cause.SIGNATURE_AT, held, byte=byte, bit=bit)
            else:
                name = EVENT_LAYOUT.field_at(byte)
                self._find(Cause.ALTERED_AT, held, field=name, byte=byte, bit=bit)
        elif held.altered or (after is not None and after.event.prev != held.hash):
            self._find(Cause.ALTERED, held)
        else:
            self._find(Cause.SIGNATURE, held)
        self._step_over(held, after)

    def _is_inserted(self, held: Record, after: Record | None) -> bool:
        """Say whether the chain goes on without this record.

        Its own number and terminal say little: they may be what was altered.
        """
        if after is not None and after.signed:
            return after.event.seq == self._last_seq + 1
        return self._seen(held.event.seq) is not None

    def _step_over(self, held: Record, after: Record | None) -> None:
        """Let an altered record keep its place in the sequence, with an unknown hash."""
        if not self._seqs:
            seq = after.event.seq - 1 if after is not None and after.signed else held.event.seq
        else:
            seq = self._last_seq + 1
        self._remember(seq, 0)
        self._last_seq, self._last_hash, self._last = seq, None, None

    def _place(self, record: Record) -> None:
        """Put a validly signed record at its place in the chain."""
        event = record.event
        if self._seqs and event.seq <= self._last_seq:
            self._place_late(record)
            return
        if not self._seqs:
            if event.seq == 1 and event.prev != self._genesis:
                self._find(Cause.GENESIS, record)
            if event.seq > 1 and self._whole:
                self._open_gap(1, event.seq - 1, record.offset)
        elif event.seq > self._last_seq + 1:
            self._open_gap(self._last_seq + 1, event.seq - 1, record.offset)
            self._last = None
        elif self._last_hash is not None and event.prev != self._last_hash:
            self._find(Cause.LINK, record)
        if self._last is None:
            self._totals.restart(event.seq)
        self._check_values(record)
        self._remember(event.seq, int.from_bytes(record.hash[:8]))
        self._last, self._last_seq, self._last_hash = event, event.seq, record.hash

    def _place_late(self, record: Record) -> None:
        """Judge a record whose number was passed already."""
        seq, head = record.event.seq, int.from_bytes(record.hash[:8])
        if seq < self._first_seq:
            if seq + 1 < self._first_seq:
                self._open_gap(seq + 1, self._first_seq - 1, record.offset)
            self._first_seq = seq
        elif not self._fill_gap(seq):
            self._judge_double(record, self._seen(seq), head)
            return
        self._late[seq] = head
        self._find(Cause.ORDER, record, after=self._last_seq)

    def _judge_double(self, record: Record, seen: int | None, head: int) -> None:
        """Tell a repeated record from a fork; overlapping batches repeat by right."""
        if seen not in (None, 0, head):
            self._find(Cause.FORK, record)
        elif not record.in_batch:
            self._find(Cause.REPEATED, record)

    def _remember(self, seq: int, head: int) -> None:
        if not self._seqs:
            self._first_seq = seq
        self._seqs.append(seq)
        self._heads.append(head)

    def _seen(self, seq: int) -> int | None:
        if seq in self._late:
            return self._late[seq]
        at = bisect_left(self._seqs, seq)
        return self._heads[at] if at < len(self._seqs) and self._seqs[at] == seq else None

    def _open_gap(self, first: int, last: int, offset: int) -> None:
        if len(self._gaps) < GAPS_KEPT:
            self._gaps.append((first, last, offset))
        else:
            self._report.add(Cause.MISSING, offset, first, first=first, last=last)

    def _fill_gap(self, seq: int) -> bool:
        """Take one number out of the open gaps, and say whether it was in one."""
        for i, (first, last, offset) in enumerate(self._gaps):
            if first <= seq <= last:
                parts = [(first, seq - 1, offset), (seq + 1, last, offset)]
                self._gaps[i : i + 1] = [part for part in parts if part[0] <= part[1]]
                return True
        return False

    def _check_values(self, record: Record) -> None:
        """Check totals, payload and PSAM number of a record at its place."""
        event = record.event
        if self._last is not None:
            before = self._last
            for name, more in zip(("n_in", "n_out"), tap_counts(before), strict=True):
                expected, found = getattr(before, name) + more, getattr(event, name)
                if found != expected:
                    self._find(Cause.TOTALS, record, name=name, found=found, expected=expected)
        self._totals.add(event)
        self._check_payload(record)
        self._check_psam(record)

    def _check_payload(self, record: Record) -> None:
        event = record.event
        if is_proven(event.type) or event.type not in set(PAYLOADS):
            return
        try:
            values = parse(event.type, event.payload)
        except SwipeError as exc:
            self._find(Cause.PAYLOAD, record, detail=str(exc))
            return
        if event.type != EventType.CLOSE:
            return
        counted = self._totals.between(int(values["first_seq"]), int(values["last_seq"]))
        for name, expected in zip(("n_in", "n_out", "n_rej"), counted or (), strict=False):
            found = int(values[name])
            if found != expected:
                self._find(Cause.CLOSE_TOTALS, record, name=name, found=found, expected=expected)

    def _check_psam(self, record: Record) -> None:
        event = record.event
        fresh = is_proven(event.type) and event.type != EventType.TORN_RESOLVED
        if not fresh or event.card_kind != CardKind.PBOC_PURSE:
            return
        if self._psam is not None and self._psam[0] == event.psam_no:
            before = self._psam[1]
            if not before < event.psam_seq <= before + PSAM_STEP_MAX:
                self._find(Cause.PSAM_SEQ, record, before=before, found=event.psam_seq)
        self._psam = (event.psam_no, event.psam_seq)
