# SPDX-License-Identifier: Apache-2.0
"""Sheets that others made, CSV or XLSX, become rows of text; nothing of them is believed.

Limits stand before every step that a file could make expensive: its bytes, what a workbook says
it unpacks to, rows, cells, and characters of a cell.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from server.errors import Refused

BYTES_MAX = 16 * 1024 * 1024  # twenty thousand lines of everything we ask for are 5 MB
# What a workbook may unpack to: read_only reads sheets in a stream, its texts whole.
UNZIPPED_MAX = 128 * 1024 * 1024
PARTS_MAX = 2_000
ROWS_MAX = 20_000  # one unit of work; more come in several files
COLUMNS_MAX = 64
CELL_MAX = 1_000
# Beyond these Excel has rounded a number typed without an apostrophe: it is not what was typed.
EXACT_DIGITS = 15
ZIP_MAGIC = b"PK\x03\x04"
ENCODINGS = ("utf-8-sig", "gb18030")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its line in the file and its cells."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet as read: the header, the rows below it, how it was coded."""

    header: tuple[str, ...]
    rows: tuple[Row, ...]
    coding: str


def read_sheet(content: bytes, encoding: str = "") -> Sheet:
    r"""Read a sheet; the first row that is not empty is its header.

    `encoding` names the characters of a CSV file; without it UTF-8 is tried, then GB18030.

    Raises:
        Refused: the file is too large, of no known kind, or beyond a limit; the text says which.

    >>> read_sheet("姓名,分钟\n王,90\n".encode("gb18030")).coding
    'gb18030'
    """
    if len(content) > BYTES_MAX:
        raise _refused(f"文件超过 {BYTES_MAX >> 20} MB", f"more than {BYTES_MAX >> 20} MB")
    if content.startswith(ZIP_MAGIC):
        return _sheet(_workbook(content), "xlsx")
    text, coding = _decoded(content, encoding)
    return _sheet(_csv(text), coding)


def _sheet(rows: Iterable[Row], coding: str) -> Sheet:
    found: list[Row] = []
    for row in rows:
        if not any(row.cells):
            continue
        found.append(row)
        if len(found) > ROWS_MAX + 2:  # the header and the line of totals come on top
            raise _refused(f"超过 {ROWS_MAX} 行，请分文件", f"more than {ROWS_MAX} lines: split it")
    if len(found) < 2:
        raise _refused("没有数据行", "there is a header at most, and no line")
    return Sheet(found[0].cells, tuple(found[1:]), coding)


def _decoded(content: bytes, encoding: str) -> tuple[str, str]:
    for name in (encoding,) if encoding else ENCODINGS:
        try:
            text = content.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
        if "\0" in text:
            break
        return text, name.removesuffix("-sig")
    raise _refused(
        "不是可读的文本，请用 UTF-8 或 GB18030，或另存为 XLSX",
        "no readable text: save it as UTF-8, GB18030 or XLSX",
    )


def _csv(text: str) -> Iterator[Row]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            yield _row(reader.line_num, cells)
    except csv.Error as error:
        line = reader.line_num
        raise _refused(f"第 {line} 行引号不配对", f"line {line}: quotes do not match") from error


def _workbook(content: bytes) -> Iterator[Row]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            listed = parts.infolist()
        if len(listed) > PARTS_MAX or sum(part.file_size for part in listed) > UNZIPPED_MAX:
            raise _refused("工作簿解压后过大", "the workbook unpacks to too much")
        book = openpyxl.load_workbook(
            io.BytesIO(content), read_only=True, data_only=True, keep_links=False
        )
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, OSError) as error:
        raise _refused("工作簿已损坏", "the workbook is damaged") from error
    try:
        for line, cells in enumerate(book.worksheets[0].iter_rows(values_only=True), 1):
            yield _row(line, [_text(line, cell) for cell in cells[: COLUMNS_MAX + 1]])
    except (zipfile.BadZipFile, SyntaxError, KeyError, OSError) as error:
        raise _refused("工作簿已损坏", "the workbook is damaged") from error
    finally:
        book.close()


def _row(line: int, cells: list[str]) -> Row:
    kept = [cell.strip() for cell in cells]
    while kept and not kept[-1]:
        kept.pop()
    if len(kept) > COLUMNS_MAX:
        raise _refused(
            f"第 {line} 行超过 {COLUMNS_MAX} 列", f"line {line}: more than {COLUMNS_MAX} columns"
        )
    if any(len(cell) > CELL_MAX for cell in kept):
        raise _refused(
            f"第 {line} 行有单元格超过 {CELL_MAX} 字",
            f"line {line}: a cell has more than {CELL_MAX} characters",
        )
    return Row(line, tuple(kept))


def _text(line: int, value: Any) -> str:
    """Return a cell of a workbook as it would stand in a CSV file."""
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat()
    if isinstance(value, int | float) and not isinstance(value, bool):
        if abs(value) >= 10**EXACT_DIGITS:
            raise _refused(
                f"第 {line} 行的长号码被 Excel 存成了数字，末几位已丢失，请把该列设为文本",
                f"line {line}: Excel kept a long number as a figure and lost its end: "
                "make the column text",
            )
        return str(int(value)) if value == int(value) else str(value)
    return str(value)


def _refused(zh: str, en: str) -> Refused:
    return Refused("sheet", f"文件不能导入：{zh}", f"the file cannot be imported: {en}")
