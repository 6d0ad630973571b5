# SPDX-License-Identifier: Apache-2.0
"""One table of fields per record, from which every way to read it is made.

A field is a name and a ``struct`` code. From the table come a ``struct.Struct`` (single records in
hot paths), a ``construct`` Struct (documentation, tools, fuzzing) and a numpy dtype (bulk reading).
All integers are big-endian, all sizes fixed.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import construct
import numpy as np

from swipe.errors import FieldError, WrongLength

_CONSTRUCT = {
    "B": construct.Int8ub,
    "H": construct.Int16ub,
    "I": construct.Int32ub,
    "Q": construct.Int64ub,
    "b": construct.Int8sb,
    "i": construct.Int32sb,
}
_NUMPY = {"B": "u1", "H": ">u2", "I": ">u4", "Q": ">u8", "b": "i1", "i": ">i4"}


@dataclass(frozen=True, slots=True)
class Field:
    """Name one field and its ``struct`` code: B H I Q b i, or ``Ns`` for N bytes."""

    name: str
    code: str

    @property
    def size(self) -> int:
        """Give the width in bytes."""
        return struct.calcsize(f">{self.code}")

    @property
    def is_bytes(self) -> bool:
        """Say whether the field is a byte string."""
        return self.code.endswith("s")


@dataclass(frozen=True)
class Layout:
    """Describe one fixed record.

    >>> layout = Layout("pair", (Field("a", "H"), Field("b", "2s")))
    >>> layout.size, layout.span("b"), layout.pack({"a": 1, "b": b"xy"}).hex()
    (4, (2, 4), '00017879')
    """

    name: str
    fields: tuple[Field, ...]

    @cached_property
    def struct(self) -> struct.Struct:
        """Give the compiled ``struct``."""
        return struct.Struct(">" + "".join(field.code for field in self.fields))

    @property
    def size(self) -> int:
        """Give the length of the record in bytes."""
        return self.struct.size

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Give the field names in order."""
        return tuple(field.name for field in self.fields)

    @cached_property
    def _values(self) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
        if len(self.names) == 1:  # of which an itemgetter makes no tuple
            return lambda values: (values[self.names[0]],)
        return operator.itemgetter(*self.names)

    @cached_property
    def _spans(self) -> dict[str, tuple[int, int]]:
        spans, at = {}, 0
        for field in self.fields:
            spans[field.name] = (at, at + field.size)
            at += field.size
        return spans

    @cached_property
    def _byte_sizes(self) -> tuple[tuple[int, int], ...]:
        """Give place and length of the byte strings."""
        sizes = enumerate(self.fields)
        return tuple((place, field.size) for place, field in sizes if field.is_bytes)

    def span(self, name: str) -> tuple[int, int]:
        """Give the first byte of a field and the one after its last."""
        return self._spans[name]

    def field_at(self, offset: int) -> str:
        """Give the name of the field that holds the byte at ``offset``."""
        return next(name for name, (low, high) in self._spans.items() if low <= offset < high)

    @cached_property
    def construct(self) -> construct.Struct:
        """Give the record as a ``construct`` Struct."""
        return construct.Struct(
            *(
                field.name
                / (construct.Bytes(field.size) if field.is_bytes else _CONSTRUCT[field.code])
                for field in self.fields
            )
        )

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """Give the record as a packed numpy dtype; byte strings become (N,) arrays of u1."""
        return np.dtype(
            [
                (field.name, "u1", (field.size,))
                if field.is_bytes
                else (field.name, _NUMPY[field.code])
                for field in self.fields
            ]
        )

    def pack(self, values: Mapping[str, Any]) -> bytes:
        """Give the bytes of a record; raise ``FieldError`` for what does not fit."""
        row = self._values(values)
        for place, size in self._byte_sizes:  # struct would pad or cut in silence
            if len(row[place]) != size:
                raise FieldError(self.names[place], f"{len(row[place])} bytes, expected {size}")
        try:
            return self.struct.pack(*row)
        except struct.error as exc:
            raise FieldError(self._misfit(values), str(exc)) from exc

    def unpack(self, data: bytes) -> dict[str, Any]:
        """Read a record; raise ``WrongLength`` for any other length."""
        if len(data) != self.size:
            raise WrongLength(self.name, self.size, len(data))
        return dict(zip(self.names, self.struct.unpack(data), strict=True))

    def _misfit(self, values: Mapping[str, Any]) -> str:
        for field in self.fields:
            try:
                struct.pack(f">{field.code}", values[field.name])
            except struct.error:
                return field.name
        return self.name
