# SPDX-License-Identifier: Apache-2.0
"""Read a journal through: every intact frame in order, damage stepped over and named.

A bad sector in the middle costs the frames it holds and no others. Only what stands at the end and
is followed by no intact frame is taken for the rest of a cut write.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

from swipe.errors import SwipeError
from swipe.event import EVENT_SIGNED, EVENT_SIZE, Event
from swipe.frames import FRAME_HEAD_SIZE, FRAME_SIZE_MAX, Frame, FrameKind, FrameReader
from swipe.receipt import RECEIPT_SIZE
from terminal.storage import Storage

# What one read asks for, and what is given up at once where it fails: a page of any disk.
BLOCK_SIZE = 1 << 20
PAGE_SIZE = 4096
# Frames are looked for in pieces of this much, which overlap by the longest frame looked for.
SEARCH_SIZE = 4 * 1024 * 1024
EVENT_AT = FRAME_HEAD_SIZE + 1  # an event's bytes begin this far into its frame
_FRAME_BODIES = (EVENT_SIZE, EVENT_SIGNED, RECEIPT_SIZE)
_OVERLAP = EVENT_AT + max(_FRAME_BODIES)


@dataclass(frozen=True, slots=True)
class Hole:
    """Bytes of a journal that are no frames: where, how many, and whether they could be read."""

    offset: int
    length: int
    unreadable: bool = False


class TolerantStream:
    """Read a storage in order; what cannot be read comes as zeros and is remembered."""

    def __init__(self, storage: Storage, offset: int) -> None:
        self._storage = storage
        self._offset = offset
        self._block = io.BytesIO()
        self.unreadable: list[int] = []

    def read(self, size: int) -> bytes:
        """Return the next bytes; fewer only at the end."""
        data = self._block.read(size)
        while len(data) < size and self._next_block():
            data += self._block.read(size - len(data))
        return data

    def _next_block(self) -> bool:
        data = read_tolerant(self._storage, self._offset, BLOCK_SIZE, self.unreadable)
        self._offset += len(data)
        self._block = io.BytesIO(data)
        return bool(data)


def read_tolerant(storage: Storage, offset: int, length: int, unreadable: list[int]) -> bytes:
    """Read a stretch; pages that cannot be read are zeros, their offsets are added to a list."""
    try:
        return storage.read_at(offset, length)
    except OSError:
        pass
    end = min(offset + length, storage.size)
    pieces = []
    while offset < end:
        page = min(PAGE_SIZE - offset % PAGE_SIZE, end - offset)
        try:
            pieces.append(storage.read_at(offset, page))
        except OSError:
            pieces.append(bytes(page))
            unreadable.append(offset)
        offset += page
    return b"".join(pieces)


class Scan:
    """Iterate over the intact frames of a storage from an offset on.

    Afterwards `holes` names what was stepped over, `end` is the offset after the last intact
    frame, and `tail_unreadable` says that a read failed behind it.
    """

    def __init__(self, storage: Storage, offset: int) -> None:
        self._storage = storage
        self.end = offset
        self.holes: list[Hole] = []
        self.tail_unreadable = False

    def __iter__(self) -> Iterator[Frame]:
        while True:
            stream = TolerantStream(self._storage, self.end)
            reader = FrameReader(stream, self.end)
            for item in reader:
                self.end = item.end
                yield item
            if reader.damage is None:
                return
            unreadable: list[int] = []
            found = find_frame(self._storage, self.end + 1, unreadable)
            unreadable += [at for at in stream.unreadable if at not in unreadable]
            if found is None:
                self.tail_unreadable = any(at + PAGE_SIZE > self.end for at in unreadable)
                return
            failed = any(self.end < at + PAGE_SIZE and at < found for at in unreadable)
            self.holes.append(Hole(self.end, found - self.end, failed))
            self.end = found


def find_frame(storage: Storage, start: int, unreadable: list[int]) -> int | None:
    """Find the next intact frame from `start` on, to the end of the storage."""
    while start < storage.size:
        window = read_tolerant(storage, start, SEARCH_SIZE, unreadable)
        places = (_find_size(window, size) for size in _FRAME_BODIES)
        found = [at for at in places if at is not None]
        if found:
            return start + min(found)
        if len(window) < SEARCH_SIZE:
            return None
        start += len(window) - _OVERLAP
    return None


def _find_size(window: bytes, size: int) -> int | None:
    length = (size + 1).to_bytes(4)
    at = window.find(length)
    while at >= 0:
        if frame_at(window[at : at + EVENT_AT + size]) is not None:
            return at
        at = window.find(length, at + 1)
    return None


def frame_at(data: bytes) -> Frame | None:
    """Return the frame these bytes begin with, if it is intact.

    >>> frame_at(bytes.fromhex("0000000533a251dd0400000000")).kind
    4
    """
    return next(iter(FrameReader(io.BytesIO(data), 0)), None)


def salvage_intent(storage: Storage, at: int) -> Event | None:
    """Read an INTENT whose CRC is wrong from the tail; nothing of it is proof."""
    try:
        tail = storage.read_at(at, FRAME_SIZE_MAX)
    except OSError:
        return None
    body = tail[EVENT_AT : EVENT_AT + EVENT_SIGNED]
    head = (EVENT_SIGNED + 1).to_bytes(4)
    if len(body) < EVENT_SIGNED or tail[:4] != head or tail[FRAME_HEAD_SIZE] != FrameKind.INTENT:
        return None
    try:
        return Event.from_signed_bytes(body)
    except SwipeError:
        return None
