# SPDX-License-Identifier: Apache-2.0
"""The container: whole frames come back, and a damaged tail is found at its offset."""

from __future__ import annotations

import io
import zlib

import pytest

from swipe.errors import WrongLength, WrongMagic
from swipe.frames import (
    EXPORT,
    FILE_HEADER_SIZE,
    FileHeader,
    Frame,
    FrameKind,
    FrameReader,
    body_size_fits,
    frame,
    read_file_header,
    read_frames,
)
from tests.factories import KEY_ID, TERMINAL_ID, make_identity

HEADER = FileHeader(TERMINAL_ID, KEY_ID, make_identity().public_key, EXPORT)
BODIES = [
    (FrameKind.INTENT, bytes(160)),
    (FrameKind.EVENT, bytes(range(224))),
    (FrameKind.RECEIPT, bytes(192)),
    (FrameKind.ABANDON, (5).to_bytes(4)),
    (FrameKind.BATCH, bytes(192 + 224 * 2)),
]
BLOB = HEADER.to_bytes() + b"".join(frame(kind, body) for kind, body in BODIES)


def _read(blob: bytes) -> tuple[list[Frame], FrameReader]:
    stream = io.BytesIO(blob)
    read_file_header(stream)
    reader = read_frames(stream)
    return list(reader), reader


def test_frames_come_back_in_order() -> None:
    """Header, kinds, bodies and offsets are those written."""
    frames, reader = _read(BLOB)

    assert FileHeader.from_bytes(BLOB[:FILE_HEADER_SIZE]) == HEADER
    assert [(item.kind, item.body) for item in frames] == BODIES
    assert frames[0].offset == FILE_HEADER_SIZE
    assert frames[-1].end == reader.end == len(BLOB)
    assert reader.damage is None


def test_a_cut_anywhere_keeps_the_whole_frames() -> None:
    """After a cut at any byte the frames before it are read, and the offset is known."""
    written, _ = _read(BLOB)
    for end in range(FILE_HEADER_SIZE, len(BLOB)):
        frames, reader = _read(BLOB[:end])

        whole = [item for item in written if item.end <= end]
        assert frames == whole
        assert reader.end == (whole[-1].end if whole else FILE_HEADER_SIZE)
        assert (reader.damage is None) == (reader.end == end)


@pytest.mark.parametrize("tail", [bytes(4096), b"\xff" * 4096, bytes(range(256))])
def test_garbage_after_the_last_frame_is_damage(tail: bytes) -> None:
    """A zero page or garbage behind the last frame ends the reading there."""
    frames, reader = _read(BLOB + tail)

    assert len(frames) == len(BODIES)
    assert reader.end == len(BLOB)
    assert reader.damage


@pytest.mark.parametrize("offset", range(FILE_HEADER_SIZE, FILE_HEADER_SIZE + 9 + 160, 3))
def test_a_flip_in_a_frame_stops_before_it(offset: int) -> None:
    """A frame that is not what was written is not given out."""
    raw = bytearray(BLOB)
    raw[offset] ^= 0x20

    frames, reader = _read(bytes(raw))

    assert frames == []
    assert reader.end == FILE_HEADER_SIZE


def test_a_frame_that_cannot_be_is_damage() -> None:
    """A right CRC does not make up for a size its kind cannot have."""
    blob = BLOB + frame(FrameKind.EVENT, bytes(223))

    _, reader = _read(blob)

    assert reader.end == len(BLOB)
    assert reader.damage == "kind 1 with 223 bytes cannot be"


def test_crc_covers_kind_and_body() -> None:
    """Length and CRC are of kind and body, as the specification says."""
    raw = frame(FrameKind.ABANDON, b"abcd")

    assert raw == (5).to_bytes(4) + zlib.crc32(b"\x04abcd").to_bytes(4) + b"\x04abcd"


@pytest.mark.parametrize("offset", range(FILE_HEADER_SIZE))
def test_any_flip_in_the_file_header_is_refused(offset: int) -> None:
    """A header with one flipped bit does not name a terminal or a key."""
    raw = bytearray(BLOB[:FILE_HEADER_SIZE])
    raw[offset] ^= 1

    with pytest.raises(WrongMagic):
        FileHeader.from_bytes(bytes(raw))


def test_a_short_file_is_refused() -> None:
    """63 bytes are no journal."""
    with pytest.raises(WrongLength):
        read_file_header(io.BytesIO(BLOB[:63]))


@pytest.mark.parametrize(
    ("kind", "size", "fits"),
    [
        (FrameKind.BATCH, 192, False),
        (FrameKind.BATCH, 192 + 224, True),
        (FrameKind.BATCH, 192 + 224 * 1000, True),
        (FrameKind.BATCH, 192 + 224 * 1001, False),
        (FrameKind.EVENT, 224, True),
        (0, 0, False),
        (6, 224, False),
    ],
)
def test_sizes_belong_to_kinds(kind: int, size: int, *, fits: bool) -> None:
    """Each kind has its size; a batch has one to a thousand events."""
    assert body_size_fits(kind, size) is fits
