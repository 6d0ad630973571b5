# SPDX-License-Identifier: Apache-2.0
"""Check a journal or an export offline, from the first byte to the last, whatever is in it.

The file is read as a stream, signatures are checked in bulk, and nothing ends the reading: what is
wrong goes into a ``Report`` that answers in one line first.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from keys.errors import KeysError
from keys.suite import Suite, full_key
from keys.verify import verify_many
from swipe import arrays, batch, receipt
from swipe.batch import HEADER_SIZE, BatchHeader
from swipe.chain import Chain, Record
from swipe.errors import WrongLength, WrongMagic
from swipe.event import EVENT_SIZE, SWIPE_CONTEXT, Event
from swipe.findings import Cause, Report
from swipe.frames import (
    FILE_HEADER_SIZE,
    FRAME_HEAD_SIZE,
    JOURNAL,
    MAGIC,
    FileHeader,
    FrameKind,
)
from swipe.kinds import EventType
from swipe.payloads import parse
from swipe.receipt import Receipt
from swipe.salvage import Hole, Piece, flipped_bit, salvage

# Enough for the signature check to use its threads; a fifth of a megabyte.
CHUNK_EVENTS = 1000
# Bytes between two words about progress: about as long as one chunk of signatures.
PROGRESS_STEP = 1 << 18
_KEY_SPAN = slice(28, 60)
# A batch frame's events begin after the frame's head, its kind and the batch header.
_BATCH_EVENTS_AT = FRAME_HEAD_SIZE + 1 + HEADER_SIZE


@dataclass(frozen=True, slots=True)
class Pins:
    """Carry what the person who checks knows for certain."""

    public_key: bytes | None = None
    server_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    raw: bytes
    offset: int
    in_batch: bool = False
    altered: bool = False
    flipped: int | None = None


def verify_stream(
    stream: BinaryIO,
    name: str = "",
    pins: Pins | None = None,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Check one file and report; raise ``WrongMagic`` or ``WrongLength`` if it is none of ours.

    ``progress`` is told the offset reached from time to time.
    """
    pins = pins or Pins()
    report = Report(name)
    header = _file_header(stream.read(FILE_HEADER_SIZE), report, pins)
    check = _FileCheck(header, report, pins.server_key)
    told = 0
    for piece in salvage(stream):
        check.add(piece)
        if progress is not None and piece.offset >= told + PROGRESS_STEP:
            told = piece.offset
            progress(told)
    check.finish()
    return report


def _file_header(data: bytes, report: Report, pins: Pins) -> FileHeader:
    """Read the header, mend one flipped bit of it, and put pinned knowledge first."""
    if len(data) != FILE_HEADER_SIZE:
        raise WrongLength("file header", FILE_HEADER_SIZE, len(data))
    syndrome = zlib.crc32(data[:-4]) ^ int.from_bytes(data[-4:])
    if syndrome:
        data = _mended(data, syndrome, report)
    header = FileHeader.from_bytes(data)
    if pins.public_key is not None and pins.public_key != header.public_key:
        report.add(Cause.KEY_DIFFERS, _KEY_SPAN.start)
        header = FileHeader(header.terminal_id, header.key_id, pins.public_key, header.flags)
    report.terminal_id = header.terminal_id
    return header


def _mended(data: bytes, syndrome: int, report: Report) -> bytes:
    at = flipped_bit(FILE_HEADER_SIZE - 4, syndrome)
    if at is None and data[:8] != MAGIC:
        raise WrongMagic("journal or export of a terminal", data[:8])
    body = bytearray(data[:-4])
    if at is not None:
        body[at // 8] ^= 1 << at % 8
    known = at is not None or syndrome.bit_count() == 1
    report.add(Cause.FILE_HEAD, 0, repair=" (一位，已还原 one bit, mended)" if known else "")
    return bytes(body) + zlib.crc32(body).to_bytes(4)


class _FileCheck:
    """Sort the pieces of one file into chain, batches and receipts."""

    def __init__(self, header: FileHeader, report: Report, server_key: bytes | None) -> None:
        self._report = report
        self._keys = [header.public_key]
        self._unsigned: list[tuple[BatchHeader, int]] = []
        self._suite = Suite.of(header.public_key)
        whole = header.flags == JOURNAL
        self._chain = Chain(header.terminal_id, header.public_key, report, whole=whole)
        self._receipts = _ReceiptCheck(header.terminal_id, report, server_key)
        self._waiting: list[_Found] = []

    def add(self, piece: Piece | Hole) -> None:
        """Take the next piece of the file."""
        if isinstance(piece, Hole):
            self._flush()
            self._report.add(Cause.HOLE, piece.offset, length=piece.length, detail=piece.reason)
            return
        if piece.head_damaged:
            self._report.add(Cause.FRAME_HEAD, piece.offset)
        if piece.kind == FrameKind.EVENT:
            self._queue(_Found(piece.body, piece.offset, False, piece.altered, piece.flipped))
        elif piece.kind == FrameKind.BATCH:
            self._add_batch(piece)
        elif piece.kind == FrameKind.RECEIPT:
            self._receipts.add(piece)
        else:
            self._report.intents += piece.kind == FrameKind.INTENT
            if piece.altered:
                self._report.add(Cause.INTENT, piece.offset)

    def finish(self) -> None:
        """Settle everything that waited for the end."""
        self._flush()
        for header, offset in self._unsigned:
            if not any(batch.verify(header, key) for key in self._keys):
                self._report.add(Cause.BATCH_SIGNATURE, offset, batch=header.batch_no)
        self._chain.finish()
        self._receipts.finish(self._chain)
        if self._report.events:
            self._report.first_seq, self._report.last_seq = self._chain.run

    def _queue(self, found: _Found) -> None:
        self._waiting.append(found)
        # What follows a change of key is signed with the new one.
        if len(self._waiting) >= CHUNK_EVENTS or found.raw[1] == EventType.KEY_ROTATE:
            self._flush()

    def _flush(self) -> None:
        """Check the signatures of the waiting events and hand them to the chain."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        table = arrays.view(b"".join(found.raw for found in waiting))
        signed = verify_many(
            self._keys[-1], table["signature"], SWIPE_CONTEXT, arrays.signed_messages(table)
        )
        forms = arrays.form_faults(table)
        for i, found in enumerate(waiting):
            event = Event.from_bytes(found.raw)
            good = bool(signed[i])
            self._chain.add(
                Record(
                    event,
                    found.raw,
                    found.offset,
                    good,
                    self._suite,
                    found.in_batch,
                    found.altered,
                    found.flipped,
                )
            )
            for field in (name for name, bad in forms.items() if good and bad[i]):
                self._report.add(Cause.FORM, found.offset, event.seq, field=field)
            if good and event.type == EventType.KEY_ROTATE:
                self._rotate(event)
        self._report.events += len(waiting)

    def _rotate(self, event: Event) -> None:
        """Take the key that follows; one that is no key leaves the old one in force."""
        short = bytes(parse(event.type, event.payload)["public_key"])
        with contextlib.suppress(KeysError):
            self._keys.append(full_key(short, self._suite))

    def _add_batch(self, piece: Piece) -> None:
        """Check a batch's header against its events, and the events for themselves."""
        self._flush()
        self._report.batches += 1
        header = BatchHeader.from_bytes(piece.body[:HEADER_SIZE])
        signed = any(batch.verify(header, key) for key in self._keys)
        events = arrays.view(piece.body[HEADER_SIZE:])
        fields = batch.faults(header, events, self._suite)
        before = self._troubles
        for i, event in enumerate(events):
            place = piece.offset + _BATCH_EVENTS_AT + i * EVENT_SIZE
            tail = (len(events) - 1 - i) * EVENT_SIZE
            flipped = flipped_bit(EVENT_SIZE, piece.syndrome, tail) if piece.altered else None
            altered = flipped is not None
            self._queue(_Found(event.tobytes(), place, True, altered, flipped))
        self._flush()
        if not signed:
            # An export made after a change of key is signed with the last one throughout.
            self._unsigned.append((header, piece.offset))
        elif fields and self._troubles == before:
            # Otherwise an event of this batch was found out already, and the header is right.
            names = ", ".join(fields)
            self._report.add(Cause.BATCH_FIELDS, piece.offset, batch=header.batch_no, fields=names)

    @property
    def _troubles(self) -> int:
        return sum(self._report.faults.values()) + self._chain.unsettled


class _ReceiptCheck:
    """Follow the chain of receipts."""

    def __init__(self, terminal_id: int, report: Report, server_key: bytes | None) -> None:
        self._terminal_id = terminal_id
        self._report = report
        self._server_key = server_key
        self._last: Receipt | None = None
        self._heads: list[tuple[bytes, int, int, int]] = []

    def add(self, piece: Piece) -> None:
        """Take the next receipt of the file; a repetition of the last one is no news."""
        found = Receipt.from_bytes(piece.body)
        if found == self._last:
            return
        self._report.receipts += 1
        if piece.altered or not self._is_signed(found):
            self._report.add(Cause.RECEIPT_SIGNATURE, piece.offset, batch=found.batch_no)
            self._last = None
            return
        if found.terminal_id != self._terminal_id:
            self._report.add(Cause.RECEIPT_TERMINAL, piece.offset, terminal=found.terminal_id)
            return
        if self._last is not None:
            self._compare(self._last, found, piece.offset)
        self._last = found
        self._heads.append((found.head, found.up_to_seq, found.batch_no, piece.offset))

    def finish(self, chain: Chain) -> None:
        """Look up the records that the receipts name, now that all have been seen."""
        first, _ = chain.run
        # A record that is altered or missing is reported for itself.
        if not self._report.faults:
            for head, up_to_seq, number, offset in self._heads:
                if up_to_seq >= first and not chain.knows(head):
                    self._report.add(Cause.RECEIPT_HEAD, offset, up_to_seq, batch=number)
        if self._server_key is None and self._report.receipts:
            self._report.add(Cause.NO_SERVER_KEY, 0, count=self._report.receipts)

    def _is_signed(self, found: Receipt) -> bool:
        return self._server_key is None or receipt.verify(found, self._server_key)

    def _compare(self, before: Receipt, found: Receipt, offset: int) -> None:
        if found.prev_receipt != before.anchor:
            self._report.add(Cause.RECEIPT_CHAIN, offset, batch=found.batch_no)
        if found.srv_utc_ms < before.srv_utc_ms or found.up_to_seq < before.up_to_seq:
            self._report.add(Cause.RECEIPT_TIME, offset, batch=found.batch_no)
