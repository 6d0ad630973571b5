# SPDX-License-Identifier: Apache-2.0
"""The journal: an append-only file of frames that is the truth; everything else is read from it.

One thread writes. A record counts once `fdatasync` has returned; until then nothing may be shown
as accepted. At the start the file is read through: what a power cut left of the last frame is cut
off, and an INTENT without its event is reported as open.
"""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from pathlib import Path

from swipe.errors import SwipeError
from swipe.event import EVENT_SIGNED, EVENT_SIZE, Event, genesis_prev
from swipe.frames import (
    FILE_HEADER_SIZE,
    FRAME_HEAD_SIZE,
    FRAME_SIZE_MAX,
    FileHeader,
    FrameKind,
    FrameReader,
    frame,
)
from swipe.kinds import JournalState
from swipe.receipt import RECEIPT_SIZE
from terminal.errors import JournalForeign, JournalMissing, NotSaved
from terminal.files import JOURNAL
from terminal.state import State
from terminal.storage import Disk, Folder, Storage

# Frames are looked for again in this much after damage in the middle: a few erase blocks.
RESYNC_WINDOW = 4 * 1024 * 1024
EVENT_AT = FRAME_HEAD_SIZE + 1  # an event's bytes begin this far into its frame


@dataclass(frozen=True, slots=True)
class Repair:
    """What was found at the start: the state, how much was cut, and an INTENT cut in half."""

    state: JournalState = JournalState.CLEAN
    cut_bytes: int = 0
    damaged_intent: Event | None = None


class Journal:
    """Append frames, keep the state they make, and give events back by number."""

    def __init__(self, storage: Storage, header: FileHeader) -> None:
        self._storage = storage
        self.header = header
        self._failed = False
        self.sync_ns = 0
        self.syncs = 0
        self.state, self.repair = _read(storage, header)
        # What was read may still be on its way to the disk since the program before was killed.
        storage.sync()
        self.durable_seq = self.state.last_seq

    @classmethod
    def create(cls, path: Path, header: FileHeader) -> None:
        """Make a new, empty journal in a folder; an existing one is never touched."""
        cls.begin(Folder(path.parent), header, path.name)

    @classmethod
    def begin(cls, disk: Disk, header: FileHeader, name: str = JOURNAL) -> None:
        """Make a new, empty journal on a disk; an existing one is never touched."""
        disk.create(name, header.to_bytes())

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Open and repair a journal in a folder; raises as `on`."""
        return cls.on(Folder(path.parent), path.name)

    @classmethod
    def on(cls, disk: Disk, name: str = JOURNAL) -> Journal:
        """Open and repair the journal of a disk for writing.

        Raises:
            JournalMissing, JournalForeign: There is none, or another terminal's.
            NotSaved: The storage does not take data.
        """
        try:
            storage = disk.open(name)
        except FileNotFoundError as exc:
            raise JournalMissing(str(exc.filename or exc)) from exc
        try:
            return cls(storage, _header(storage.read_at(0, FILE_HEADER_SIZE), name))
        except BaseException:
            storage.close()
            raise

    def add(self, *frames: tuple[FrameKind, bytes], durable: bool = True) -> None:
        """Append frames in one write; with `durable`, return only when they are on the disk.

        After an error nothing was added. If the end of the file is then unknown, `failed` is set
        and `recover` must succeed before the next record.

        Raises:
            NotSaved: The storage refused; nothing may be shown as accepted.
        """
        offset = self._write(b"".join(frame(kind, body) for kind, body in frames), durable)
        for kind, body in frames:
            self.state.apply(kind, body, offset)
            offset += FRAME_HEAD_SIZE + 1 + len(body)
        if durable:
            self.durable_seq = self.state.last_seq

    def add_event(self, event: Event, *, durable: bool = True) -> None:
        """Append one event; as `add`, without reading it again."""
        raw = event.to_bytes()
        offset = self._write(frame(FrameKind.EVENT, raw), durable)
        self.state.apply_event(event, raw, offset)
        if durable:
            self.durable_seq = self.state.last_seq

    def _write(self, data: bytes, durable: bool) -> int:
        if self._failed:
            raise NotSaved("earlier failure")
        offset = self._storage.size
        try:
            if data:
                self._storage.append(data)
            if durable:
                self._sync()
        except NotSaved as exc:
            self._failed = exc.unknown_end
            raise
        return offset

    @property
    def failed(self) -> bool:
        """Say whether a write has failed and nothing was recovered since."""
        return self._failed

    def recover(self) -> Repair:
        """Read the file again after an error and prove that it takes data.

        Raises:
            NotSaved: The storage still refuses.
        """
        self.state, self.repair = _read(self._storage, self.header)
        self._storage.sync()
        self.durable_seq = self.state.last_seq
        self._failed = False
        return self.repair

    def event(self, seq: int) -> bytes:
        """Return the 224 bytes of one event; raise KeyError for a number that was lost."""
        offset = self.state.offsets[seq - 1] if 0 < seq <= len(self.state.offsets) else 0
        if not offset:
            raise KeyError(seq)
        return self._storage.read_at(offset + EVENT_AT, EVENT_SIZE)

    def close(self) -> None:
        """Close the file."""
        self._storage.close()

    def _sync(self) -> None:
        start = time.perf_counter_ns()
        self._storage.sync()
        self.sync_ns += time.perf_counter_ns() - start
        self.syncs += 1


def read_only(path: Path) -> tuple[FileHeader, State, Repair]:
    """Read a journal that another process may be writing; nothing is repaired."""
    if not path.exists():
        raise JournalMissing(str(path))
    with path.open("rb") as file:
        header = _header(file.read(FILE_HEADER_SIZE), str(path))
        state = _blank_state(header)
        repair = _feed(FrameReader(file), state)
    return header, state, repair


def _blank_state(header: FileHeader) -> State:
    head = genesis_prev(header.terminal_id, header.public_key)
    return State(head=head, public_keys=[header.public_key])


def _header(data: bytes, where: str) -> FileHeader:
    try:
        return FileHeader.from_bytes(data)
    except SwipeError as exc:
        raise JournalForeign(where, str(exc)) from exc


def _read(storage: Storage, header: FileHeader) -> tuple[State, Repair]:
    """Read everything, cut the tail, and report."""
    state = _blank_state(header)
    with storage.stream() as stream:
        stream.seek(FILE_HEADER_SIZE)
        reader = FrameReader(stream)
        repair = _feed(reader, state)
        end = reader.end
    while repair.state is not JournalState.CLEAN:
        again = _find_frame(storage, end + 1)
        if again is None:
            break
        with storage.stream() as stream:
            stream.seek(again)
            reader = FrameReader(stream, again)
            later = _feed(reader, state)
            end = reader.end
        if later.state is JournalState.CLEAN:
            return state, Repair(JournalState.TAIL_CUT)  # damage in the middle: a hole remains
        repair = later
    if repair.state is JournalState.CLEAN:
        return state, repair
    tail = storage.read_at(end, FRAME_SIZE_MAX)
    cut = storage.size - end
    storage.truncate(end)
    return state, Repair(JournalState.TAIL_CUT, cut, _salvage(tail, state, header))


def _feed(reader: FrameReader, state: State) -> Repair:
    for item in reader:
        state.apply(item.kind, item.body, item.offset)
    return Repair(JournalState.TAIL_CUT if reader.damage else JournalState.CLEAN)


def _find_frame(storage: Storage, start: int) -> int | None:
    """Find the next intact frame after damage: its head must name a size that its CRC confirms."""
    window = storage.read_at(start, RESYNC_WINDOW)
    places = (_find_size(window, size) for size in (EVENT_SIZE, EVENT_SIGNED, RECEIPT_SIZE))
    found = [at for at in places if at is not None]
    return start + min(found) if found else None


def _find_size(window: bytes, size: int) -> int | None:
    length = (size + 1).to_bytes(4)
    at = window.find(length)
    while at >= 0:
        piece = io.BytesIO(window[at : at + EVENT_AT + size])
        if next(iter(FrameReader(piece, 0)), None) is not None:
            return at
        at = window.find(length, at + 1)
    return None


def _salvage(tail: bytes, state: State, header: FileHeader) -> Event | None:
    """Read an INTENT whose CRC is wrong, if it can only be ours: right terminal, next number.

    It tells which card was there and which PSAM number is used up; nothing of it is proof.
    """
    body = tail[EVENT_AT : EVENT_AT + EVENT_SIGNED]
    head = (EVENT_SIGNED + 1).to_bytes(4)
    if len(body) < EVENT_SIGNED or tail[:4] != head or tail[FRAME_HEAD_SIZE] != FrameKind.INTENT:
        return None
    event = Event.from_signed_bytes(body)
    ours = event.terminal_id == header.terminal_id and event.seq == state.next_seq
    return event if ours else None
