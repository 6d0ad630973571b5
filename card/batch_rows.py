# SPDX-License-Identifier: Apache-2.0
"""The input of a batch: CSV or JSON lines, checked as a whole before any card is touched.

A fault names line and field, never the value: it may be a person's name.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from card.errors import CardError, LayoutError
from card.photo import derive, photo_content
from card.profile import CardData
from card.status_words import Text
from keys.algorithm import Algorithm

ROWS_MAX = 20_000  # more cards than a desk issues in a month
BATCH_BYTES_MAX = 16 << 20
LINE_CHARS_MAX = 8_192
FAULTS_SHOWN = 20

_HEX = ("asn", "organisation")
_DATES = ("valid_from", "valid_to", "birth_date")
_NUMBERS = ("key_version", "document_type", "member_flags", "functions", "level", "total_minutes")
_TRUE, _FALSE = ("1", "true", "yes", "是"), ("", "0", "false", "no", "否")
FIELDS = tuple(field.name for field in dataclasses.fields(CardData))
_REQUIRED = tuple(
    field.name for field in dataclasses.fields(CardData) if field.default is dataclasses.MISSING
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with the input: where, and what."""

    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.line}: {self.field}: {self.reason}"


class BatchRefused(CardError):
    """The input has faults; no card was touched. `faults` are all of them."""

    advice = Text("请改正后重试；没有动过任何卡片", "correct them; no card was touched")

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(faults)
        self.faults = faults
        shown = "; ".join(str(fault) for fault in faults[:FAULTS_SHOWN])
        more = "" if len(faults) <= FAULTS_SHOWN else f"; … {len(faults)}"
        self.meaning = Text(
            f"名单有 {len(faults)} 处错误：{shown}{more}",
            f"{len(faults)} fault(s) in the list (line: field: reason)",
        )


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One card to issue: its line in the input, and its data."""

    line: int
    data: CardData


class RowFault(ValueError):
    """A field that does not fit; `field` and `reason` say which and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason


def card_data_of(raw: object, folder: Path) -> CardData:
    """Read one card's data from plain values.

    Args:
        raw: An object with the fields of `CardData`: hex for bytes, ISO dates, `photo` the name of
            a JPEG from which the chip's is derived.
        folder: Where photos lie.

    Raises:
        RowFault: A field is missing, unknown or does not fit.
        NoPictureLibrary: A photo is given and Pillow is not installed.
    """
    if not isinstance(raw, Mapping):
        raise RowFault("", "not an object")
    unknown = sorted(str(name) for name in raw if name not in FIELDS)
    if unknown:
        raise RowFault("", f"{len(unknown)} unknown field(s)")
    missing = [name for name in _REQUIRED if raw.get(name) in (None, "")]
    if missing:
        raise RowFault(missing[0], "missing")
    values: dict[str, Any] = {
        name: _value(name, value, folder) for name, value in raw.items() if value not in (None, "")
    }
    try:
        data = CardData(**values)
        data.contents()
    except LayoutError as exc:
        raise RowFault(exc.layout, exc.reason) from exc
    return data


def _value(name: str, value: object, folder: Path) -> Any:
    try:
        if name in _HEX:
            return bytes.fromhex(str(value))
        if name in _DATES:
            return dt.date.fromisoformat(str(value))
        if name in _NUMBERS:
            return int(str(value))
        if name == "minor_rules":
            return _flag(value)
        if name == "algorithm":
            return Algorithm(str(value).lower())
    except ValueError as exc:
        raise RowFault(name, "does not fit") from exc
    if name == "photo":
        return _photo(str(value), folder)
    return str(value)


def _flag(value: object) -> bool:
    word = str(value).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError


def _photo(name: str, folder: Path) -> bytes:
    try:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise RowFault("photo", "outside the list's folder")
        small = derive(path.read_bytes())
        photo_content(small)
    except RowFault:
        raise
    except (OSError, ValueError) as exc:  # a name may hold what no file system takes
        raise RowFault("photo", "cannot be read") from exc
    except LayoutError as exc:
        raise RowFault("photo", exc.reason) from exc
    return small


def read_batch(path: Path) -> tuple[BatchRow, ...]:
    """Read and check a whole list; the name's end tells CSV (`.csv`) from JSON lines.

    Raises:
        BatchRefused: With every fault of every line.
    """
    if path.stat().st_size > BATCH_BYTES_MAX:
        raise BatchRefused((Fault(0, "", f"more than {BATCH_BYTES_MAX} bytes"),))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise BatchRefused((Fault(0, "", "not UTF-8"),)) from exc
    rows: list[BatchRow] = []
    faults: list[Fault] = []
    seen: dict[bytes, int] = {}
    lines = _csv(text) if path.suffix.lower() == ".csv" else _json_lines(text)
    for line, raw in lines:
        if len(rows) + len(faults) >= ROWS_MAX:
            faults.append(Fault(line, "", f"more than {ROWS_MAX} rows"))
            break
        if isinstance(raw, Fault):
            faults.append(raw)
            continue
        try:
            data = card_data_of(raw, path.parent)
        except RowFault as exc:
            faults.append(Fault(line, exc.field, exc.reason))
            continue
        if data.asn in seen:
            faults.append(Fault(line, "asn", f"as in line {seen[data.asn]}"))
        seen.setdefault(data.asn, line)
        rows.append(BatchRow(line, data))
    if not rows and not faults:
        faults.append(Fault(0, "", "empty"))
    if faults:
        raise BatchRefused(tuple(faults))
    return tuple(rows)


def _json_lines(text: str) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        if len(line) > LINE_CHARS_MAX:
            yield number, Fault(number, "", f"more than {LINE_CHARS_MAX} characters")
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError):
            yield number, Fault(number, "", "not JSON")


def _csv(text: str) -> Iterator[tuple[int, object]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        names = reader.fieldnames or ()
        if len(set(names)) != len(names):
            yield 1, Fault(1, "", "a column twice")
            return
        for row in reader:
            if None in row or None in row.values():
                yield reader.line_num, Fault(reader.line_num, "", "too many or too few columns")
            else:
                yield reader.line_num, row
    except csv.Error:
        yield reader.line_num, Fault(reader.line_num, "", "not CSV")
