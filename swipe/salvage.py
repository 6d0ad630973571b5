# SPDX-License-Identifier: Apache-2.0
"""Read a damaged container as far as anything in it can be read.

``swipe.frames`` stops at the first frame that is not intact, as a journal must. The verifier wants
to go on: a frame with a changed byte is still examined, and after bytes that are no frame the next
good one is looked for.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from swipe.batch import HEADER_SIZE as BATCH_HEADER_SIZE
from swipe.event import EVENT_SIZE
from swipe.frames import (
    FILE_HEADER_SIZE,
    FIXED_SIZES,
    FRAME_HEAD_SIZE,
    FRAME_SIZE_MAX,
    FrameKind,
    body_size_fits,
)

_READ_SIZE = 1 << 20
# Longer parts are not searched for the one flipped bit; of a batch, single events are.
_LOCATED_SIZE_MAX = 512
_COUNT_SPAN = slice(28, 32)


@dataclass(frozen=True, slots=True)
class Piece:
    """Carry one frame, intact or not.

    ``altered`` means that the body is not what the checksum was made for; ``flipped`` is then the
    bit of the body that explains it, if one bit does and the body is short, and ``syndrome`` the
    difference of the checksums. ``head_damaged`` means that only length, checksum or kind were hit.
    """

    kind: int
    body: bytes
    offset: int
    altered: bool = False
    flipped: int | None = None
    syndrome: int = 0
    head_damaged: bool = False


@dataclass(frozen=True, slots=True)
class Hole:
    """Tell of bytes that are no frame."""

    offset: int
    length: int
    reason: str


def salvage(stream: BinaryIO, offset: int = FILE_HEADER_SIZE) -> Iterator[Piece | Hole]:
    """Give every frame that can be made out, and every hole, in order."""
    window = _Window(stream, offset)
    while window.fill(FRAME_SIZE_MAX):
        found = _frame_at(window)
        if found is None:
            yield _skip(window)
            continue
        piece, size = found
        window.drop(size)
        yield piece


class _Window:
    """Hold the next bytes of a stream."""

    def __init__(self, stream: BinaryIO, offset: int) -> None:
        self._stream = stream
        self.ended = False
        self.offset = offset
        self.data = bytearray()

    def fill(self, size: int) -> bool:
        """Read until ``size`` bytes are there or the stream ends; say whether any are."""
        while len(self.data) < size and not self.ended:
            more = self._stream.read(_READ_SIZE)
            self.ended = not more
            self.data += more
        return bool(self.data)

    def drop(self, size: int) -> None:
        """Forget the first bytes."""
        del self.data[:size]
        self.offset += size


def _frame_at(window: _Window, at: int = 0) -> tuple[Piece, int] | None:
    """Make out the frame that begins at ``at``, and its size in the file."""
    data = window.data
    if len(data) < at + FRAME_HEAD_SIZE + 1:
        return None
    length = int.from_bytes(data[at : at + 4])
    crc = int.from_bytes(data[at + 4 : at + 8])
    start = at + FRAME_HEAD_SIZE
    content = bytes(data[start : start + length]) if length < FRAME_SIZE_MAX else b""
    place = window.offset + at
    if len(content) == length > 1:
        found = _by_length(content, crc, place)
        if found:
            return found, FRAME_HEAD_SIZE + length
    guessed = _length_by_kind(data, start)
    content = bytes(data[start : start + guessed])
    if guessed and len(content) == guessed and zlib.crc32(content) == crc:
        piece = Piece(content[0], content[1:], place, head_damaged=True)
        return piece, FRAME_HEAD_SIZE + guessed
    return None


def _by_length(content: bytes, crc: int, place: int) -> Piece | None:
    """Make out a frame whose length field can be right."""
    kind, body = content[0], content[1:]
    if zlib.crc32(content) == crc and body_size_fits(kind, len(body)):
        return Piece(kind, body, place)
    for other in FrameKind:
        if body_size_fits(other, len(body)) and zlib.crc32(bytes([other]) + body) == crc:
            return Piece(other, body, place, head_damaged=True)
    if not body_size_fits(kind, len(body)):
        return None
    syndrome = zlib.crc32(content) ^ crc
    if syndrome.bit_count() == 1:  # the checksum itself was hit
        return Piece(kind, body, place, head_damaged=True)
    flipped = flipped_bit(len(body), syndrome)
    return Piece(kind, body, place, altered=True, flipped=flipped, syndrome=syndrome)


def _length_by_kind(data: bytearray, start: int) -> int:
    """Tell from its kind how long a frame's content must be (0: cannot be told)."""
    kind = data[start]
    if kind == FrameKind.BATCH:
        header = data[start + 1 : start + 1 + BATCH_HEADER_SIZE]
        count = int.from_bytes(header[_COUNT_SPAN])
        size = BATCH_HEADER_SIZE + count * EVENT_SIZE
        return 1 + size if body_size_fits(kind, size) else 0
    return 1 + FIXED_SIZES[kind] if kind in FIXED_SIZES else 0


def _skip(window: _Window) -> Hole:
    """Look for the next good frame and give what lies before it."""
    begin, reason = window.offset, _reason(window.data)
    window.drop(1)
    while window.fill(2 * FRAME_SIZE_MAX):
        end = len(window.data) - (0 if window.ended else FRAME_SIZE_MAX)
        for at in range(end):
            if _plausible(window.data, at) and _intact_at(window, at):
                window.drop(at)
                return Hole(begin, window.offset - begin, reason)
        window.drop(end)
    return Hole(begin, window.offset - begin, reason)


def _plausible(data: bytearray, at: int) -> bool:
    """Reject most places by the upper bytes of the length alone."""
    return data[at] == 0 and len(data) > at + 1 and data[at + 1] < 4


def _intact_at(window: _Window, at: int) -> bool:
    found = _frame_at(window, at)
    return found is not None and not found[0].altered and not found[0].head_damaged


def _reason(data: bytearray) -> str:
    length = int.from_bytes(data[:4])
    if len(data) < FRAME_HEAD_SIZE + 1 or FRAME_HEAD_SIZE + length > len(data):
        return "cut off" if length < FRAME_SIZE_MAX else "impossible length"
    return "checksum differs"


def flipped_bit(size: int, syndrome: int, tail: int = 0) -> int | None:
    """Find the one bit of a part whose flip explains a wrong CRC-32: its number from the start.

    The part has ``size`` bytes and ``tail`` more follow it under the checksum; ``syndrome`` is the
    checksum found xor the one stored; bit 0 is the lowest bit of byte 0. CRC-32 is linear: the
    difference made by a flip depends only on its distance from the end, so the eight differences
    of the last byte are carried forward byte by byte. Gives ``None`` when no single bit fits.

    >>> flipped_bit(4, zlib.crc32(b"abcd") ^ zlib.crc32(b"abce"))
    24
    """
    if size > _LOCATED_SIZE_MAX:
        return None
    zeros = zlib.crc32(bytes(1 + tail))
    marks = [zlib.crc32(bytes([1 << bit]) + bytes(tail)) ^ zeros for bit in range(8)]
    for byte in reversed(range(size)):
        if syndrome in marks:
            return 8 * byte + marks.index(syndrome)
        marks = [_CRC_TABLE[mark & 0xFF] ^ (mark >> 8) for mark in marks]
    return None


def _crc_step(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (0xEDB88320 if value & 1 else 0)
    return value


_CRC_TABLE = [_crc_step(value) for value in range(256)]
