# SPDX-License-Identifier: Apache-2.0
"""Check detail records by the thousand: whole columns of bytes first, single rows when one fails.

Records stand in a grid, one row each, `uint8`, exactly as in the fixed-width file. A column that
is fine as a whole, as nearly all are, is never looked at row by row.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.bank.files.layout import (
    CHOICES,
    CONTROL_AMOUNT,
    CONTROL_KEY,
    NUMBER_WIDTH,
    TYPE_WIDTH,
    Field,
    Layout,
)
from server.bank.files.reasons import FileRefused, Finding, shown

CHARSET = "gb18030"
Grid = NDArray[np.uint8]
Rows = NDArray[np.bool_]

_BLANK, _ZERO, _NINE = 0x20, 0x30, 0x39


def _table(allowed: bytes) -> Rows:
    table = np.zeros(256, dtype=np.bool_)
    table[list(allowed)] = True
    return table


_ALPHANUMERIC = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./"
_WORD = _table(_ALPHANUMERIC + b" ")
_HEX = _table(b"0123456789abcdef ")
_WORDS = {"a": ("A-Z a-z 0-9 -_./", _WORD), "h": ("0-9 a-f", _HEX)}


@dataclass(frozen=True)
class Chunk:
    """Some records of a file: the line of the first, their bytes, and what is wrong with which."""

    first_line: int
    grid: Grid
    layout: Layout
    findings: tuple[Finding, ...] = ()

    def __len__(self) -> int:
        return len(self.grid)

    def cells(self, name: str) -> Grid:
        """Give the bytes of one field, one row for each record."""
        at, field = self.layout.place(name)
        return self.grid[:, at : at + field.width]

    def texts(self, name: str) -> list[str]:
        """Give the values of one field as text, blanks behind taken off."""
        width = self.layout.place(name)[1].width
        joined = np.ascontiguousarray(self.cells(name)).tobytes()
        return [
            joined[at : at + width].rstrip(b" ").decode(CHARSET, "replace")
            for at in range(0, len(joined), width)
        ]


def whole_numbers(cells: Grid) -> NDArray[np.int64]:
    """Read columns of digits as numbers; other bytes make a number that means nothing.

    >>> whole_numbers(np.frombuffer(b"012345", np.uint8).reshape(2, 3)).tolist()
    [12, 345]
    """
    numbers = np.zeros(len(cells), dtype=np.int64)
    for column in range(cells.shape[1]):
        numbers *= 10
        numbers += cells[:, column]
    # "0" has the code 48 in every column: all of them are taken off at once, which is cheaper.
    numbers -= _ZERO * int("1" * cells.shape[1])
    return numbers


def not_digits(cells: Grid) -> Rows | None:
    """Mark the rows that hold anything but digits; None when none does."""
    if cells.min() >= _ZERO and cells.max() <= _NINE:
        return None
    return _any_row((cells < _ZERO) | (cells > _NINE))


class Checker:
    """The checks of one file: its layout, and the date that no record may pass."""

    def __init__(self, layout: Layout, date: dt.date) -> None:
        self.layout = layout
        self._latest = int(f"{date:%Y%m%d}")
        self._key = CONTROL_KEY.get(layout.kind)
        self._amount = CONTROL_AMOUNT.get(layout.kind)
        self._checks: dict[str, Callable[[Grid, Field], list[_Fault]]] = {
            "n": _check_digits,
            "d": self._check_dates,
            "a": _check_words,
            "h": _check_words,
            "t": _check_texts,
        }

    def check(self, grid: Grid, first_line: int) -> Chunk:
        """Check records against their fields; the running number was checked before.

        Raises:
            FileRefused: F24 for a text outside the character set.
        """
        findings: list[Finding] = []
        seen = np.zeros(len(grid), dtype=np.bool_)
        at = TYPE_WIDTH + NUMBER_WIDTH
        for field in self.layout.fields:
            cells = grid[:, at : at + field.width]
            at += field.width
            for code, rows, expected in self._faults(cells, field):
                for row in np.flatnonzero(rows & ~seen).tolist():
                    value = cells[row].tobytes()
                    if code == "F24":
                        raise FileRefused(
                            Finding(code, first_line + row, field.name, expected, shown(value))
                        )
                    findings.append(
                        Finding(code, first_line + row, field.name, expected, shown(value))
                    )
                seen |= rows
        findings.sort(key=lambda finding: finding.line)
        return Chunk(first_line, grid, self.layout, tuple(findings))

    def totals(self, grid: Grid) -> tuple[int, int]:
        """Add up key and amount; a field that is no number counts as 0."""
        return self._total(grid, self._key), self._total(grid, self._amount)

    def _total(self, grid: Grid, name: str | None) -> int:
        if name is None:
            return 0
        at, field = self.layout.place(name)
        cells = grid[:, at : at + field.width]
        numbers = whole_numbers(cells)
        bad = not_digits(cells)
        return int(numbers.sum() if bad is None else numbers[~bad].sum())

    def _faults(self, cells: Grid, field: Field) -> list[_Fault]:
        blank = None
        if cells[:, 0].min() <= _BLANK:
            blank = (cells == _BLANK).all(axis=1)
            if not blank.any():
                blank = None
        if blank is None:
            return self._valued(cells, field)
        faults = [] if field.optional else [("R02", blank, str(field))]
        kept = np.flatnonzero(~blank)
        if not len(kept):
            return faults
        for code, rows, expected in self._valued(cells[kept], field):
            marked = np.zeros(len(cells), dtype=np.bool_)
            marked[kept] = rows
            faults.append((code, marked, expected))
        return faults

    def _valued(self, cells: Grid, field: Field) -> list[_Fault]:
        faults = self._checks[field.kind](cells, field)
        choices = CHOICES.get(field.name)
        if choices is not None and not faults:
            values = np.ascontiguousarray(cells).view(f"S{field.width}").ravel()
            known = np.zeros(len(values), dtype=np.bool_)
            for choice in choices:
                known |= values == choice.ljust(field.width)
            if not known.all():
                faults.append(("R04", ~known, b",".join(choices).decode()))
        return faults

    def _check_dates(self, cells: Grid, field: Field) -> list[_Fault]:
        bad = not_digits(cells)
        if bad is not None:
            return [("R01", bad, "YYYYMMDD")]
        numbers = whole_numbers(cells)
        faults: list[_Fault] = []
        distinct = np.unique(numbers)
        wrong = [value for value in distinct.tolist() if not _is_date(value)]
        if wrong:
            faults.append(("R01", np.isin(numbers, wrong), "YYYYMMDD"))
        if field.name in PAST_DATES and distinct[-1] > self._latest:
            faults.append(("R05", numbers > self._latest, f"<= {self._latest}"))
        return faults


# Dates of what has happened; the end of a branch may lie in the future.
PAST_DATES = ("date", "birth")
_Fault = tuple[str, Rows, str]


def _check_digits(cells: Grid, field: Field) -> list[_Fault]:
    bad = not_digits(cells)
    return [] if bad is None else [("R01", bad, f"{field.width} digits")]


def _check_words(cells: Grid, field: Field) -> list[_Fault]:
    expected, table = _WORDS[field.kind]
    allowed = table[cells]
    if not allowed.all():
        return [("R01", _any_row(~allowed), expected)]
    blank = cells == _BLANK
    gap = blank[:, :-1] & ~blank[:, 1:]
    if gap.any():
        return [("R01", _any_row(gap), "left, without gaps")]
    if field.kind == "h" and blank.any():
        return [("R01", _any_row(blank), f"{field.width} hex digits")]
    return []


def _check_texts(cells: Grid, _field: Field) -> list[_Fault]:
    if cells.min() < _BLANK:
        return [("R01", _any_row(cells < _BLANK), "no control characters")]
    # A line feed is no part of any character here, so cells can be decoded in one piece.
    fenced = np.full((len(cells), cells.shape[1] + 1), 0x0A, dtype=np.uint8)
    fenced[:, :-1] = cells
    if _decodes(fenced.tobytes()):
        return []
    bad = np.array([not _decodes(row.tobytes()) for row in cells], dtype=np.bool_)
    return [("F24", bad, CHARSET)]


def _any_row(marks: NDArray[np.bool_]) -> Rows:
    rows: Rows = np.asarray(marks.any(axis=1))
    return rows


def _decodes(data: bytes) -> bool:
    try:
        data.decode(CHARSET)
    except UnicodeDecodeError:
        return False
    return True


def _is_date(value: int) -> bool:
    try:
        dt.date(value // 10_000, value // 100 % 100, value % 100)
    except ValueError:
        return False
    return True
