# SPDX-License-Identifier: Apache-2.0
"""Reading and writing transparent files of any length, as their declaration wants it.

A short command carries at most 255 bytes and an SFI command reaches offset 255, so a longer file
is selected and handled in pieces. Writing goes from the end to the beginning: what a file begins
with, such as a photo's length and check, is written last, so a cut leaves nothing that looks
whole.
"""

from __future__ import annotations

from collections.abc import Iterator

from card.apdu import CommandApdu
from card.commands import read_binary, read_current, select_fid, update_binary, update_current
from card.errors import ProtocolFault, StatusError
from card.files import FileSpec
from card.operation import Operation, exchange, fetch
from card.secure_messaging import MacKey, maced, read_maced

UNWRITTEN = 0x6281  # a transparent file that was never written reads with this warning
PIECE_BYTES = 224  # whole cipher blocks; an answer of the card has at most 232 bytes and a MAC
SELECT = 0xA4


def read_commands(spec: FileSpec, size: int) -> Iterator[CommandApdu]:
    """Yield the commands that read the first `size` bytes of a file."""
    if size <= PIECE_BYTES:
        yield read_binary(spec.sfi, 0, size)
        return
    yield select_fid(spec.fid)
    for offset in range(0, size, PIECE_BYTES):
        yield read_current(offset, min(PIECE_BYTES, size - offset))


def update_commands(spec: FileSpec, content: bytes) -> Iterator[CommandApdu]:
    """Yield the commands that write a file from its beginning, in the order they are sent."""
    if len(content) <= PIECE_BYTES:
        yield update_binary(spec.sfi, 0, content)
        return
    yield select_fid(spec.fid)
    for offset in reversed(range(0, len(content), PIECE_BYTES)):
        yield update_current(offset, content[offset : offset + PIECE_BYTES])


def read_file(spec: FileSpec, size: int, key: MacKey | None = None) -> Operation[bytes | None]:
    """Read the first `size` bytes of a transparent file.

    Args:
        spec: The file; its directory must be selected and its right to read be met.
        size: How many bytes.
        key: The maintenance key, for a file whose reads carry a MAC.

    Returns:
        The content, or None where the file was never written.

    Raises:
        StatusError: The card refused.
        MacRejected: An answer's MAC is wrong.
        ProtocolFault: The card sent more or less than it was asked for.
    """
    content = b""
    for command in read_commands(spec, size):
        if command.ins == SELECT:
            yield from exchange(command)
            continue
        try:
            if spec.maced_reads and key is not None:
                content += (yield from read_maced(command, key))[: command.le]
            else:
                content += yield from fetch(command, command.le or 0)
        except StatusError as exc:
            if exc.sw != UNWRITTEN:
                raise
            return None
    if len(content) < size:
        raise ProtocolFault(f"{len(content)} bytes where {size} are due")
    return content[:size]


def write_file(spec: FileSpec, content: bytes, key: MacKey) -> Operation[int]:
    """Write a transparent file from its beginning, each piece with a MAC.

    Returns:
        How many commands changed the card.
    """
    writes = 0
    for command in update_commands(spec, content):
        if command.ins == SELECT:
            yield from exchange(command)
        else:
            yield from maced(command, key)
            writes += 1
    return writes
