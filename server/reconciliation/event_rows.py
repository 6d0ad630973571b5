# SPDX-License-Identifier: Apache-2.0
"""Read stored events as one array: whole columns on PostgreSQL, rows of the driver on SQLite.

Every cell of a column has one width, and PostgreSQL sends a column as one value: no loop over
rows. Bytes of an event are fetched of what speaks only.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from server.ingest.models import Batch, StoredEvent
from server.reconciliation.arrays import Array
from server.reconciliation.telling import SPOKEN_TYPES
from server.rows import among, is_postgresql, listed

NO_CARD = b"0" * 20
# What makes a tap of a stored event; without a card or PSAM zeros.
EVENT_ROW = np.dtype(
    [
        ("terminal_id", "i8"),
        ("seq", "i8"),
        ("boot", "i8"),
        ("up_ms", "i8"),
        ("utc_ms", "i8"),
        ("unc_ms", "i8"),
        ("batch_id", "i8"),
        ("received_ms", "i8"),
        ("anchor", "V8"),
        ("site", "i8"),
        ("activity", "i8"),
        ("card_asn", "S20"),
        ("card_ctr", "i8"),
        ("psam_no", "V6"),
        ("psam_seq", "i8"),
        ("flags", "i8"),
        ("type", "i8"),
        ("result", "i8"),
        ("proof", "i8"),
        ("verdict", "i8"),
    ]
)
COLUMNS = tuple(EVENT_ROW.names or ())
# How PostgreSQL sends them, and what stands where a column is empty.
_WIRE = {"card_ctr": ">i4", "flags": ">i4", "type": ">i2", "result": ">i2", "proof": ">i2",
         "verdict": ">i2"}  # fmt: skip
_SENT = {
    "card_asn": f"coalesce(card_asn, '{NO_CARD.decode()}')",
    "psam_no": r"coalesce(psam_no, '\x000000000000')",
}
_COLUMNS = ", ".join(f"array_agg({_SENT.get(name, name)})" for name in COLUMNS)
_SELECT = f"SELECT {_COLUMNS} FROM event"  # noqa: S608 - names of our own columns
_OF_CARDS = " WHERE card_asn = ANY(%s::bpchar[])"
# The terminals once more by themselves: from pairs alone the planner of a large table expects so
# many rows that it reads all of it.
_OF_BOOTS = (
    " JOIN unnest(%s::bigint[], %s::bigint[]) AS wanted (of_terminal, of_boot)"
    " ON terminal_id = of_terminal AND boot = of_boot WHERE terminal_id = ANY(%s::bigint[])"
)
_OF_TERMINALS = " WHERE terminal_id = ANY(%s::bigint[])"
# An array begins with its dimensions, flags, type, length and lower bound.
ARRAY_HEADER = 20
# Terminals whose events are asked for at once when all are.
TERMINALS_READ = 50


@dataclass(frozen=True)
class Events:
    """Events by terminal and number, and the bytes of those that speak, by their row."""

    rows: Array
    raws: dict[int, bytes]

    @classmethod
    def made_of(cls, found: Iterable[Sequence[Any]], raws: Sequence[Any] | None = None) -> Events:
        """Make them of rows in the order of `COLUMNS`; `raws` has the bytes of all, by row."""
        rows = as_array(found)
        spoken = np.flatnonzero(np.isin(rows["type"], SPOKEN_TYPES)).tolist()
        return cls(rows, {row: bytes(raws[row]) for row in spoken} if raws is not None else {})


def read_all(session: Session) -> Events:
    """Return all events."""
    if not is_postgresql(session):
        return _with_bytes(session, _selected(session, sa.true()))
    terminals = sorted(session.scalars(sa.select(Batch.terminal_id).distinct()))
    parts = [
        _columns(session, _OF_TERMINALS, listed(terminals[low : low + TERMINALS_READ]))
        for low in range(0, len(terminals), TERMINALS_READ)
    ]
    return _with_bytes(session, np.concatenate([np.zeros(0, EVENT_ROW), *parts]))


def of_cards(session: Session, asns: Collection[str]) -> Events:
    """Return the events of cards, by their serials in hex."""
    if is_postgresql(session):
        return _with_bytes(session, _columns(session, _OF_CARDS, listed(asns)))
    given = sa.func.json_each(json.dumps(list(asns))).table_valued("value")
    condition = StoredEvent.card_asn.in_(sa.select(given.c.value))
    return _with_bytes(session, _selected(session, condition))


def of_boots(session: Session, boots: Sequence[tuple[int, int]]) -> Events:
    """Return all events of boots, each named by its terminal and its number."""
    if is_postgresql(session):
        lists = [listed([boot[place] for boot in boots]) for place in (0, 1)]
        lists.append(listed(sorted({terminal for terminal, _ in boots})))
        return _with_bytes(session, _columns(session, _OF_BOOTS, *lists))
    numbers: dict[int, list[int]] = {}
    for terminal, boot in boots:
        numbers.setdefault(terminal, []).append(boot)
    parts = [
        _selected(
            session,
            sa.and_(StoredEvent.terminal_id == terminal, among(session, StoredEvent.boot, those)),
        )
        for terminal, those in sorted(numbers.items())
    ]
    return _with_bytes(session, np.concatenate([np.zeros(0, EVENT_ROW), *parts]))


def as_array(found: Iterable[Sequence[Any]]) -> Array:
    """Return rows in the order of `COLUMNS` as an array."""
    cells = list(zip(*found, strict=True))
    rows = np.zeros(len(cells[0]) if cells else 0, EVENT_ROW)
    for name, column in zip(COLUMNS, cells, strict=False):
        if name == "card_asn":
            rows[name] = [serial.encode() if serial else NO_CARD for serial in column]
        elif name in ("anchor", "psam_no"):
            width = EVENT_ROW[name].itemsize
            joined = b"".join(bytes(cell or b"").ljust(width, b"\0") for cell in column)
            rows[name] = np.frombuffer(joined, EVENT_ROW[name])
        else:
            rows[name] = column
    return rows


def _selected(session: Session, condition: sa.ColumnElement[bool]) -> Array:
    session.flush()
    columns = [getattr(StoredEvent, name) for name in COLUMNS]
    return as_array(session.connection().execute(sa.select(*columns).where(condition)).all())


def _columns(session: Session, rest: str, *values: str) -> Array:
    """Ask PostgreSQL for columns as arrays and read their bytes as they come."""
    session.flush()
    connection = session.connection()
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor(binary=True) as cursor:
            cursor.execute(_SELECT + rest, values)
            cells = [cursor.pgresult.get_value(0, place) for place in range(len(COLUMNS))]
    except psycopg.Error as error:
        if driver.broken:
            connection.invalidate(error)
        raise sa.exc.DBAPIError.instance(
            _SELECT, None, error, psycopg.Error, hide_parameters=True,
            connection_invalidated=bool(driver.broken), dialect=connection.dialect,
        ) from error  # fmt: skip
    if cells[0] is None:
        return np.zeros(0, EVENT_ROW)
    columns = [_column(name, cell) for name, cell in zip(COLUMNS, cells, strict=True)]
    rows = np.empty(len(columns[0]), EVENT_ROW)
    for name, column in zip(COLUMNS, columns, strict=True):
        rows[name] = column
    return rows


def _column(name: str, cell: bytes) -> NDArray[Any]:
    """Return the elements of an array; each has its length before it."""
    own = EVENT_ROW[name]
    wire = _WIRE.get(name, ">i8" if own.kind == "i" else own.str)
    dtype = np.dtype([("width", ">i4"), ("value", wire)])
    count, rest = divmod(len(cell) - ARRAY_HEADER, dtype.itemsize)
    elements = np.frombuffer(cell, dtype, count, ARRAY_HEADER)
    if rest or not bool((elements["width"] == dtype["value"].itemsize).all()):
        message = f"event: {name} has another width than events have"
        raise ValueError(message)
    return elements["value"]


def _with_bytes(session: Session, rows: Array) -> Events:
    """Put events in order and fetch the bytes of those that speak."""
    rows = rows[np.lexsort((rows["seq"], rows["terminal_id"]))]
    spoken = np.flatnonzero(np.isin(rows["type"], SPOKEN_TYPES))
    raws: dict[int, bytes] = {}
    for terminal in np.unique(rows["terminal_id"][spoken]).tolist():
        own: NDArray[np.int64] = spoken[rows["terminal_id"][spoken] == terminal]
        row_of = dict(zip(rows["seq"][own].tolist(), own.tolist(), strict=True))
        wanted = sa.select(StoredEvent.seq, StoredEvent.raw).where(
            StoredEvent.terminal_id == terminal, among(session, StoredEvent.seq, list(row_of))
        )
        for seq, raw in session.connection().execute(wanted):
            raws[row_of[seq]] = bytes(raw)
    return Events(rows, raws)
