# SPDX-License-Identifier: Apache-2.0
"""Carry events to the server on a memory stick where there is no network, and receipts back.

What goes on the stick are batches as an upload sends them, so that the server takes them the same
way. Their numbers are kept before the first of them is written and never used again; events stay
unsent until a signed receipt comes back, by whatever way. A stick that is pulled out too early, or
comes twice, is simply written on.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from swipe import batch
from swipe.batch import HEADER_SIZE, BatchHeader, BatchStamp, build_batch, events_max
from swipe.errors import SwipeError
from swipe.event import EVENT_LAYOUT, EVENT_SIZE
from swipe.frames import FILE_HEADER_SIZE, FrameKind, FrameReader, read_file_header
from swipe.kinds import BatchFlag, BatchKind
from swipe.receipt import RECEIPT_LAYOUT, Receipt
from swipe.stick import (
    MANIFEST,
    RECEIPTS,
    Listed,
    Manifest,
    batch_name,
    batch_numbers,
    folder_name,
)
from terminal.chain import Chain
from terminal.clock import Clock
from terminal.config import Config
from terminal.errors import NotSaved, ReceiptRefused, StickProblem, Unreachable
from terminal.files import sole_writer, write_whole
from terminal.receipts import Before, Sent, ServerKey, check, older
from terminal.station import open_station
from terminal.transport import Request
from terminal.uplink import Incoming, Uplink

BATCH_SIZE_MAX = HEADER_SIZE + batch.MAX_BATCH_EVENTS * EVENT_SIZE
_SEQ = slice(*EVENT_LAYOUT.span("seq"))
_BATCH_NO = slice(*RECEIPT_LAYOUT.span("batch_no"))


@dataclass(frozen=True, slots=True)
class Written:
    """What is on a stick now: batches, events, and how many batches were there already."""

    folder: Path
    batches: int
    events: int
    kept: int


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What came back on a stick: receipts new to us, receipts known, and those refused and why."""

    accepted: int
    known: int
    refused: tuple[str, ...]


def write_stick(chain: Chain, uplink: Uplink, target: Path) -> Written:
    """Write everything that no receipt covers on a stick that is mounted at `target`.

    Raises:
        StickProblem: The stick is full, read-only, or gone.
        NotSaved: The number of a batch cannot be kept.
    """
    steps = stick_steps(chain, uplink, target)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            written: Written = done.value
            return written


def stick_steps(chain: Chain, uplink: Uplink, target: Path) -> Generator[int, None, Written]:
    """Do what `write_stick` does batch by batch, giving how many events each had.

    Between two steps a card may be answered: what it adds goes on the stick with the last batch.
    """
    folder = target / folder_name(chain.journal.header.terminal_id)
    try:
        folder.mkdir(exist_ok=True)
        listed, kept = _kept(chain, folder)
        first = max(chain.journal.state.covered, max((b.last_seq for b in listed), default=0)) + 1
        for events in _runs(chain, first):
            body = _batch(chain, uplink.next_number(), events)
            header = BatchHeader.from_bytes(body[:HEADER_SIZE])
            _keep(uplink, header)
            write_whole(folder / batch_name(header.batch_no), body)
            listed.append(Listed.of(header, body))
            yield len(events)
        terminal_id = chain.journal.header.terminal_id
        made_ms = chain.time.now().utc_ms
        manifest = Manifest(terminal_id, chain.key_id, made_ms, tuple(listed))
        write_whole(folder / MANIFEST, manifest.seal(chain.identity))
    except OSError as exc:
        raise StickProblem(str(target), exc.strerror or str(exc)) from exc
    return Written(folder, len(listed), sum(b.last_seq - b.first_seq + 1 for b in listed), kept)


def take_receipts(chain: Chain, uplink: Uplink, key: ServerKey, target: Path) -> TakenBack:
    """Take the receipts that the server left on a stick, by the same rules as over the network.

    Raises:
        StickProblem: There are none for this terminal, or they cannot be read.
        NotSaved: A receipt is not durable; take them again.
    """
    folder = target / folder_name(chain.journal.header.terminal_id)
    accepted, known, refused = 0, 0, []
    for raw in _receipts(folder):
        number = int.from_bytes(raw[_BATCH_NO])
        state = chain.journal.state
        if _is_known(raw, state.receipt):
            known += 1
            continue
        try:
            header = _own_header(chain, folder, number)
            sent = Sent(header, None, chain.time.uptime_ms(), state.last_seq)
            before = None if state.receipt is None else Before(state.receipt)
            receipt = check(raw, sent, before, key, chain.time.drift_ppm)
        except (ReceiptRefused, StickProblem) as exc:
            refused.append(f"{batch_name(number)}: {exc}")
            continue
        uplink.settle(Incoming(receipt, raw, sent))
        accepted += 1
    return TakenBack(accepted, known, tuple(refused))


def _kept(chain: Chain, folder: Path) -> tuple[list[Listed], int]:
    """List the batches that are on the stick already and still to be acknowledged."""
    listed: list[Listed] = []
    for number in batch_numbers(os.listdir(folder)):
        body = _read(folder / batch_name(number), BATCH_SIZE_MAX)
        header = _own(chain, body[:HEADER_SIZE])
        if header is None or header.batch_no != number:
            continue
        if header.last_seq <= chain.journal.state.covered:
            continue
        events = chain.journal.events(header.first_seq, header.last_seq)
        if body[HEADER_SIZE:] == b"".join(events):
            listed.append(Listed.of(header, body))
    return listed, len(listed)


def _runs(chain: Chain, first: int) -> Iterator[list[bytes]]:
    """Give the unbroken runs of durable events from a number on, at most a batch each."""
    journal, limit = chain.journal, events_max(chain.identity.suite)
    while first <= journal.durable_seq:
        events = journal.events(first, min(journal.durable_seq, first + limit - 1))
        if not events:
            first += limit
            continue
        yield events
        first = int.from_bytes(events[-1][_SEQ]) + 1


def _keep(uplink: Uplink, header: BatchHeader) -> None:
    """Keep a batch's numbers before it goes, so that no other content ever has them."""
    try:
        uplink.leaves(header)
    except OSError as exc:
        raise NotSaved(exc.strerror or str(exc)) from exc


def _batch(chain: Chain, number: int, events: list[bytes]) -> bytes:
    last = int.from_bytes(events[-1][_SEQ])
    stamp = BatchStamp(
        kind=BatchKind.EXPORT,
        key_id=chain.key_id,
        batch_no=number,
        utc_ms=chain.time.now().utc_ms,
        flags=BatchFlag.MORE if last < chain.journal.durable_seq else 0,
        hot_ver=chain.around.hot_ver,
    )
    return build_batch(stamp, events, chain.identity)


def _own_header(chain: Chain, folder: Path, number: int) -> BatchHeader:
    """Return the header of our batch with this number, as it is on the stick.

    The hash of its last event, and with it of all before, must be the journal's: a stick written
    before an older journal was put back holds other events under the same numbers.
    """
    raw = _read(folder / batch_name(number), HEADER_SIZE)
    header = _own(chain, raw)
    if header is None or header.batch_no != number:
        raise StickProblem(batch_name(number), "no batch of ours")
    state, last = chain.journal.state, header.last_seq
    ours = chain.journal.events(last, last) if last <= state.last_seq else []
    if ours and state.suite.digest(ours[0]) != header.head:
        raise StickProblem(batch_name(number), "other events than the journal's")
    return header


def _own(chain: Chain, raw: bytes) -> BatchHeader | None:
    try:
        header = BatchHeader.from_bytes(raw)
    except SwipeError:
        return None
    ours = header.terminal_id == chain.journal.header.terminal_id
    keys = chain.journal.state.public_keys
    return header if ours and any(batch.verify(header, key) for key in keys) else None


def _receipts(folder: Path) -> list[bytes]:
    """Return the receipts of the file the server left, in order."""
    path = folder / RECEIPTS
    try:
        with path.open("rb") as file:
            read_file_header(file)
            found = [
                item.body
                for item in FrameReader(file, FILE_HEADER_SIZE)
                if item.kind == FrameKind.RECEIPT
            ]
    except (OSError, SwipeError) as exc:
        cause = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise StickProblem(str(path), cause or "unreadable") from exc
    return found


def _is_known(raw: bytes, last: Receipt | None) -> bool:
    """Say whether a receipt is the last one we hold, or older."""
    if last is None:
        return False
    return older(Receipt.from_bytes(raw), last)


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except OSError as exc:
        raise StickProblem(str(path), exc.strerror or str(exc)) from exc


class NoNetwork:
    """The transport of a command that works on a stick only."""

    def send(self, request: Request) -> bytes:
        """Send nothing.

        Raises:
            Unreachable: Always.
        """
        raise Unreachable(f"no network: {request.path}", sent=False)


def export_usb(config: Config, clock: Clock, target: Path) -> Written:
    """Write what is unsent on a stick while the program does not run; nothing is sent.

    Raises:
        AlreadyRunning: The program holds the journal.
        StickProblem, NotSaved: As `write_stick`.
    """
    with sole_writer(config.data_dir):
        station = open_station(config, clock, NoNetwork(), None)
        try:
            return write_stick(station.chain, station.uplink, target)
        finally:
            station.journal.close()


def import_receipts(config: Config, clock: Clock, target: Path) -> tuple[TakenBack, int]:
    """Take the receipts from a stick while the program does not run; return also what is unsent.

    Raises:
        AlreadyRunning: The program holds the journal.
        StickProblem, NotSaved: As `take_receipts`.
    """
    with sole_writer(config.data_dir):
        station = open_station(config, clock, NoNetwork(), None)
        try:
            key = station.passport.server_key
            taken = take_receipts(station.chain, station.uplink, key, target)
            return taken, station.journal.state.unsent
        finally:
            station.journal.close()
