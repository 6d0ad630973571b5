# SPDX-License-Identifier: Apache-2.0
"""Batches out, receipts in: what to send next, and what an answer changes.

Three steps, so that the network never holds up a tap: `plan` and `exchange` only read the journal
and may run in another thread; `settle` writes, in the thread that owns the journal.

The header of the batch under way is kept in the file `outbox` before the first byte leaves, so
that after any crash the very same bytes go out again and the very same receipt comes back.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from swipe import batch
from swipe import receipt as receipts
from swipe.batch import HEADER_SIZE, BatchHeader, BatchStamp, build_batch, events_max
from swipe.errors import SwipeError
from swipe.event import EVENT_LAYOUT, EVENT_SIZE
from swipe.frames import FrameKind
from swipe.kinds import BatchFlag, BatchKind, EventType, Flag, TimeSource
from swipe.receipt import Receipt
from terminal.chain import Chain
from terminal.clock import TerminalTime, TimeStep
from terminal.errors import NotSaved, Refused, Unreachable
from terminal.files import HIGH_WATER, OUTBOX, STICK
from terminal.policy import wants_anchor
from terminal.receipts import Before, Sent, ServerKey, check, follows, is_old
from terminal.state import State
from terminal.storage import Disk, disk_of
from terminal.transport import Request, Transport

BATCH_PATH = "/api/v1/terminals/{}/batches/{}"
BATCH_EVENTS_MIN = 1
# A refused batch is sent again as it is before anything else is tried: the line may have flipped
# a bit, and the server then stored nothing.
SAME_BYTES_MAX = 3
# The same gap asked for this often cannot be filled by sending.
SAME_GAP_MAX = 3
_SEQ, _BOOT = (slice(*EVENT_LAYOUT.span(name)) for name in ("seq", "boot"))
HEADERS_MAX = 2  # in the file `stick`: of the newest batch and of the farthest
CONFLICT, TOO_LARGE, UNPROCESSABLE = 409, 413, 422


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One batch ready to leave; `tells_time` if its last event was made in this start."""

    header: BatchHeader
    body: bytes
    first_sent_ms: int | None
    last_seq: int
    tells_time: bool = False


@dataclass(frozen=True, slots=True)
class Incoming:
    """A receipt that was checked, with the exchange it came from."""

    receipt: Receipt
    raw: bytes
    sent: Sent
    old: bool = False  # from before the last receipt: it only says that the batch is stored


class Uplink:
    """The conversation with the server about this journal."""

    def __init__(
        self,
        place: Disk | Path,
        chain: Chain,
        key: ServerKey,
        transport: Transport,
        firmware: bytes,
    ) -> None:
        self._disk = disk_of(place)
        self._chain = chain
        self._journal = chain.journal
        self._key = key
        self._transport = transport
        self._firmware = firmware
        self._time: TerminalTime = chain.time
        self._limit = events_max(chain.identity.suite)
        self._batch_limit = self._limit
        on_stick = _headers(self._disk, STICK, self._journal.state)
        numbers = [header.batch_no for header in on_stick]
        self._batch_no = max([self._journal.state.batch_no, *numbers])
        # Receipts that were given to this terminal and never came here, for no reason known here.
        self.unseen = 0
        # A batch that went on a stick, or was given up, may have brought forth one at any time.
        self._stray = bool(on_stick)
        self._refusals = 0
        self._gaps: tuple[int, int] = (0, 0)
        self._settled_up_to = 0
        self._again: list[tuple[int, int]] = []
        self._time_wanted = False
        self._numbering = threading.Lock()
        self._before = self._last_receipt()
        self._under_way = self._load_outbox()
        # Whether the server may have seen the batch under way; of an earlier start nobody knows.
        self._may_be_known = self._under_way is not None

    def plan(self, kind: BatchKind = BatchKind.LIVE) -> Outgoing | None:
        """Return the next batch: the one under way again, or the oldest events not covered.

        None if the server holds everything it can be given.

        Raises:
            NotSaved: Its header cannot be kept, so it must not leave.
        """
        state = self._journal.state
        if self._under_way is not None:
            header = self._under_way.header
            if header.last_seq > state.covered or header.kind == BatchKind.RESEND:
                return self._under_way
            self._drop_outbox()  # a receipt came by another way: its own may be older by now
        if self._again:
            return self._resent(*self._again[0])
        first = _next_event(state.kinds, self.sent_up_to)
        durable = self._journal.durable_seq
        if not first or first > durable:
            return None
        last = min(durable, first + self._batch_limit - 1)
        missing = state.receipt.missing if state.receipt is not None else None
        if missing is not None and first in missing:
            kind, last = BatchKind.RESEND, min(last, missing.stop - 1)
        return self._made(kind, first, _run_end(state.kinds, first, last))

    def resend(self, first: int, last: int) -> None:
        """Send events `first` to `last` once more: a settlement found that the server lacks them.

        What the journal has lost too is not sent; a range asked for already is not doubled.
        """
        if 1 <= first <= last and (first, last) not in self._again:
            self._again.append((first, last))

    def ask_time(self) -> bool:
        """Want the time of the next receipt; if nothing is unsent, send the last event once more.

        The server has refused a signed request, perhaps because of our clock. What it says there
        is not signed; a receipt is. Returns whether there is an event to send.
        """
        last = self._journal.durable_seq
        self._time_wanted = last > 0
        if not self._journal.state.unsent:
            self.resend(last, last)
        return self._time_wanted

    def _resent(self, first: int, last: int) -> Outgoing | None:
        """Return the next batch of a range that is sent again, or go on as usual after it."""
        kinds, durable = self._journal.state.kinds, self._journal.durable_seq
        start = _next_event(kinds, first - 1)
        end = min(last, durable)
        if not start or start > end:
            del self._again[0]
            return self.plan()
        end = _run_end(kinds, start, min(end, start + self._batch_limit - 1))
        self._again[0] = (end + 1, last)
        return self._made(BatchKind.RESEND, start, end)

    def _made(self, kind: BatchKind, first: int, last: int) -> Outgoing | None:
        """Keep the header of a batch and return it.

        Raises:
            NotSaved: The header cannot be kept, so the batch must not leave.
        """
        durable = self._journal.durable_seq
        events = self._journal.events(first, last)
        if not events:  # lost to a bad sector since the start
            return self.plan(kind)
        more = int.from_bytes(events[-1][_SEQ]) < durable
        body = build_batch(self._stamp(kind, more=more), events, self._chain.identity)
        header = BatchHeader.from_bytes(body[:HEADER_SIZE])
        try:
            self._disk.write_whole(OUTBOX, body[:HEADER_SIZE])
        except OSError as exc:
            raise NotSaved(exc.strerror or str(exc)) from exc
        # A journal put back may have sent earlier events under this very number before, and the
        # receipt of that time fits still. For an event of this start there cannot be one yet.
        fresh = int.from_bytes(events[-1][_BOOT]) == self._chain.boot
        self._under_way = Outgoing(header, body, None, durable, tells_time=fresh)
        self._may_be_known = False
        return self._under_way

    def exchange(self, outgoing: Outgoing) -> Incoming:
        """Send a batch and check the receipt; only reads the journal.

        Raises:
            ServerError: No answer, a refusal, or an answer that is none.
            ReceiptRefused: A receipt that proves nothing.
        """
        known, self._may_be_known = self._may_be_known, True
        if not known and outgoing.tells_time:  # no earlier attempt can have brought forth a receipt
            outgoing = replace(outgoing, first_sent_ms=self._time.uptime_ms())
            self._under_way = outgoing
        header = outgoing.header
        path = BATCH_PATH.format(header.terminal_id, header.batch_no)
        left = max(0, self._journal.state.unsent - header.count)
        request = Request("PUT", path, outgoing.body, "application/octet-stream", unsent=left)
        try:
            raw = self._transport.send(request)
        except Refused as exc:
            self._refused(exc.status)
            raise
        except Unreachable as exc:
            self._may_be_known = known or exc.sent
            raise
        self._refusals = 0
        # By now the server may hold later events too: they went there on a stick.
        last_seq = max(outgoing.last_seq, self._journal.durable_seq)
        sent = Sent(header, outgoing.first_sent_ms, self._time.uptime_ms(), last_seq)
        if known and is_old(raw, sent, self._before, self._key):
            return Incoming(Receipt.from_bytes(raw), raw, sent, old=True)
        receipt = check(raw, sent, self._before, self._key, self._time.drift_ppm)
        self.unseen += not (self._stray or follows(receipt, self._before))
        return Incoming(receipt, raw, sent)

    def settle(self, incoming: Incoming) -> None:
        """Make a receipt part of the journal: receipt, clock, anchor, one sync.

        An anchor is written only if the batch held more than book-keeping, so that the exchange
        comes to rest by itself.

        Raises:
            NotSaved: The receipt is not durable; the batch stays under way.
        """
        if incoming.old:  # what it covers is covered; what is not goes out under another number
            self._drop_outbox()
            return
        header = incoming.sent.header
        journal = self._journal
        kinds = journal.state.kinds_between(header.first_seq, header.last_seq)
        journal.add((FrameKind.RECEIPT, incoming.raw), durable=False)
        if wants_anchor(kinds):
            self._discipline(incoming)
            digest = incoming.receipt.full_hash
            self._chain.record(EventType.ACK_ANCHOR, durable=False, receipt_hash=digest)
        elif self._time_wanted:
            self._discipline(incoming)
        journal.add()
        with contextlib.suppress(OSError):  # a second copy; the journal has the first
            self._disk.write_whole(HIGH_WATER, incoming.raw)
        self._note_gap(incoming.receipt)
        self._settled_up_to = max(self._settled_up_to, header.last_seq)
        sent = incoming.sent
        self._before = Before(incoming.receipt, sent.first_sent_ms, sent.received_ms)
        self._may_be_known = False  # its receipt is here
        self._batch_limit = self._limit
        self._drop_outbox()

    @property
    def sent_up_to(self) -> int:
        """Return the number after which events are still to be sent.

        What a receipt covers; but beyond a gap that sending does not fill, what was sent last.
        """
        covered = self._journal.state.covered
        return max(covered, self._settled_up_to) if self.gap_unfilled else covered

    @property
    def gap_unfilled(self) -> bool:
        """Say whether the server keeps asking for events this journal cannot give."""
        return self._gaps[1] >= SAME_GAP_MAX

    def retry_gap(self) -> None:
        """Allow a gap to be tried again: once per start and per settlement."""
        self._gaps = (0, 0)

    def _discipline(self, incoming: Incoming) -> None:
        fix = incoming.sent.fix(incoming.receipt)
        self._time_wanted &= fix is None
        step = self._time.discipline(fix) if fix is not None else None
        if step is not None:
            self._note_step(step, TimeSource.RECEIPT, int(Flag.CLOCK_STEPPED))
        astray = self._time.device_astray()
        if astray is not None and self._journal.state.stepped_boot != self._chain.boot:
            self._note_step(astray, TimeSource.RTC, 0)

    def _note_step(self, step: TimeStep, source: TimeSource, flags: int) -> None:
        """Record a correction, or (RTC) that the device's own clock is not to be believed."""
        if not self._time.now().known:
            flags |= int(Flag.CLOCK_UNKNOWN)
        self._chain.record(
            EventType.TIME_SET,
            {"flags": flags},
            durable=False,
            old_utc_ms=step.old_utc_ms,
            new_utc_ms=step.new_utc_ms,
            source=source,
            unc_ms=step.unc_ms,
        )

    def _refused(self, status: int) -> None:
        """Decide what a refusal means for the batch under way."""
        self._refusals += 1
        if status == CONFLICT:
            # Another content has this number: a batch of ours that we have forgotten.
            self._stray = True
            self._drop_outbox()
        elif status == TOO_LARGE:
            self._batch_limit = max(BATCH_EVENTS_MIN, self._batch_limit // 2)
            self._drop_outbox()
        elif status == UNPROCESSABLE and self._refusals >= SAME_BYTES_MAX:
            self._drop_outbox()

    def _drop_outbox(self) -> None:
        self._stray |= self._may_be_known
        self._under_way = None
        self._refusals = 0

    def leaves(self, header: BatchHeader) -> None:
        """Keep what is about to go on a memory stick: no number of it is ever used again.

        Raises:
            OSError: It cannot be kept, so the batch must not go.
        """
        known = [header, *_headers(self._disk, STICK, self._journal.state)]
        farthest = max(known, key=lambda each: each.last_seq)
        self._disk.write_whole(STICK, header.to_bytes() + farthest.to_bytes())
        self._stray = True

    def next_number(self) -> int:
        """Return the number of another batch; one for a memory stick is kept by `leaves`."""
        with self._numbering:  # a stick is written in one thread while another uploads
            self._batch_no = max(self._batch_no, self._journal.state.batch_no) + 1
            return self._batch_no

    def _stamp(self, kind: BatchKind, *, more: bool) -> BatchStamp:
        return BatchStamp(
            kind=kind,
            key_id=self._chain.key_id,
            batch_no=self.next_number(),
            utc_ms=self._time.now().utc_ms,
            flags=BatchFlag.MORE if more else 0,
            hot_ver=self._chain.around.hot_ver,
            fw_hash=self._firmware,
        )

    def _events(self, first: int, last: int) -> list[bytes]:
        return [self._journal.event(seq) for seq in range(first, last + 1)]

    def _note_gap(self, receipt: Receipt) -> None:
        if receipt.missing is None:
            self._gaps = (0, 0)
        elif self._gaps[0] == receipt.up_to_seq:
            self._gaps = (receipt.up_to_seq, self._gaps[1] + 1)
        else:
            self._gaps = (receipt.up_to_seq, 1)

    def _last_receipt(self) -> Before | None:
        receipt = self._journal.state.receipt
        return None if receipt is None else Before(receipt)

    def _load_outbox(self) -> Outgoing | None:
        """Build the batch of an earlier start again, unless its receipt is in the journal."""
        header = kept_header(self._disk, self._journal.state)
        if header is None:
            return None
        self._batch_no = max(self._batch_no, header.batch_no)
        if header.batch_no <= self._journal.state.batch_no:
            return None
        self._stray = True
        try:
            events = self._events(header.first_seq, header.last_seq)
        except KeyError:
            return None
        body = header.to_bytes() + b"".join(events)
        if len(body) != HEADER_SIZE + header.count * EVENT_SIZE:
            return None
        if batch.faults(*batch.split(body), self._chain.identity.suite):
            return None  # signed over other events: somebody put back an older journal
        return Outgoing(header, body, None, self._journal.state.last_seq)


def kept_header(disk: Disk, state: State) -> BatchHeader | None:
    """Return the header of the batch under way, if a key of this terminal signed it."""
    return next(iter(_headers(disk, OUTBOX, state)), None)


def farthest_header(disk: Disk, state: State) -> BatchHeader | None:
    """Return the header with the highest event number that has left, on the line or on a stick."""
    left = [*_headers(disk, OUTBOX, state), *_headers(disk, STICK, state)]
    return max(left, key=lambda header: header.last_seq, default=None)


def _headers(disk: Disk, name: str, state: State) -> list[BatchHeader]:
    """Return the headers in a file: one of the batch under way, two of batches on a stick.

    Signed by this terminal, or not believed: a bad sector must not give a number out of bounds.
    """
    raw = disk.read(name, HEADERS_MAX * HEADER_SIZE) or b""
    found = []
    for at in range(0, len(raw), HEADER_SIZE):
        with contextlib.suppress(SwipeError):
            header = BatchHeader.from_bytes(raw[at : at + HEADER_SIZE])
            if any(batch.verify(header, key) for key in state.public_keys):
                found.append(header)
    return found


def stored_receipt(
    place: Disk | Path, key: ServerKey, terminal_id: int
) -> tuple[Receipt, bytes] | None:
    """Return the copy of the last receipt beside the journal, if it is the server's to us."""
    try:
        raw = disk_of(place).read(HIGH_WATER) or b""
        receipt = Receipt.from_bytes(raw)
    except SwipeError:
        return None
    ours = receipt.terminal_id == terminal_id and receipts.verify(receipt, key.public_key)
    return (receipt, raw) if ours else None


def _next_event(kinds: bytearray, covered: int) -> int:
    """Return the first number after `covered` that the journal holds, or 0."""
    for seq in range(covered + 1, len(kinds) + 1):
        if kinds[seq - 1]:
            return seq
    return 0


def _run_end(kinds: bytearray, first: int, limit: int) -> int:
    """Return the last number of the unbroken run that begins at `first`."""
    hole = kinds.find(0, first - 1, limit)
    return limit if hole < 0 else hole
