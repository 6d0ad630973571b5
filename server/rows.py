# SPDX-License-Identifier: Apache-2.0
"""Many rows in few statements: lists as one parameter, rows by COPY on PostgreSQL.

Both databases run the same statements but for COPY, which SQLite answers with executemany.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from server.db import Base

# Fewer rows cost less as one statement than a COPY of their own.
COPY_FROM = 50
# Text that one write of a COPY holds.
COPY_ROWS = 5_000
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
NULL = "\\N"


def is_postgresql(session: Session) -> bool:
    """Tell whether a unit of work speaks to PostgreSQL (else SQLite)."""
    return session.get_bind().dialect.name == "postgresql"


def numbers_param(session: Session, name: str) -> sa.Select[tuple[int]]:
    """Return the numbers of a named parameter as a table; `as_param` makes the value of it."""
    if is_postgresql(session):
        listed = sa.bindparam(name, type_=postgresql.ARRAY(sa.BigInteger))
        return sa.select(sa.func.unnest(listed).column_valued(f"{name}_value"))
    rows = sa.func.json_each(sa.bindparam(name, type_=sa.Text)).table_valued("value")
    return sa.select(rows.c.value)


def as_param(session: Session, numbers: Collection[int]) -> Any:
    """Return numbers, in their order, as the value of one parameter."""
    return list(numbers) if is_postgresql(session) else json.dumps(list(numbers))


def among(session: Session, column: Any, numbers: Collection[int]) -> sa.ColumnElement[bool]:
    """Return the condition that a column is one of many numbers, passed as one parameter."""
    if is_postgresql(session):
        listed = sa.bindparam(None, list(numbers), type_=postgresql.ARRAY(sa.BigInteger))
        return sa.type_coerce(column, sa.BigInteger) == sa.any_(listed)
    rows = sa.func.json_each(json.dumps(list(numbers))).table_valued("value")
    return sa.type_coerce(column, sa.BigInteger).in_(sa.select(rows.c.value))


def insert_rows(
    session: Session, table: type[Base], names: Sequence[str], rows: Collection[Sequence[Any]]
) -> None:
    """Insert rows with these columns; what is not named gets its default from the database."""
    session.flush()
    if is_postgresql(session) and len(rows) >= COPY_FROM:
        _copy(session, table, names, rows)
    elif rows:
        values = [dict(zip(names, row, strict=True)) for row in rows]
        session.connection().execute(sa.insert(table), values)


def _copy(
    session: Session, table: type[Base], names: Sequence[str], rows: Collection[Sequence[Any]]
) -> None:
    """COPY rows in; what goes wrong is raised as any other statement's trouble is."""
    connection = session.connection()
    driver: Any = connection.connection.driver_connection
    statement = f"COPY {table.__tablename__} ({', '.join(names)}) FROM STDIN"
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            lines: list[str] = []
            for row in rows:
                lines.append("\t".join(map(cell, row)))
                if len(lines) == COPY_ROWS:
                    copy.write("\n".join(lines) + "\n")
                    lines = []
            if lines:
                copy.write("\n".join(lines) + "\n")
    except psycopg.Error as error:
        if driver.broken:
            connection.invalidate(error)
        raise sa.exc.DBAPIError.instance(
            statement, None, error, psycopg.Error, hide_parameters=True,
            connection_invalidated=bool(driver.broken), dialect=connection.dialect,
        ) from error  # fmt: skip


def cell(value: Any) -> str:
    r"""Write a value as COPY reads it.

    >>> [cell(value) for value in (None, 7, "a\tb", b"\x01", True)]
    ['\\N', '7', 'a\\tb', '\\\\x01', 't']
    """
    if value is None:
        return NULL
    if isinstance(value, str):
        return value if value.isalnum() else value.translate(_ESCAPES)
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, bytes):
        return f"\\\\x{value.hex()}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    message = f"COPY of {type(value).__name__}"
    raise TypeError(message)
