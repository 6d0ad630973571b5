# SPDX-License-Identifier: Apache-2.0
"""Declared byte layouts: one table of fields is codec, document and test at once."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import construct

from card import bcd
from card.errors import LayoutError
from card.status_words import Text

R = TypeVar("R")
_DOES_NOT_FIT = (construct.ConstructError, UnicodeDecodeError, LayoutError)


class _Coded(construct.Adapter):  # type: ignore[misc]
    """Bytes of one size and the value they stand for."""

    def __init__(
        self, size: int, read: Callable[[bytes], Any], write: Callable[[Any], bytes]
    ) -> None:
        super().__init__(construct.Bytes(size))
        self.read, self.write = read, write

    def _decode(self, obj: bytes, context: object, path: str) -> Any:  # noqa: ARG002
        return self.read(obj)

    def _encode(self, obj: Any, context: object, path: str) -> bytes:  # noqa: ARG002
        return self.write(obj)


def padded_text(size: int, encoding: str) -> Any:
    """Text of at most `size` bytes, filled up with zeros."""

    def encode(text: str) -> bytes:
        coded = text.encode(encoding)
        if len(coded) > size:
            raise construct.ValidationError(f"{len(coded)} bytes of text where {size} fit")
        return coded.ljust(size, b"\x00")

    def decode(coded: bytes) -> str:
        return coded.rstrip(b"\x00").decode(encoding)

    return _Coded(size, decode, encode)


# YYYYMMDD in four bytes; four zero bytes are "no date".
BCD_DATE = _Coded(4, bcd.date_from_bcd, bcd.date_to_bcd)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a layout: coding and what it means. A name of None is reserved zeros."""

    name: str | None
    coding: Any
    label: Text


@dataclass(frozen=True, slots=True)
class _Part:
    """One field as a ``struct`` takes it, and what stands between its bytes and its value."""

    name: str | None
    code: str
    size: int = 0  # of a byte string, whose length a ``struct`` would make fit in silence
    constant: bytes | None = None
    read: Callable[[bytes], Any] | None = None
    write: Callable[[Any], bytes] | None = None

    @classmethod
    def of(cls, field: Field) -> _Part:
        """Take a field of the table; a coding that is none of the usual ones works on its bytes."""
        coding, size = field.coding, field.coding.sizeof()
        if isinstance(coding, construct.FormatField) and coding.fmtstr.startswith(">"):
            return cls(field.name, coding.fmtstr[1:])
        if field.name is None and isinstance(coding, construct.Const):
            return cls(None, f"{size}s", size, coding.value)
        if isinstance(coding, construct.Bytes):
            return cls(field.name, f"{size}s", size)
        if isinstance(coding, _Coded):
            return cls(field.name, f"{size}s", size, None, coding.read, coding.write)
        if field.name is None:
            return cls(None, f"{size}x")
        return cls(field.name, f"{size}s", size, None, coding.parse, coding.build)

    def coded(self, record: object) -> Any:
        """Return what the ``struct`` writes for this field of a record."""
        if self.name is None:
            return self.constant
        value = getattr(record, self.name)
        if self.write is not None:
            return self.write(value)
        if self.size and len(value) != self.size:
            raise struct.error(self.name)
        return value


class Layout(Generic[R]):
    """A record type and the bytes it is stored as.

    Args:
        title: What errors and documents call it.
        record: A dataclass whose fields are the named fields of the table, in its order.
        fields: The table, in byte order.
        vectors: Bytes in hex and the value they stand for; a test walks them all.

    `table` is the construct the fields make; a `struct` of the same fields does the work, and the
    construct says what does not fit.
    """

    def __init__(
        self,
        title: str,
        record: type[R],
        fields: Sequence[Field],
        vectors: Sequence[tuple[str, R]],
    ) -> None:
        self.title = title
        self.record = record
        self.fields = tuple(fields)
        self.vectors = tuple(vectors)
        self.table = construct.Struct(
            *(field.coding if field.name is None else field.name / field.coding for field in fields)
        )
        parts = tuple(_Part.of(field) for field in fields)
        self._struct = struct.Struct(">" + "".join(part.code for part in parts))
        self._parts = tuple(part for part in parts if not part.code.endswith("x"))
        self._names = tuple(field.name for field in fields if field.name is not None)
        self.size: int = self._struct.size

    def parse(self, data: bytes) -> R:
        """Read a record; bytes beyond its size are an error.

        Raises:
            LayoutError: Wrong size or a field that does not decode.
        """
        if len(data) != self.size:
            reason = f"{len(data)} bytes where {self.size} are due"
            raise LayoutError(self.title, reason, min(len(data), self.size))
        values = []
        try:
            for part, value in zip(self._parts, self._struct.unpack(data), strict=True):
                if part.name is not None:
                    values.append(value if part.read is None else part.read(value))
                elif part.constant != value:
                    raise LayoutError(self.title, "another constant")
        except _DOES_NOT_FIT as exc:
            raise self._explain(data) from exc
        return self.record(*values)

    def _explain(self, data: bytes) -> LayoutError:
        """Read again field by field and say which does not fit, and where."""
        for offset, size, field in self.offsets():
            try:
                field.coding.parse(data[offset : offset + size])
            except _DOES_NOT_FIT as exc:
                name = field.name or field.label.en
                return LayoutError(self.title, f"{name}: {_reason(exc)}", offset)
        return LayoutError(self.title, "does not decode")

    def build(self, value: R) -> bytes:
        """Code a record.

        Raises:
            LayoutError: A value that does not fit its field.
        """
        try:
            return self._struct.pack(*[part.coded(value) for part in self._parts])
        except (construct.ConstructError, UnicodeEncodeError, struct.error):
            return self._build_slowly(value)

    def _build_slowly(self, value: R) -> bytes:
        """Let the table code it, which says what does not fit."""
        try:
            return bytes(self.table.build({name: getattr(value, name) for name in self._names}))
        except (construct.ConstructError, UnicodeEncodeError) as exc:
            raise LayoutError(self.title, _reason(exc)) from exc

    def offsets(self) -> Iterator[tuple[int, int, Field]]:
        """Yield offset, size and field in byte order."""
        offset = 0
        for field in self.fields:
            size: int = field.coding.sizeof()
            yield offset, size, field
            offset += size

    def field_names(self) -> tuple[str, ...]:
        """Return the names of the record's own fields, for the test that compares them."""
        return tuple(field.name for field in dataclasses.fields(self.record))  # type: ignore[arg-type]


def _reason(exc: Exception) -> str:
    """Say what did not fit, without the value: it may be a person's name."""
    if isinstance(exc, LayoutError):
        return exc.reason
    if isinstance(exc, UnicodeError):
        return f"text is not {exc.args[0]}"
    path = getattr(exc, "path", None) or ""
    return f"{type(exc).__name__} {path}".strip()
