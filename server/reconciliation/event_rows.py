# SPDX-License-Identifier: Apache-2.0
"""Read stored events as one array: binary COPY on PostgreSQL, rows of the driver on SQLite.

Every column has one width, so that a COPY needs no loop over its rows. Bytes of an event are
fetched of what speaks only.
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

from server.ingest.models import StoredEvent
from server.reconciliation.arrays import Array
from server.reconciliation.telling import SPOKEN_TYPES
from server.rows import among, is_postgresql

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
_COPY = f"COPY (SELECT {', '.join(_SENT.get(name, name) for name in COLUMNS)} FROM event"  # noqa: S608
_OF_CARDS = " WHERE card_asn = ANY(%s::bpchar[])) TO STDOUT (FORMAT BINARY)"
_OF_BOOTS = (
    " JOIN unnest(%s::bigint[], %s::bigint[]) AS wanted (of_terminal, of_boot)"
    " ON terminal_id = of_terminal AND boot = of_boot) TO STDOUT (FORMAT BINARY)"
)
_ALL = ") TO STDOUT (FORMAT BINARY)"
HEADER, TRAILER = 19, 2


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
    if is_postgresql(session):
        return _with_bytes(session, _copied(session, _ALL, ()))
    return _with_bytes(session, _selected(session, sa.true()))


def of_cards(session: Session, asns: Collection[str]) -> Events:
    """Return the events of cards, by their serials in hex."""
    if is_postgresql(session):
        return _with_bytes(session, _copied(session, _OF_CARDS, (list(asns),)))
    listed = sa.func.json_each(json.dumps(list(asns))).table_valued("value")
    return _with_bytes(
        session, _selected(session, StoredEvent.card_asn.in_(sa.select(listed.c.value)))
    )


def of_boots(session: Session, boots: Sequence[tuple[int, int]]) -> Events:
    """Return all events of boots, each named by its terminal and its number."""
    if is_postgresql(session):
        lists = [list(column) for column in zip(*boots, strict=True)] if boots else [[], []]
        return _with_bytes(session, _copied(session, _OF_BOOTS, tuple(lists)))
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


def _copied(session: Session, rest: str, values: tuple[Any, ...]) -> Array:
    """Run a COPY and read its rows as records."""
    session.flush()
    connection = session.connection()
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(_COPY + rest, values or None) as copy:
            data = b"".join(copy)
    except psycopg.Error as error:
        if driver.broken:
            connection.invalidate(error)
        raise sa.exc.DBAPIError.instance(
            _COPY, None, error, psycopg.Error, hide_parameters=True,
            connection_invalidated=bool(driver.broken), dialect=connection.dialect,
        ) from error  # fmt: skip
    return _parsed(data)


def _parsed(data: bytes) -> Array:
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for name in COLUMNS:
        own = EVENT_ROW[name]
        wire = _WIRE.get(name, ">i8" if own.kind == "i" else own.str)
        fields += [(f"{name}#", ">i4"), (name, wire)]
    dtype = np.dtype(fields)
    count, rest = divmod(len(data) - HEADER - TRAILER, dtype.itemsize)
    sent = np.frombuffer(data, dtype, count, HEADER)
    rows = np.empty(count, EVENT_ROW)
    whole = rest == 0 and bool((sent["fields"] == len(COLUMNS)).all())
    for name in COLUMNS:
        whole = whole and bool((sent[f"{name}#"] == dtype[name].itemsize).all())
        rows[name] = sent[name]
    if not whole:
        message = "event: a column has another width than events have"
        raise ValueError(message)
    return rows


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
