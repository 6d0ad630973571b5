# SPDX-License-Identifier: Apache-2.0
"""The container of a terminal's journal and of an export: a header, then frames.

Header, 64 bytes: magic (8) ‖ terminal_id (8) ‖ key_id (4) ‖ flags (4) ‖ suite (1; 0 Ed25519, 2
SM2) ‖ reserved (3) ‖ public key (32; of SM2 the x) ‖ CRC-32 of the 60 before. Frame: length (4) ‖
CRC-32 (4) ‖ kind (1) ‖ body; length and CRC are of kind and body. The CRC is against accidents;
against people there are the signatures.
"""

from __future__ import annotations

import enum
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from keys.errors import KeysError
from keys.suite import Suite, full_key, short_key
from swipe.batch import HEADER_SIZE as BATCH_HEADER_SIZE
from swipe.batch import MAX_BATCH_EVENTS
from swipe.errors import WrongLength, WrongMagic
from swipe.event import EVENT_SIGNED, EVENT_SIZE
from swipe.layout import Field, Layout
from swipe.receipt import RECEIPT_SIZE

# As in PNG, the line ends show a transfer that took the file for text.
MAGIC = b"YIKAJ\x01\r\n"
FILE_HEADER_SIZE = 64
FRAME_HEAD_SIZE = 8
JOURNAL, EXPORT = 0, 1

FILE_LAYOUT = Layout(
    "file header",
    (
        Field("magic", "8s"),
        Field("terminal_id", "Q"),
        Field("key_id", "I"),
        Field("flags", "I"),
        Field("suite", "B"),
        Field("reserved", "3s"),
        Field("public_key", "32s"),
        Field("crc32", "I"),
    ),
)


# The first suite is written as 0, as it was before there was a second.
_SUITE_CODES = {Suite.ED25519: 0, Suite.SM2: 2}
_CODED_SUITES = {code: suite for suite, code in _SUITE_CODES.items()}


class FrameKind(enum.IntEnum):
    """Say what a frame holds."""

    EVENT = 1
    INTENT = 2
    RECEIPT = 3
    ABANDON = 4
    BATCH = 5


FIXED_SIZES: dict[int, int] = {
    FrameKind.EVENT: EVENT_SIZE,
    FrameKind.INTENT: EVENT_SIGNED,
    FrameKind.RECEIPT: RECEIPT_SIZE,
    FrameKind.ABANDON: 4,
}
_BATCH_SIZE_MAX = BATCH_HEADER_SIZE + MAX_BATCH_EVENTS * EVENT_SIZE
FRAME_SIZE_MAX = FRAME_HEAD_SIZE + 1 + _BATCH_SIZE_MAX


@dataclass(frozen=True, slots=True)
class FileHeader:
    """Say whose journal or export this is.

    ``public_key`` and ``key_id`` are those the first event in the file is signed with.
    """

    terminal_id: int
    key_id: int
    public_key: bytes
    flags: int = JOURNAL

    def to_bytes(self) -> bytes:
        """Give the 64 bytes."""
        values = {
            "magic": MAGIC,
            "terminal_id": self.terminal_id,
            "key_id": self.key_id,
            "flags": self.flags,
            "suite": _SUITE_CODES[Suite.of(self.public_key)],
            "reserved": bytes(3),
            "public_key": short_key(self.public_key),
            "crc32": 0,
        }
        head = FILE_LAYOUT.pack(values)[:-4]
        return head + zlib.crc32(head).to_bytes(4)

    @classmethod
    def from_bytes(cls, data: bytes) -> FileHeader:
        """Read 64 bytes; raise ``WrongLength`` or ``WrongMagic`` (also for a wrong CRC or key)."""
        if len(data) != FILE_HEADER_SIZE:
            raise WrongLength("file header", FILE_HEADER_SIZE, len(data))
        if data[:8] != MAGIC:
            raise WrongMagic("journal or export of a terminal", data[:8])
        if zlib.crc32(data[:-4]) != int.from_bytes(data[-4:]):
            raise WrongMagic("journal or export (header damaged)", data[:8])
        values = FILE_LAYOUT.unpack(data)
        suite = _CODED_SUITES.get(values["suite"])
        if suite is None:
            raise WrongMagic(f"journal or export of a known suite, not {values['suite']}", data[:8])
        try:
            public_key = full_key(values["public_key"], suite)
        except KeysError as exc:
            raise WrongMagic("journal or export (no such public key)", data[:8]) from exc
        return cls(values["terminal_id"], values["key_id"], public_key, values["flags"])


@dataclass(frozen=True, slots=True)
class Frame:
    """Carry one frame whose CRC is right, and where in the file it begins."""

    kind: int
    body: bytes
    offset: int

    @property
    def end(self) -> int:
        """Give the offset after its last byte."""
        return self.offset + FRAME_HEAD_SIZE + 1 + len(self.body)


def frame(kind: FrameKind, body: bytes) -> bytes:
    """Give the bytes of a frame.

    >>> frame(FrameKind.ABANDON, bytes(4)).hex()
    '0000000533a251dd0400000000'
    """
    content = bytes([kind]) + body
    return len(content).to_bytes(4) + zlib.crc32(content).to_bytes(4) + content


def body_size_fits(kind: int, size: int) -> bool:
    """Say whether a frame of this kind can have a body of this size."""
    if kind == FrameKind.BATCH:
        events = size - BATCH_HEADER_SIZE
        return events % EVENT_SIZE == 0 and 0 < events <= MAX_BATCH_EVENTS * EVENT_SIZE
    return FIXED_SIZES.get(kind) == size


class ByteSource(Protocol):
    """Anything that gives its next bytes; fewer than asked for only at its end."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes."""


class FrameReader:
    """Iterate over the intact frames of a stream and stop at the first that is not.

    Afterwards ``end`` is the offset after the last intact frame and ``damage`` says what stands
    there (``None``: the file ends cleanly). A journal is cut at ``end`` to repair it.
    """

    def __init__(self, stream: ByteSource, offset: int = FILE_HEADER_SIZE) -> None:
        self._stream = stream
        self.end = offset
        self.damage: str | None = None

    def __iter__(self) -> Iterator[Frame]:
        while (item := self._next()) is not None:
            self.end = item.end
            yield item

    def _next(self) -> Frame | None:
        head = self._stream.read(FRAME_HEAD_SIZE)
        if not head:
            return None
        if len(head) < FRAME_HEAD_SIZE:
            return self._stop(f"{len(head)} bytes of a frame's head")
        length, crc = int.from_bytes(head[:4]), int.from_bytes(head[4:])
        if not 1 < length <= _BATCH_SIZE_MAX + 1:
            return self._stop(f"a frame of {length} bytes cannot be")
        content = self._stream.read(length)
        if len(content) < length:
            return self._stop(f"{len(content)} of a frame's {length} bytes")
        if zlib.crc32(content) != crc:
            return self._stop("the CRC differs")
        if not body_size_fits(content[0], length - 1):
            return self._stop(f"kind {content[0]} with {length - 1} bytes cannot be")
        return Frame(content[0], content[1:], self.end)

    def _stop(self, damage: str) -> Frame | None:
        self.damage = damage
        return None


def read_frames(stream: BinaryIO) -> FrameReader:
    """Iterate over the intact frames after a file header that was read already."""
    return FrameReader(stream)


def read_file_header(stream: BinaryIO) -> FileHeader:
    """Read the header at the beginning of a stream."""
    return FileHeader.from_bytes(stream.read(FILE_HEADER_SIZE))
