# SPDX-License-Identifier: Apache-2.0
"""The journal: an append-only file of frames that is the truth; everything else is read from it.

One thread writes. A record counts once `fdatasync` has returned; until then nothing may be shown
as accepted. At the start the file is read through, from its checkpoint on if there is one: what a
power cut left of the last frame is cut off, damage in the middle is a hole with its numbers, and an
INTENT without its event is reported as open.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from swipe.errors import SwipeError
from swipe.event import EVENT_LAYOUT, EVENT_SIZE, Event, genesis_prev, verify_event
from swipe.frames import (
    FILE_HEADER_SIZE,
    FRAME_HEAD_SIZE,
    FileHeader,
    Frame,
    FrameKind,
    frame,
)
from swipe.kinds import PROVEN_TYPES, EventType, JournalState, Result
from swipe.receipt import Receipt
from terminal import checkpoint
from terminal.errors import JournalForeign, JournalMissing, NotSaved, ProvisionUnfinished
from terminal.files import CHECKPOINT, HIGH_WATER, JOURNAL, JOURNAL_DRAFT, OUTBOX, STICK
from terminal.passport import changed_keys
from terminal.scan import EVENT_AT, PAGE_SIZE, Hole, Scan, frame_at, salvage_intent
from terminal.state import State
from terminal.storage import Disk, Folder, Storage

_PREV = slice(*EVENT_LAYOUT.span("prev"))
_TAPS = PROVEN_TYPES - {EventType.TORN_RESOLVED}
_EVENT_FRAME = EVENT_AT + EVENT_SIZE
# A checkpoint is made at the start when this many frames had to be read: about half a second.
CHECKPOINT_FRAMES = 20_000


@dataclass(frozen=True, slots=True)
class Repair:
    """What was found at the start: how much was cut, an INTENT cut in half, holes in the middle.

    `frames` is how many had to be read.
    """

    state: JournalState = JournalState.CLEAN
    cut_bytes: int = 0
    damaged_intent: Event | None = None
    holes: tuple[Hole, ...] = ()
    frames: int = 0


class Journal:
    """Append frames, keep the state they make, and give events back by number."""

    def __init__(
        self,
        storage: Storage,
        header: FileHeader,
        mark: bytes | None = None,
        changed_keys: tuple[bytes, ...] = (),
    ) -> None:
        self._storage = storage
        self._keys = (header.public_key, *changed_keys)
        self._in_force = header.public_key
        self._mark: Callable[[], bytes | None] = lambda: mark
        self.header = header
        self._failed = False
        self.sync_ns = 0
        self.syncs = 0
        self.state, self.repair = _read(storage, header, self._keys, mark)
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
            raise _missing(disk, str(exc.filename or exc)) from exc
        try:
            header = _header(storage.read_at(0, FILE_HEADER_SIZE), name)
            journal = cls(storage, header, disk.read(CHECKPOINT), changed_keys(disk))
        except BaseException:
            storage.close()
            raise
        journal.read_marks_from(disk)
        if journal.repair.frames >= CHECKPOINT_FRAMES:
            with contextlib.suppress(OSError):  # only the next start would have been quicker
                disk.write_whole(CHECKPOINT, journal.checkpoint())
        return journal

    def read_marks_from(self, disk: Disk) -> None:
        """Let `recover` go on from the checkpoint that is on the disk then."""
        self._mark = lambda: disk.read(CHECKPOINT)

    def checkpoint(self) -> bytes:
        """Return what the journal says up to here, for a later start to go on from."""
        return checkpoint.dump(self.header, self.state, self._storage.size)

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

        What was durable and is not there any more is lost; its numbers are not used again.

        Raises:
            NotSaved: The storage still refuses.
        """
        durable = self.durable_seq
        self.state, self.repair = _read(self._storage, self.header, self._keys, self._mark())
        self.goes_on_with(self._in_force)
        if self.state.last_seq < durable:
            self.state.skip_to(durable, bytes(32))
        self._storage.sync()
        self.durable_seq = self.state.last_seq
        self._failed = False
        return self.repair

    def goes_on_with(self, public_key: bytes) -> bool:
        """Say whether a key of the terminal's signs what follows, and remember it.

        It is the one that the journal names last, or a later one of this terminal whose KEY_ROTATE
        was lost: in a bad sector, or because an older journal was put back.
        """
        named = self.state.public_keys
        if public_key != named[-1]:
            if public_key not in _later(self._keys, named[-1]):
                return False
            named.append(public_key)
        self._in_force = public_key
        return True

    @property
    def size(self) -> int:
        """Return the file's length in bytes."""
        return self._storage.size

    def event(self, seq: int) -> bytes:
        """Return the 224 bytes of one event; raise KeyError for a number that was lost.

        What has become unreadable, or has changed under its CRC, is lost too.
        """
        offset = self.state.offsets[seq - 1] if 0 < seq <= len(self.state.offsets) else 0
        if not offset:
            raise KeyError(seq)
        try:
            found = frame_at(self._storage.read_at(offset, _EVENT_FRAME))
        except OSError as exc:
            raise KeyError(seq) from exc
        if found is None or found.kind != FrameKind.EVENT:
            raise KeyError(seq)
        return found.body

    def recall(self, seq: int) -> Event | None:
        """Return one event; None for a number that was lost or has become unreadable."""
        try:
            return Event.from_bytes(self.event(seq))
        except KeyError:
            return None

    def events(self, first: int, last: int) -> list[bytes]:
        """Return the first unbroken run of events between two numbers that can be read.

        Those before it and the one after it that cannot be read are lost from now on.
        """
        found: list[bytes] = []
        for seq in range(first, last + 1):
            try:
                found.append(self.event(seq))
            except KeyError:
                self.state.lose(seq)
                if found:
                    break
        return found

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
    return look_at(Folder(path.parent), path.name)


def look_at(disk: Disk, name: str = JOURNAL) -> tuple[FileHeader, State, Repair]:
    """Read a disk's journal as `read_only` does."""
    try:
        storage = disk.open(name)
    except FileNotFoundError as exc:
        raise _missing(disk, str(exc.filename or exc)) from exc
    try:
        header = _header(storage.read_at(0, FILE_HEADER_SIZE), name)
        keys = (header.public_key, *changed_keys(disk))
        state, scan, frames = _scan(storage, header, keys, disk.read(CHECKPOINT))
        behind = storage.size - scan.end
    finally:
        storage.close()
    damaged = JournalState.TAIL_CUT if behind else JournalState.CLEAN
    holes = tuple(scan.holes)
    return header, state, Repair(JournalState.HOLE if holes else damaged, 0, None, holes, frames)


def _missing(disk: Disk, where: str) -> JournalMissing:
    """Say why there is no journal: it was never put in its place, or it is gone.

    Whatever has left this box, or was answered, leaves a small file beside the journal; without
    one, or with a draft, no number of this key was ever used.
    """
    used = any(disk.read(name, 1) is not None for name in (HIGH_WATER, OUTBOX, STICK, CHECKPOINT))
    if disk.read(JOURNAL_DRAFT, 1) is None and used:
        return JournalMissing(where)
    return ProvisionUnfinished(where)


def blank_state(header: FileHeader) -> State:
    """Return what an empty journal says."""
    head = genesis_prev(header.terminal_id, header.public_key)
    return State(head=head, public_keys=[header.public_key])


def _header(data: bytes, where: str) -> FileHeader:
    try:
        return FileHeader.from_bytes(data)
    except SwipeError as exc:
        raise JournalForeign(where, str(exc)) from exc


def _scan(
    storage: Storage, header: FileHeader, keys: tuple[bytes, ...], mark: bytes | None
) -> tuple[State, Scan, int]:
    """Read everything, or what follows a checkpoint that fits this journal."""
    known = checkpoint.load(mark, header, storage) if mark else None
    state, start = known or (blank_state(header), FILE_HEADER_SIZE)
    scan = Scan(storage, start)
    frames = 0
    for item in scan:
        frames += 1
        if _follows(item, state, (header, keys), damaged=bool(scan.holes)):
            state.apply(item.kind, item.body, item.offset)
    return state, scan, frames


def _follows(
    item: Frame, state: State, ours: tuple[FileHeader, tuple[bytes, ...]], *, damaged: bool
) -> bool:
    """Say whether a frame is this journal's: old blocks of a disk may hold another's frames.

    An event that links to the one before is. Behind lost frames none does; there the terminal's
    signature tells, also that of a later key whose beginning was lost, and other kinds of frames
    must fit what was read so far.
    """
    header, keys = ours
    if item.kind == FrameKind.EVENT:
        if item.body[_PREV] == state.head:
            return True
        event = Event.from_bytes(item.body)
        if event.terminal_id != header.terminal_id or event.seq <= state.last_seq:
            return False
        return _signed(event, state, keys)
    if item.kind == FrameKind.RECEIPT:
        return not damaged or Receipt.from_bytes(item.body).batch_no > state.batch_no
    if item.kind == FrameKind.INTENT:
        return _ours(Event.from_signed_bytes(item.body), state, header) is not None
    return not damaged or state.intent is not None


def _signed(event: Event, state: State, keys: tuple[bytes, ...]) -> bool:
    """Say whether the key in force or a later one signed an event, which is in force from then."""
    if verify_event(event, state.public_keys[-1]):
        return True
    for key in _later(keys, state.public_keys[-1]):
        if verify_event(event, key):
            state.public_keys.append(key)
            return True
    return False


def _later(keys: tuple[bytes, ...], key: bytes) -> tuple[bytes, ...]:
    """Return the keys after one; none if it is a stranger's."""
    return keys[keys.index(key) + 1 :] if key in keys else ()


def _read(
    storage: Storage, header: FileHeader, keys: tuple[bytes, ...], mark: bytes | None = None
) -> tuple[State, Repair]:
    """Read everything, cut the tail, and report."""
    state, scan, frames = _scan(storage, header, keys, mark)
    holes = tuple(scan.holes)
    found = JournalState.HOLE if holes else JournalState.CLEAN
    cut = storage.size - scan.end
    if not cut:
        return state, Repair(found, 0, None, holes, frames)
    if scan.tail_unreadable:  # it may come back: write on behind it, where a page begins
        tail = Hole(scan.end, cut, unreadable=True)
        storage.skip(-(-storage.size // PAGE_SIZE) * PAGE_SIZE)
        state.last_seq += cut // _EVENT_FRAME + 1  # whatever numbers it holds are not used again
        state.device_clock_good = False  # it may have told of a clock that was set
        return state, Repair(JournalState.HOLE, 0, None, (*holes, tail), frames)
    lost = _next(salvage_intent(storage, scan.end), state, header)
    storage.truncate(scan.end)
    found = JournalState.HOLE if holes else JournalState.TAIL_CUT
    return state, Repair(found, cut, lost, holes, frames)


def _next(intent: Event | None, state: State, header: FileHeader) -> Event | None:
    """Return a damaged INTENT only if it can be this journal's next event."""
    if intent is None or intent.terminal_id != header.terminal_id:
        return None
    return intent if intent.seq == state.next_seq else None


def _ours(intent: Event, state: State, header: FileHeader) -> Event | None:
    """Return a whole INTENT only if it is a tap that this journal was about to make."""
    tap = intent.type in _TAPS and intent.result == Result.TORN
    linked = intent.prev == state.head
    return _next(intent, state, header) if tap and linked else None
