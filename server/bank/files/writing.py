# SPDX-License-Identifier: Apache-2.0
"""Write a file: header, records by columns, trailer; the same data always gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from server.bank.files.checking import CHARSET, Checker, Grid
from server.bank.files.frame import HEADER_FIELDS, TRAILER_FIELDS, Header, Sums, Trailer
from server.bank.files.layout import NUMBER_WIDTH, TYPE_WIDTH, Field, Layout
from server.bank.files.reading import FIXED, Profile, frame_line, frame_object
from server.bank.files.reasons import FileRefused

Column = Sequence[str] | NDArray[np.int64]
Columns = Mapping[str, Column]


class FileWriter:
    """One file that grows by blocks of records.

    Raises:
        FileRefused: a value does not fit its field; `misfits` tells before which ones do not.
    """

    def __init__(
        self, stream: BinaryIO, header: Header, layout: Layout, profile: Profile = FIXED
    ) -> None:
        self._stream = stream
        self._layout = layout
        self._profile = profile
        self._checker = Checker(layout, header.date)
        self.sums = Sums()
        self._put(self._frame(HEADER_FIELDS, "H", header.values()))

    def add(self, columns: Columns) -> None:
        """Write records given by columns, in the order of their rows."""
        if not len(columns[self._layout.fields[0].name]):
            return
        grid = grid_of(self._layout, columns, self.sums.count + 1)
        chunk = self._checker.check(grid, self.sums.count + 2)
        if chunk.findings:
            raise FileRefused(chunk.findings[0])
        self.sums.add(len(grid), *self._checker.totals(grid))
        if self._profile.name == "jsonl":
            self._put(_json_lines(self._layout, grid))
            return
        end = np.frombuffer(self._profile.line_end, dtype=np.uint8)
        lines = np.empty((len(grid), self._layout.width + len(end)), dtype=np.uint8)
        lines[:, : self._layout.width] = grid
        lines[:, self._layout.width :] = end
        self._put(lines.tobytes())

    def finish(self) -> Trailer:
        """Write the trailer and return it."""
        trailer = self.sums.trailer()
        self._stream.write(self._frame(TRAILER_FIELDS, "T", trailer.values()))
        return trailer

    def _frame(self, fields: tuple[Field, ...], letter: str, values: dict[str, str]) -> bytes:
        if self._profile.name == "jsonl":
            return frame_object(fields, letter, values)
        line = frame_line(fields, letter, values, self._layout.width)
        return line + self._profile.line_end

    def _put(self, data: bytes) -> None:
        self.sums.digest.update(data)
        self._stream.write(data)


def grid_of(layout: Layout, columns: Columns, first: int) -> Grid:
    """Lay columns out as records; `first` is the running number of the first."""
    rows = len(columns[layout.fields[0].name])
    grid = np.full((rows, layout.width), 0x20, dtype=np.uint8)
    grid[:, 0] = ord("D")
    numbers = np.arange(first, first + rows, dtype=np.int64)
    grid[:, TYPE_WIDTH : TYPE_WIDTH + NUMBER_WIDTH] = digits(numbers, NUMBER_WIDTH)
    at = TYPE_WIDTH + NUMBER_WIDTH
    for field in layout.fields:
        column = columns.get(field.name)
        if column is not None:
            grid[:, at : at + field.width] = _cells(column, field)
        at += field.width
    return grid


def digits(numbers: NDArray[np.int64], width: int) -> Grid:
    """Write numbers as columns of digits, zeros in front.

    >>> digits(np.array([7, 120]), 3).tobytes()
    b'007120'
    """
    cells = np.empty((len(numbers), width), dtype=np.uint8)
    rest = numbers
    for column in range(width - 1, -1, -1):
        rest, last = np.divmod(rest, 10)
        cells[:, column] = last + ord("0")
    return cells


def fits(field: Field, value: str) -> bool:
    """Say whether a text has room in a field.

    >>> fits(Field("name", 8, "t"), "𠮷野"), fits(Field("name", 5, "t"), "𠮷野")
    (True, False)
    """
    try:
        return len(value.encode(CHARSET)) <= field.width
    except UnicodeEncodeError:
        return False


def _cells(column: Column, field: Field) -> Grid:
    width = field.width
    if isinstance(column, np.ndarray):
        return digits(column, width)
    if field.kind == "n":
        parts = [value.encode(CHARSET) for value in column]
        padded = [part.rjust(width, b"0") if part else b" " * width for part in parts]
    else:
        padded = [value.encode(CHARSET).ljust(width) for value in column]
    joined = b"".join(padded)
    if len(joined) != width * len(column):
        long = next(row for row, part in enumerate(padded) if len(part) > width)
        raise ValueError(f"{field.name}, row {long}: more than {width} bytes")
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(column), width)


def _json_lines(layout: Layout, grid: Grid) -> bytes:
    texts = []
    for record in grid:
        raw = record.tobytes()
        document: dict[str, str | int] = {
            "type": "D", "no": int(raw[TYPE_WIDTH : TYPE_WIDTH + NUMBER_WIDTH])
        }  # fmt: skip
        at = TYPE_WIDTH + NUMBER_WIDTH
        for field in layout.fields:
            value = raw[at : at + field.width].rstrip(b" ").decode(CHARSET)
            at += field.width
            if value:
                document[field.name] = value
        texts.append(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
    return "\n".join((*texts, "")).encode()
