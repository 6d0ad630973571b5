# SPDX-License-Identifier: Apache-2.0
"""A checkpoint: the state a journal has at some offset, so that a start need not read it all.

It is a convenience and never the truth: it is used only if its checksum is right, this very program
wrote it, and the journal holds, where it says, the very event it ends with. Otherwise the journal
is read from its beginning, which gives the same state.

Magic (8) ‖ SHA-256 of what follows (32) ‖ SHA-256 of the code that reads states (8 bytes of it) ‖
journal's header (64) ‖ offset (8) ‖ length of JSON (4) ‖ JSON: sizes of the arrays and the other
fields ‖ kinds ‖ offsets ‖ heads. Of a million events it is 17 MB.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from array import array
from functools import cache
from pathlib import Path
from typing import Any

import swipe.event
import swipe.kinds
import swipe.payloads
import swipe.receipt
import terminal.state
from swipe.errors import SwipeError
from swipe.event import EVENT_SIZE, event_hash
from swipe.frames import FILE_HEADER_SIZE, FileHeader, FrameKind
from swipe.receipt import Receipt
from terminal.policy import Mode
from terminal.scan import EVENT_AT, frame_at
from terminal.state import CardTrace, Period, State
from terminal.storage import Storage

MAGIC = b"YIKAM\x01\r\n"
_DIGEST, _CODE, _OFFSET, _LENGTH = 32, 8, 8, 4
_HEAD = len(MAGIC) + _DIGEST + _CODE + FILE_HEADER_SIZE + _OFFSET
_RECORDS: dict[str, type[Period] | type[CardTrace]] = {"period": Period, "trace": CardTrace}


def dump(header: FileHeader, state: State, offset: int) -> bytes:
    """Return the checkpoint of a state that the journal has at `offset`."""
    fields = {item.name: getattr(state, item.name) for item in dataclasses.fields(state)}
    arrays = [fields.pop("kinds"), _little(fields.pop("offsets")), fields.pop("heads")]
    sizes = [len(arrays[0]), arrays[1].itemsize * len(arrays[1]), len(arrays[2])]
    text = json.dumps([sizes, {name: _plain(value) for name, value in fields.items()}]).encode()
    own = _code() + header.to_bytes() + offset.to_bytes(_OFFSET)
    pieces = [own, len(text).to_bytes(_LENGTH), text, *arrays]
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return b"".join((MAGIC, digest.digest(), *pieces))


def load(data: bytes, header: FileHeader, storage: Storage) -> tuple[State, int] | None:
    """Return the state and its offset, or None if the checkpoint is not of this journal."""
    if len(data) < _HEAD or data[: len(MAGIC)] != MAGIC:
        return None
    content = memoryview(data)[len(MAGIC) + _DIGEST :]
    if hashlib.sha256(content).digest() != data[len(MAGIC) :][:_DIGEST]:
        return None
    code, own = content[:_CODE], content[_CODE : _CODE + FILE_HEADER_SIZE]
    offset = int.from_bytes(content[_CODE + FILE_HEADER_SIZE :][:_OFFSET])
    if code != _code() or own != header.to_bytes() or offset > storage.size:
        return None
    state = _state(content[_CODE + FILE_HEADER_SIZE + _OFFSET :])
    return (state, offset) if _fits(state, storage) else None


def _state(body: memoryview) -> State:
    length = int.from_bytes(body[:_LENGTH])
    sizes, fields = json.loads(bytes(body[_LENGTH : _LENGTH + length]))
    at, pieces = _LENGTH + length, []
    for size in sizes:
        pieces.append(body[at : at + size])
        at += size
    offsets: array[int] = array("Q")
    offsets.frombytes(pieces[1])
    values = {name: _rich(value) for name, value in fields.items()}
    return State(
        kinds=bytearray(pieces[0]), offsets=_little(offsets), heads=bytearray(pieces[2]), **values
    )


def _fits(state: State, storage: Storage) -> bool:
    """Say whether the journal holds the event whose hash the state ends with."""
    seq = len(state.offsets)
    if not seq or seq != state.last_seq or not state.offsets[-1]:
        return False
    try:
        found = frame_at(storage.read_at(state.offsets[-1], EVENT_AT + EVENT_SIZE))
    except OSError:
        return False
    if found is None or found.kind != FrameKind.EVENT:
        return False
    try:
        return event_hash(found.body, state.suite) == state.head
    except SwipeError:
        return False


def _plain(value: Any) -> Any:
    """Turn a field's value into JSON; raise TypeError for one that nobody would read back."""
    if isinstance(value, Mode):
        return {"mode": int(value)}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, Receipt):
        return {"receipt": value.to_bytes().hex()}
    if isinstance(value, tuple | list):
        return {type(value).__name__: [_plain(item) for item in value]}
    if isinstance(value, dict):
        return {"map": [[_plain(key), _plain(item)] for key, item in value.items()]}
    if isinstance(value, Period | CardTrace):
        name = next(name for name, kind in _RECORDS.items() if isinstance(value, kind))
        return {name: [_plain(getattr(value, f.name)) for f in dataclasses.fields(value)]}
    raise TypeError(type(value).__name__)


def _rich(value: Any) -> Any:
    """Turn JSON into a field's value again."""
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    readers: dict[str, Any] = {
        "mode": Mode,
        "hex": bytes.fromhex,
        "receipt": lambda text: Receipt.from_bytes(bytes.fromhex(text)),
        "list": lambda items: [_rich(item) for item in items],
        "tuple": lambda items: tuple(_rich(item) for item in items),
        "map": lambda pairs: {_rich(key): _rich(item) for key, item in pairs},
    }
    if kind in _RECORDS:
        return _RECORDS[kind](*(_rich(item) for item in held))
    return readers[kind](held)


def _little(offsets: array[int]) -> array[int]:
    """Return offsets with their low byte first in memory, or such ones as this machine's."""
    if sys.byteorder == "little":
        return offsets
    swapped = array("Q", offsets)
    swapped.byteswap()
    return swapped


@cache
def _code() -> bytes:
    """Return a digest of the code that makes states: another version may read frames otherwise."""
    digest = hashlib.sha256()
    modules = (terminal.state, swipe.event, swipe.payloads, swipe.kinds, swipe.receipt)
    for module in (*modules, sys.modules[__name__]):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.digest()[:_CODE]
