# SPDX-License-Identifier: Apache-2.0
"""Write a whole topic as CSV, JSON lines or Parquet, a piece at a time."""

from __future__ import annotations

import csv
import enum
import io
import json
from collections.abc import Iterable, Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from server.errors import Problem
from server.exchange.lists import COLUMNS
from server.exchange.policy import Topic

_ARROW = {"i": pa.int64(), "s": pa.string(), "t": pa.string()}
# A cell that begins so would be run by a spreadsheet (OWASP: CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Piece = list[dict[str, Any]]


class Format(enum.StrEnum):
    """In which form an export is written."""

    CSV = "csv"
    JSON_LINES = "jsonl"
    PARQUET = "parquet"


MEDIA_TYPES = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.JSON_LINES: "application/jsonl; charset=utf-8",
    Format.PARQUET: "application/vnd.apache.parquet",
}


def lines(topic: Topic, form: Format, pieces: Iterable[Piece]) -> Iterator[bytes]:
    """Write pieces as text, one chunk each; CSV begins with a byte order mark and its names."""
    if form is Format.CSV:
        yield from _csv(topic, pieces)
    elif form is Format.JSON_LINES:
        for piece in pieces:
            yield "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in piece).encode()
    else:
        raise Problem(406, "not-lines", "此格式不能逐行输出", "this form is not written by lines")


def parquet(topic: Topic, pieces: Iterable[Piece], target: IO[bytes]) -> int:
    """Write pieces as one Parquet file; return the number of rows."""
    schema = pa.schema([(name, _ARROW[kind]) for name, kind in COLUMNS[topic]])
    rows = 0
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for piece in pieces:
            writer.write_table(pa.Table.from_pylist(piece, schema))
            rows += len(piece)
    return rows


def _csv(topic: Topic, pieces: Iterable[Piece]) -> Iterator[bytes]:
    names = [name for name, _ in COLUMNS[topic]]
    yield b"\xef\xbb\xbf" + ",".join(names).encode() + b"\r\n"
    for piece in pieces:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        for item in piece:
            writer.writerow([_cell(item[name]) for name in names])
        yield text.getvalue().encode()


def _cell(value: object) -> object:
    """Give what stands in a cell; text that a spreadsheet would run is held by an apostrophe.

    >>> _cell("=1+1"), _cell(-5), _cell(None)
    ("'=1+1", -5, '')
    """
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value
