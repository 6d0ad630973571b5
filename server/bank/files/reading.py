# SPDX-License-Identifier: Apache-2.0
"""Read a whole file by blocks in constant memory; everything is checked on the way.

`FileReader` reads the header at once; `chunks()` gives the records and, at its end, has compared
trailer, count, control totals and digest. Before that nothing of the file may have an effect.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from server.bank.files import jsonlines
from server.bank.files.checking import Checker, Chunk, Grid, whole_numbers
from server.bank.files.frame import (
    COUNT_MAX,
    HEADER_FIELDS,
    TRAILER_FIELDS,
    Header,
    Sums,
    Trailer,
)
from server.bank.files.layout import NUMBER_WIDTH, TYPE_WIDTH, Field, Kind, Layout
from server.bank.files.reasons import FileRefused, Finding, shown

# Rows checked at a time: some 4 MB of a usual file, which stays in the processor's cache.
BLOCK_ROWS = 1 << 15
LINES_MAX = 20_000_000
_HEADER_BYTES = TYPE_WIDTH + sum(field.width for field in HEADER_FIELDS)
_TYPE_H, _TYPE_D, _TYPE_T = b"HDT"


@dataclass(frozen=True)
class Profile:
    """How a partner's files are written: `fixed` or `jsonl`, and the line end of the former."""

    name: str = "fixed"
    line_end: bytes = b"\n"


FIXED, JSON_LINES = Profile(), Profile("jsonl")


@dataclass(frozen=True)
class Expected:
    """What a file may be: profile, layouts by kind, most lines."""

    profile: Profile
    layouts: dict[Kind, Layout]
    lines_max: int = LINES_MAX


class FileReader:
    """One file: its header, then its records.

    Raises:
        FileRefused: the header is unreadable (at once), or anything after it (while reading).
    """

    def __init__(
        self, stream: BinaryIO, expected: Expected, accept: Callable[[Header], None] | None = None
    ) -> None:
        self._stream = stream
        self._expected = expected
        self._profile = expected.profile
        self.sums = Sums()
        self._lines = self._profile.name == "jsonl"
        head = self._first_line()
        self.header = Header.of(self._header_values(head))
        if self.header.kind not in expected.layouts:
            known = ",".join(expected.layouts)
            raise FileRefused(Finding("F11", 1, "kind", known, self.header.kind))
        self.layout = expected.layouts[self.header.kind]
        if accept is not None:
            accept(self.header)
        self._finish_header(head)
        self._checker = Checker(self.layout, self.header.date)

    def chunks(self) -> Iterator[Chunk]:
        """Give all records in blocks; at the end the trailer has been compared."""
        yield from self._json_chunks() if self._lines else self._fixed_chunks()

    def _first_line(self) -> bytes:
        if not self._lines:
            return self._stream.read(_HEADER_BYTES)
        return self._json_line(1)

    def _header_values(self, head: bytes) -> dict[str, str]:
        if self._lines:
            found = jsonlines.line_object(head, 1)
            if found.get("type") != "H":
                raise FileRefused(Finding("F09", 1, "type", "H", shown(found.get("type"))))
            return jsonlines.frame_values(found, HEADER_FIELDS, 1)
        if len(head) < _HEADER_BYTES or head[0] != _TYPE_H:
            raise FileRefused(Finding("F09", 1, "type", "H", shown(head[:9])))
        return _fixed_values(head, HEADER_FIELDS, 1)

    def _finish_header(self, head: bytes) -> None:
        """Take the rest of the header's line into the digest, and look that it ends in place."""
        self.sums.digest.update(head)
        if self._lines:
            return
        width, end = self.layout.width, self._profile.line_end
        rest = self._stream.read(width + len(end) - _HEADER_BYTES)
        self.sums.digest.update(rest)
        filler = width - _HEADER_BYTES
        if rest[:filler] != b" " * filler or rest[filler:] != end:
            found = (head + rest).find(b"\n")
            raise FileRefused(_length_fault(1, width, found))

    def _fixed_chunks(self) -> Iterator[Chunk]:
        width, end = self.layout.width, self._profile.line_end
        stride = width + len(end)
        line = 2
        while True:
            block = self._stream.read(BLOCK_ROWS * stride)
            rows = len(block) // stride
            if not rows:
                raise FileRefused(_truncated(line, block, width))
            whole = np.frombuffer(block, dtype=np.uint8, count=rows * stride).reshape(rows, stride)
            self._check_ends(whole, width, line)
            details = self._check_types(whole, line)
            grid = whole[:details, :width]
            if details:
                self._check_numbers(grid, line)
                self._add(grid, memoryview(block)[: details * stride])
                yield self._checker.check(grid, line)
                line += details
            if details < rows:
                self._end_fixed(block[details * stride :], line, stride)
                return
            if len(block) < BLOCK_ROWS * stride:
                raise FileRefused(_truncated(line, block[rows * stride :], width))

    def _check_ends(self, whole: Grid, width: int, line: int) -> None:
        for place, byte in enumerate(self._profile.line_end):
            wrong = whole[:, width + place] != byte
            if wrong.any():
                row = int(wrong.argmax())
                found = whole[row:].tobytes().find(b"\n")
                raise FileRefused(_length_fault(line + row, width, found))

    def _check_types(self, whole: Grid, line: int) -> int:
        """Return how many details stand before the trailer."""
        other = whole[:, 0] != _TYPE_D
        if not other.any():
            return len(whole)
        row = int(other.argmax())
        if whole[row, 0] != _TYPE_T:
            raise FileRefused(
                Finding("F18", line + row, "type", "D,T", shown(whole[row, :1].tobytes()))
            )
        return row

    def _check_numbers(self, grid: Grid, line: int) -> None:
        numbers = whole_numbers(grid[:, TYPE_WIDTH : TYPE_WIDTH + NUMBER_WIDTH])
        wrong = numbers != np.arange(line - 1, line - 1 + len(grid))
        if wrong.any():
            row = int(wrong.argmax())
            found = grid[row, TYPE_WIDTH : TYPE_WIDTH + NUMBER_WIDTH].tobytes()
            raise FileRefused(Finding("F18", line + row, "no", str(line + row - 1), shown(found)))
        used = TYPE_WIDTH + NUMBER_WIDTH + sum(field.width for field in self.layout.fields)
        filler = grid[:, used:]
        if filler.size and not (filler == 0x20).all():
            row = int((filler != 0x20).any(axis=1).argmax())
            found = filler[row].tobytes()
            raise FileRefused(Finding("F17", line + row, "filler", "blanks", shown(found)))

    def _add(self, grid: Grid, raw: memoryview) -> None:
        self.sums.digest.update(raw)
        self.sums.add(len(grid), *self._checker.totals(grid))
        self._check_count()

    def _check_count(self) -> None:
        most = min(self._expected.lines_max, COUNT_MAX)
        if self.sums.count > most:
            raise FileRefused(Finding("F08", self.sums.count + 1, "", f"<= {most}", "more"))

    def _end_fixed(self, rest: bytes, line: int, stride: int) -> None:
        if len(rest) > stride or self._stream.read(1):
            raise FileRefused(Finding("F20", line + 1, "", "end of file", shown(rest[stride:])))
        values = _fixed_values(rest, TRAILER_FIELDS, line)
        self.sums.check(Trailer.of(values, line), line)

    def _json_line(self, number: int) -> bytes:
        line = self._stream.readline(jsonlines.LINE_MAX)
        if line and not line.endswith(b"\n"):
            code = "F17" if len(line) == jsonlines.LINE_MAX else "F19"
            raise FileRefused(Finding(code, number, "", "line feed", shown(line[-9:])))
        return line

    def _json_chunks(self) -> Iterator[Chunk]:
        line, records, findings = 2, list[bytes](), list[Finding]()
        while True:
            raw = self._json_line(line)
            if not raw:
                raise FileRefused(Finding("F19", line, "type", "T", "end of file"))
            found = jsonlines.line_object(raw, line)
            if found.get("type") == "T":
                break
            record, faults = jsonlines.detail(found, line, self.layout)
            self.sums.digest.update(raw)
            records.append(record)
            findings += faults
            line += 1
            if len(records) == BLOCK_ROWS:
                yield self._json_chunk(records, findings, line)
                records, findings = [], []
        if records:
            yield self._json_chunk(records, findings, line)
        if self._stream.read(1):
            raise FileRefused(Finding("F20", line + 1, "", "end of file", "more"))
        values = jsonlines.frame_values(found, TRAILER_FIELDS, line)
        self.sums.check(Trailer.of(values, line), line)

    def _json_chunk(self, records: list[bytes], findings: list[Finding], end: int) -> Chunk:
        grid = np.frombuffer(b"".join(records), dtype=np.uint8)
        grid = grid.reshape(len(records), self.layout.width)
        self.sums.add(len(grid), *self._checker.totals(grid))
        self._check_count()
        chunk = self._checker.check(grid, end - len(records))
        if not findings:
            return chunk
        known = {finding.line for finding in findings}
        both = [*findings, *(f for f in chunk.findings if f.line not in known)]
        both.sort(key=lambda finding: finding.line)
        return Chunk(chunk.first_line, grid, self.layout, tuple(both))


def frame_line(fields: tuple[Field, ...], letter: str, values: dict[str, str], width: int) -> bytes:
    """Write a header or trailer as a fixed-width record."""
    cells = [jsonlines.cell(values[field.name], field)[0] for field in fields]
    return (letter.encode() + b"".join(cells)).ljust(width)


def frame_object(fields: tuple[Field, ...], letter: str, values: dict[str, str]) -> bytes:
    """Write a header or trailer as a JSON line."""
    document = {"type": letter, **{field.name: values[field.name] for field in fields}}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _fixed_values(record: bytes, fields: tuple[Field, ...], line: int) -> dict[str, str]:
    values, at = {}, TYPE_WIDTH
    for field in fields:
        raw = record[at : at + field.width]
        at += field.width
        if not raw.isascii() or len(raw) < field.width:
            raise FileRefused(Finding("F25", line, field.name, str(field), shown(raw)))
        values[field.name] = raw.decode("ascii").rstrip(" ")
    return values


def _length_fault(line: int, width: int, found: int) -> Finding:
    return Finding("F17", line, "", f"{width} bytes", f"{found} bytes" if found >= 0 else "no end")


def _truncated(line: int, rest: bytes, width: int) -> Finding:
    if b"\n" in rest:
        return _length_fault(line, width, rest.find(b"\n"))
    return Finding("F19", line, "type", "T", shown(rest[:9]) or "end of file")
