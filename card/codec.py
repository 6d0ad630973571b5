# SPDX-License-Identifier: Apache-2.0
"""Declared byte layouts: one table of fields is codec, document and test at once."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
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
    """Bytes of one size and the value they stand for; compiled, it is one call."""

    def __init__(
        self, size: int, read: Callable[[bytes], Any], write: Callable[[Any], bytes]
    ) -> None:
        super().__init__(construct.Bytes(size))
        self._reader, self._writer, self._size = read, write, size

    def _decode(self, obj: bytes, context: object, path: str) -> Any:  # noqa: ARG002
        return self._reader(obj)

    def _encode(self, obj: Any, context: object, path: str) -> bytes:  # noqa: ARG002
        return self._writer(obj)

    def _emitparse(self, code: Any) -> str:
        name = f"read {id(self)}"  # its number alone is taken for the slow way of building
        code.linkedparsers[name] = self._reader
        return f"linkedparsers[{name!r}](io.read({self._size}))"


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


class Layout(Generic[R]):
    """A record type and the bytes it is stored as.

    Args:
        title: What errors and documents call it.
        record: A dataclass whose fields are the named fields of the table.
        fields: The table, in byte order.
        vectors: Bytes in hex and the value they stand for; a test walks them all.

    `table` is the construct the fields make; its compiled form does the work.
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
        self._names = tuple(field.name for field in fields if field.name is not None)
        # The compiled form writes whatever bytes it is given: their lengths are looked at before.
        self._lengths = tuple(
            (field.name, field.coding.sizeof())
            for field in fields
            if field.name is not None and isinstance(field.coding, construct.Bytes)
        )
        self.size: int = self.table.sizeof()

    def parse(self, data: bytes) -> R:
        """Read a record; bytes beyond its size are an error.

        Raises:
            LayoutError: Wrong size or a field that does not decode.
        """
        if len(data) != self.size:
            reason = f"{len(data)} bytes where {self.size} are due"
            raise LayoutError(self.title, reason, min(len(data), self.size))
        try:
            found = self.compiled.parse(data)
        except _DOES_NOT_FIT as exc:
            raise self._explain(data) from exc
        return self.record(**{name: found[name] for name in self._names})

    @functools.cached_property
    def compiled(self) -> Any:
        """Return the table as one function; made at first use, as it takes a millisecond."""
        return self.table.compile()

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
        values = {name: getattr(value, name) for name in self._names}
        try:
            if all(len(values[name]) == size for name, size in self._lengths):
                with contextlib.suppress(struct.error):  # which does not say where: once more
                    return bytes(self.compiled.build(values))
            return bytes(self.table.build(values))
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
