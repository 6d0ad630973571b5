# SPDX-License-Identifier: Apache-2.0
"""Put checked records into a temporary table: COPY on PostgreSQL, many rows at once on SQLite.

What stands there has no effect yet; it goes with the unit of work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from server.bank.files.checking import Chunk, Grid
from server.bank.files.layout import Kind
from server.bank.files.writing import digits

# Column → width in bytes; a kind without the field leaves it empty. `line`, `batch` and `day` are
# numbers. Values are letters, digits and -_./ only: checked before, so COPY needs no escapes.
STAGED = {
    "line": 8, "batch": 8, "order_no": 12, "outcome": 2, "reason": 4, "asn": 20, "branch": 12,
    "day": 8, "code": 3,
}  # fmt: skip
_FROM_FIELD = {"day": "date"}
_NUMBERS = ("line", "batch", "day")
_TAB, _END, _BLANK, _ZERO = 0x09, 0x0A, 0x20, 0x30
TABLE = "bank_stage"


class Stage:
    """The temporary table of one file of order events."""

    def __init__(self, session: Session, kind: Kind) -> None:
        self._session = session
        self._kind = kind
        columns = ", ".join(
            f"{name} {'integer' if name in _NUMBERS else 'text'} not null" for name in STAGED
        )
        session.execute(sa.text(f"CREATE TEMPORARY TABLE {TABLE} ({columns})"))

    def add(self, chunk: Chunk) -> None:
        """Stage the records of a chunk; those with a finding carry its code and nothing else."""
        columns = _columns(chunk)
        if self._session.get_bind().dialect.name == "postgresql":
            driver = self._session.connection().connection.driver_connection
            assert driver is not None
            with driver.cursor() as cursor, cursor.copy(f"COPY {TABLE} FROM STDIN") as copy:
                copy.write(_copy_text(columns))
            return
        listed = [_strings(columns[name]) for name in STAGED]
        rows = [dict(zip(STAGED, row, strict=True)) for row in zip(*listed, strict=True)]
        self._insert(rows)

    def add_rows(self, rows: list[dict[str, str | int]]) -> None:
        """Stage rows given one by one; what they do not name is empty."""
        empty = {name: 0 if name in _NUMBERS else "" for name in STAGED}
        self._insert([empty | row for row in rows])

    def _insert(self, rows: Sequence[Mapping[str, object]]) -> None:
        marks = ", ".join(f":{name}" for name in STAGED)
        self._session.execute(sa.text(f"INSERT INTO {TABLE} VALUES ({marks})"), rows)  # noqa: S608

    def drop(self) -> None:
        """Take the table away, so that the connection can be used for the next file."""
        self._session.execute(sa.text(f"DROP TABLE {TABLE}"))


def _columns(chunk: Chunk) -> dict[str, Grid]:
    rows = len(chunk)
    bad = np.array([finding.line for finding in chunk.findings], dtype=np.int64) - chunk.first_line
    columns: dict[str, Grid] = {}
    lines = np.arange(chunk.first_line, chunk.first_line + rows, dtype=np.int64)
    for name, width in STAGED.items():
        field = _FROM_FIELD.get(name, name)
        if name == "line":
            cells = digits(lines, width)
        elif name != "code" and field in chunk.layout.names:
            cells = _fitted(chunk.cells(field), width, name)
        else:
            cells = np.full((rows, width), _empty(name), dtype=np.uint8)
        if len(bad) and name not in ("line", "code"):
            cells = cells.copy()
            cells[bad] = _empty(name)
        columns[name] = cells
    for finding in chunk.findings:
        columns["code"][finding.line - chunk.first_line] = list(finding.code.encode())
    return columns


def _empty(name: str) -> int:
    return _ZERO if name in _NUMBERS else _BLANK


def _fitted(cells: Grid, width: int, name: str) -> Grid:
    """Give a partner's column our width: numbers keep their end, words their beginning."""
    have = cells.shape[1]
    if have == width:
        return cells
    if have > width:
        return cells[:, have - width :] if name in _NUMBERS else cells[:, :width]
    wide = np.full((len(cells), width), _empty(name), dtype=np.uint8)
    if name in _NUMBERS:
        wide[:, width - have :] = cells
    else:
        wide[:, :have] = cells
    return wide


def _copy_text(columns: dict[str, Grid]) -> bytes:
    """Write rows for COPY: fixed-width cells, tabs between, a line feed at the end."""
    rows = len(columns["line"])
    text = np.full((rows, sum(STAGED.values()) + len(STAGED)), _TAB, dtype=np.uint8)
    at = 0
    for name, width in STAGED.items():
        text[:, at : at + width] = columns[name]
        at += width + 1
    text[:, -1] = _END
    return text.tobytes()


def _strings(cells: Grid) -> list[str]:
    values: NDArray[np.bytes_] = np.ascontiguousarray(cells).view(f"S{cells.shape[1]}").ravel()
    return [value.decode("ascii").rstrip(" ") for value in values.tolist()]
