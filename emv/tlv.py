# SPDX-License-Identifier: Apache-2.0
"""BER-TLV data objects, strict and bounded (ISO/IEC 7816-4 §5.2.2, EMV 4.4 Book 3 Annex B).

A tree keeps the order, the duplicates and the very bytes it was read from, so that encoding it
again gives what came in. Nothing is guessed: padding, indefinite lengths and cut values are errors
that say where. Recursion is bounded by a named depth.

>>> fci = parse(bytes.fromhex("6F0F8406F059494B4101A5059F0C020001"))
>>> fci[0].find(0xA5, 0x9F0C).value.hex()
'0001'
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from emv.errors import EmvError, TlvError, TlvFault

TAG_BYTES_MAX = 3  # EMV uses one to three; ISO/IEC 7816-4 allows no more
LENGTH_BYTES_MAX = 3  # one prefix and two bytes: 65 535, the most an extended APDU carries
DATA_BYTES_MAX = 65_536  # the longest response APDU
DEPTH_MAX = 16  # EMV templates nest five deep; a hostile card must not exhaust the stack
OBJECTS_MAX = 4_096  # far above any FCI or record; keeps a flood of empty objects cheap

_TAG_LONG_FORM = 0x1F
_TAG_MORE = 0x80
_TAG_CONSTRUCTED = 0x20
_LENGTH_LONG_FORM = 0x80


@dataclass(frozen=True, slots=True)
class Tlv:
    """One data object.

    Attributes:
        tag: The tag as a number, for example 0x9F0C.
        value: The value field.
        children: The objects inside, if the tag says it is a template.
        header: Tag and length exactly as they were read.
        offset: Where the tag starts in the data given to the parser.
    """

    tag: int
    value: bytes
    children: tuple[Tlv, ...] = ()
    header: bytes = b""
    offset: int = 0

    @property
    def constructed(self) -> bool:
        """Whether the tag announces a template (bit 6 of its first byte)."""
        return bool(_tag_bytes(self.tag)[0] & _TAG_CONSTRUCTED)

    @property
    def raw(self) -> bytes:
        """Return tag, length and value as they were read."""
        return self.header + self.value

    def find(self, *path: int) -> Tlv | None:
        """Return the first object reached by following the tags, or None."""
        found: Tlv | None = self
        for tag in path:
            if found is None:
                return None
            for child in found.children:
                if child.tag == tag:
                    found = child
                    break
            else:
                return None
        return found

    def find_all(self, tag: int) -> tuple[Tlv, ...]:
        """Return every direct child with the tag, in order: duplicates count."""
        return tuple(child for child in self.children if child.tag == tag)

    def walk(self) -> Iterator[tuple[int, Tlv]]:
        """Yield depth and object for this object and all inside it, in reading order."""
        stack: list[tuple[int, Tlv]] = [(0, self)]
        while stack:
            depth, item = stack.pop()
            yield depth, item
            stack.extend((depth + 1, child) for child in reversed(item.children))


def parse(data: bytes) -> tuple[Tlv, ...]:
    """Parse a sequence of data objects that fills the data to its last byte.

    Args:
        data: BER-TLV bytes, at most `DATA_BYTES_MAX`.

    Raises:
        TlvError: The bytes are not BER-TLV; it names the template path and the offset.

    >>> [f"{item.tag:X}" for item in parse(bytes.fromhex("DF010100DF010101"))]
    ['DF01', 'DF01']
    >>> parse(bytes.fromhex("6F04A5039F0C"))
    Traceback (most recent call last):
    ...
    emv.errors.TlvError: 6F/A5@2: the value is shorter than its length says
    """
    if len(data) > DATA_BYTES_MAX:
        raise TlvError(TlvFault.TOO_BIG, (), DATA_BYTES_MAX)
    return _Parser(bytes(data)).objects(0, len(data), ())


def parse_one(data: bytes) -> Tlv:
    """Parse exactly one data object.

    Raises:
        TlvError: The bytes are not BER-TLV.
        EmvError: There is none, or more than one.
    """
    objects = parse(data)
    if len(objects) != 1:
        raise EmvError(f"one data object expected, {len(objects)} found")
    return objects[0]


def encode(objects: Iterable[Tlv]) -> bytes:
    """Return the bytes of parsed or built objects, in order."""
    return b"".join(item.raw for item in objects)


def build(tag: int, content: bytes | Iterable[Tlv]) -> Tlv:
    """Build a data object from a value or from the objects inside it.

    >>> build(0x6F, [build(0x84, b"1PAY")]).raw.hex().upper()
    '6F06840431504159'
    """
    children = () if isinstance(content, bytes) else tuple(content)
    value = content if isinstance(content, bytes) else encode(children)
    return Tlv(tag, value, children, _tag_bytes(tag) + _length_bytes(len(value)))


class _Parser:
    """Reads one buffer and counts what it has read."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._count = 0

    def objects(self, start: int, end: int, path: tuple[int, ...]) -> tuple[Tlv, ...]:
        if len(path) > DEPTH_MAX:
            raise TlvError(TlvFault.TOO_DEEP, path, start)
        found: list[Tlv] = []
        while start < end:
            item, start = self._object(start, end, path)
            found.append(item)
        return tuple(found)

    def _object(self, start: int, end: int, path: tuple[int, ...]) -> tuple[Tlv, int]:
        """Read one object; return it and where the next begins."""
        self._count += 1
        if self._count > OBJECTS_MAX:
            raise TlvError(TlvFault.TOO_MANY, path, start)
        data = self._data
        tag, at = data[start], start + 1
        if not tag or tag & _TAG_LONG_FORM == _TAG_LONG_FORM:
            tag, at = self._tag(start, end, path)
        if at < end and data[at] < _LENGTH_LONG_FORM:
            length, at = data[at], at + 1
        else:
            length, at = self._length(at, end, (*path, tag))
        after = at + length
        if after > end:
            raise TlvError(TlvFault.VALUE_CUT, (*path, tag), start)
        children: tuple[Tlv, ...] = ()
        if data[start] & _TAG_CONSTRUCTED:
            children = self.objects(at, after, (*path, tag))
        return Tlv(tag, data[at:after], children, data[start:at], start), after

    def _tag(self, start: int, end: int, path: tuple[int, ...]) -> tuple[int, int]:
        """Read a tag of more than one byte; zero is none."""
        if not self._data[start]:
            raise TlvError(TlvFault.PADDING, path, start)
        for size in range(2, TAG_BYTES_MAX + 1):
            if start + size > end:
                raise TlvError(TlvFault.TAG_CUT, path, start)
            octet = self._data[start + size - 1]
            if size == 2 and octet == _TAG_MORE:
                raise TlvError(TlvFault.TAG_MALFORMED, path, start)
            if not octet & _TAG_MORE:
                return int.from_bytes(self._data[start : start + size], "big"), start + size
        raise TlvError(TlvFault.TAG_LONG, path, start)

    def _length(self, start: int, end: int, path: tuple[int, ...]) -> tuple[int, int]:
        """Read a length of more than one byte."""
        if start >= end:
            raise TlvError(TlvFault.LENGTH_CUT, path, start)
        first = self._data[start]
        size = first - _LENGTH_LONG_FORM
        if not 1 <= size < LENGTH_BYTES_MAX:
            raise TlvError(TlvFault.LENGTH_FORM, path, start)
        if start + 1 + size > end:
            raise TlvError(TlvFault.LENGTH_CUT, path, start)
        return int.from_bytes(self._data[start + 1 : start + 1 + size], "big"), start + 1 + size


def _tag_bytes(tag: int) -> bytes:
    return tag.to_bytes(max(1, (tag.bit_length() + 7) // 8), "big")


def _length_bytes(length: int) -> bytes:
    """Code a length in the fewest bytes.

    >>> [_length_bytes(n).hex() for n in (127, 128, 256)]
    ['7f', '8180', '820100']
    """
    if length < _LENGTH_LONG_FORM:
        return bytes([length])
    body = length.to_bytes((length.bit_length() + 7) // 8, "big")
    if len(body) >= LENGTH_BYTES_MAX:
        raise TlvError(TlvFault.TOO_BIG, (), length)
    return bytes([_LENGTH_LONG_FORM | len(body)]) + body
