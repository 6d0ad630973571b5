# SPDX-License-Identifier: Apache-2.0
"""What can be read of a damaged container is read; single flips are located."""

from __future__ import annotations

import io
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swipe.frames import FILE_HEADER_SIZE, FrameKind, frame
from swipe.salvage import Hole, Piece, flipped_bit, salvage

BODIES = [
    (FrameKind.EVENT, bytes(range(224))),
    (FrameKind.RECEIPT, bytes(192)),
    (FrameKind.BATCH, bytes(28) + (2).to_bytes(4) + bytes(160 + 448)),
    (FrameKind.ABANDON, b"\0\0\0\5"),
    (FrameKind.INTENT, b"\xff" * 160),
]
FRAMES = [frame(kind, body) for kind, body in BODIES]


def _read(blob: bytes) -> list[Piece | Hole]:
    return list(salvage(io.BytesIO(blob)))


def test_whole_frames_are_all_read() -> None:
    """An undamaged container gives its frames, their offsets, and no hole."""
    pieces = _read(b"".join(FRAMES))

    offsets = [FILE_HEADER_SIZE + sum(map(len, FRAMES[:i])) for i in range(len(FRAMES))]
    assert pieces == [
        Piece(kind, body, offset) for (kind, body), offset in zip(BODIES, offsets, strict=True)
    ]


@pytest.mark.parametrize("which", range(len(FRAMES)))
@pytest.mark.parametrize("at", range(9))
@pytest.mark.parametrize("bit", [0, 5])
def test_a_damaged_head_does_not_lose_the_frame(which: int, at: int, bit: int) -> None:
    """One flipped bit in length, checksum or kind: the content is still what was written."""
    raw = bytearray(FRAMES[which])
    raw[at] ^= 1 << bit
    pieces = _read(b"".join([*FRAMES[:which], bytes(raw), *FRAMES[which + 1 :]]))

    assert [(piece.kind, piece.body) for piece in pieces if isinstance(piece, Piece)] == BODIES
    damaged = pieces[which]
    assert isinstance(damaged, Piece)
    assert damaged.head_damaged
    assert not damaged.altered


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=512), st.data(), st.integers(0, 300))
def test_one_flip_is_located(body: bytes, data: st.DataObject, tail: int) -> None:
    """The checksum gives back the one bit that was flipped, whatever follows it."""
    at = data.draw(st.integers(0, 8 * len(body) - 1))
    flipped = bytearray(body)
    flipped[at // 8] ^= 1 << at % 8
    rest = bytes(tail)
    syndrome = zlib.crc32(b"\1" + bytes(flipped) + rest) ^ zlib.crc32(b"\1" + body + rest)

    assert flipped_bit(len(body), syndrome, tail) == at


def test_two_flips_are_not_taken_for_one() -> None:
    """Two changed bits in an event leave the place unknown."""
    body = bytes(224)
    flipped = b"\x01" + bytes(100) + b"\x80" + bytes(122)

    assert flipped_bit(224, zlib.crc32(flipped) ^ zlib.crc32(body)) is None
    assert flipped_bit(100_000, 1) is None


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60), st.integers(0, len(FRAMES)))
def test_garbage_is_a_hole(garbage: bytes, at: int) -> None:
    """Bytes between frames never cost a frame, and every byte of the file is accounted for."""
    blob = b"".join(FRAMES[:at]) + garbage + b"".join(FRAMES[at:])
    pieces = _read(blob)

    whole = [piece for piece in pieces if isinstance(piece, Piece) and not piece.altered]
    assert [(piece.kind, piece.body) for piece in whole] == BODIES
    holes = sum(piece.length for piece in pieces if isinstance(piece, Hole))
    assert holes == len(garbage)


def test_a_long_hole_is_crossed() -> None:
    """Half a megabyte of zeros between two frames is one hole."""
    pieces = _read(FRAMES[0] + bytes(500_000) + FRAMES[1])

    assert pieces[1] == Hole(FILE_HEADER_SIZE + len(FRAMES[0]), 500_000, "checksum differs")
    assert len(pieces) == 3
