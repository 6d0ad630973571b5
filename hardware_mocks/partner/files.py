# SPDX-License-Identifier: Apache-2.0
"""Read and write files of the family one line at a time, the plain way."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from hardware_mocks.partner.layouts import DETAIL, HEADER, SUMMED, TRAILER, width

Fields = tuple[tuple[str, int, str], ...]
Row = dict[str, str]


class Wrong(Exception):
    """A file that a bank would send back: line and what is wrong."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(f"line {line}: {text}")
        self.line = line


@dataclass(frozen=True)
class Form:
    """How a partner writes: profile, line end, and records of its own."""

    profile: str = "fixed"
    end: bytes = b"\n"
    own: dict[str, Fields] = field(default_factory=dict)

    def detail(self, kind: str) -> Fields:
        """Give the record of a kind."""
        return self.own.get(kind, DETAIL[kind])


@dataclass
class File:
    """A file: its header, and its records."""

    header: Row
    rows: list[Row]


def read(data: bytes, form: Form) -> File:
    """Read a file and check everything that a file says of itself."""
    lines = data.split(form.end if form.profile == "fixed" else b"\n")
    if lines.pop() != b"":
        raise Wrong(len(lines) + 1, "no line end")
    if len(lines) < 2:
        raise Wrong(1, "no header and trailer")
    if form.profile == "fixed":
        head = _cut(lines[0], HEADER, 1, "H")
        detail = form.detail(head["kind"])
        wide = width(detail)
        for place, line in enumerate(lines, 1):
            if len(line) != wide:
                raise Wrong(place, f"{len(line)} bytes, not {wide}")
        rows = [_cut_row(line, detail, place) for place, line in enumerate(lines[1:-1], 2)]
        tail = _cut(lines[-1], TRAILER, len(lines), "T")
    else:
        objects = [json.loads(line.decode("utf-8")) for line in lines]
        head, tail = objects[0], objects[-1]
        rows = objects[1:-1]
        if head["type"] != "H" or tail["type"] != "T":
            raise Wrong(1, "header or trailer")
        for place, row in enumerate(rows, 1):
            if row["type"] != "D" or row["no"] != place:
                raise Wrong(place + 1, "running number")
    _check_totals(head, rows, tail, data[: data.rindex(lines[-1])], len(lines))
    return File(head, rows)


def _check_totals(head: Row, rows: list[Row], tail: Row, before: bytes, line: int) -> None:
    if (head["family"], head["version"]) != ("YIKABANK", "01"):
        raise Wrong(1, "family or version")
    if int(tail["count"]) != len(rows):
        raise Wrong(line, f"count {tail['count']}, found {len(rows)}")
    key, fen = sums(head["kind"], rows)
    if (int(tail["control_key"]), int(tail["control_fen"])) != (key, fen):
        raise Wrong(line, "control total")
    if tail["sha256"] != hashlib.sha256(before).hexdigest():
        raise Wrong(line, "digest")


def sums(kind: str, rows: list[Row]) -> tuple[int, int]:
    """Add up what the trailer adds up."""
    key, fen = SUMMED.get(kind, ("order_no", None))
    return (
        sum(int(row[key]) for row in rows) % 10**18 if key else 0,
        sum(int(row[fen]) for row in rows) % 10**18 if fen else 0,
    )


def write(header: Row, rows: list[Row], form: Form) -> bytes:
    """Write a file."""
    kind = header["kind"]
    head = {"family": "YIKABANK", "version": "01", "test": "P", "refers": "0", **header}
    detail = form.detail(kind)
    if form.profile == "fixed":
        wide = width(detail)
        lines = [_line("H", HEADER, head, wide)]
        lines += [
            _line("D" + str(place).zfill(8), detail, row, wide) for place, row in enumerate(rows, 1)
        ]
        body = b"".join(line + form.end for line in lines)
    else:
        texts = [{"type": "H", **{name: head[name] for name, _, _ in HEADER}}]
        texts += [
            {"type": "D", "no": place, **{k: v for k, v in row.items() if v}}
            for place, row in enumerate(rows, 1)
        ]
        body = b"".join(json.dumps(t, ensure_ascii=False).encode() + b"\n" for t in texts)
    key, fen = sums(kind, rows)
    tail = {
        "count": str(len(rows)), "control_key": str(key), "control_fen": str(fen),
        "sha256": hashlib.sha256(body).hexdigest(),
    }  # fmt: skip
    if form.profile == "fixed":
        return body + _line("T", TRAILER, tail, width(detail)) + form.end
    return body + json.dumps({"type": "T", **tail}).encode() + b"\n"


def _cut(line: bytes, fields: Fields, place: int, letter: str) -> Row:
    if line[:1] != letter.encode():
        raise Wrong(place, f"no {letter}")
    return _values(line, 1, fields)


def _cut_row(line: bytes, fields: Fields, place: int) -> Row:
    if line[:1] != b"D" or int(line[1:9]) != place - 1:
        raise Wrong(place, "running number")
    return _values(line, 9, fields)


def _values(line: bytes, at: int, fields: Fields) -> Row:
    values = {}
    for name, size, _ in fields:
        values[name] = line[at : at + size].decode("gb18030").rstrip(" ")
        at += size
    return values


def _line(start: str, fields: Fields, row: Row, wide: int) -> bytes:
    parts = [start.encode()]
    for name, size, digits in fields:
        raw = row.get(name, "").encode("gb18030")
        parts.append(raw.rjust(size, b"0") if digits and raw else raw.ljust(size))
    return b"".join(parts).ljust(wide)
