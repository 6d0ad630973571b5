# SPDX-License-Identifier: Apache-2.0
"""Many rows in few statements: lists as one parameter, rows by COPY on PostgreSQL.

Both databases run the same statements but for COPY, which SQLite answers with executemany.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Base

# Fewer rows cost less as one statement than a COPY of their own.
COPY_FROM = 50
# Text that one write of a COPY holds.
COPY_ROWS = 5_000
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_SPECIAL = re.compile(r"[\\\t\n\r]")
NULL = "\\N"


def is_postgresql(session: Session) -> bool:
    """Tell whether a unit of work speaks to PostgreSQL (else SQLite)."""
    return session.get_bind().dialect.name == "postgresql"


def hold(session: Session, lock: int) -> None:
    """Take a lock of PostgreSQL until the unit of work ends; SQLite has a single writer anyway.

    Lists of one person and of twenty thousand ask for plans of their own from then on: a plan made
    for any list compares every row with every number.
    """
    if is_postgresql(session):
        planned = sa.func.set_config("plan_cache_mode", "force_custom_plan", sa.true())
        session.execute(sa.select(planned, sa.func.pg_advisory_xact_lock(lock)))


def listed(values: Iterable[object]) -> str:
    """Write numbers or plain words as PostgreSQL reads an array.

    >>> listed([1, 22])
    '{1,22}'
    """
    return f"{{{','.join(map(str, values))}}}"


class Numbers(sa.types.UserDefinedType[Collection[int]]):
    """Numbers as one parameter of PostgreSQL, as text: no other form costs less to pass on."""

    cache_ok = True
    render_bind_cast = True

    def get_col_spec(self, **_more: Any) -> str:
        """Return the type of the database."""
        return "BIGINT[]"

    def bind_processor(self, _dialect: sa.Dialect) -> Callable[[Any], str]:
        """Return what makes a parameter of a value."""
        return listed


def array_of(values: Collection[int]) -> sa.BindParameter[Any]:
    """Return numbers as one parameter for PostgreSQL."""
    return sa.bindparam(None, values, type_=Numbers())


def numbers_table(session: Session, numbers: Collection[int]) -> sa.Select[tuple[int]]:
    """Return numbers, in their order, as the rows of a table."""
    if is_postgresql(session):
        return sa.select(sa.func.unnest(array_of(numbers)).column_valued("number"))
    rows = sa.func.json_each(json.dumps(list(numbers))).table_valued("value")
    return sa.select(rows.c.value)


def pairs_table(pairs: Collection[tuple[int, int]]) -> sa.TableValuedAlias:
    """Return pairs of numbers as a table with the columns `first` and `second` on PostgreSQL."""
    columns = [array_of([pair[place] for pair in pairs]) for place in (0, 1)]
    found = sa.func.unnest(*columns).table_valued(
        sa.column("first", sa.BigInteger), sa.column("second", sa.BigInteger)
    )
    return found.render_derived("pairs")


def among(session: Session, column: Any, numbers: Collection[int]) -> sa.ColumnElement[bool]:
    """Return the condition that a column is one of many numbers, passed as one parameter."""
    if is_postgresql(session):
        return sa.type_coerce(column, sa.BigInteger) == sa.any_(array_of(numbers))
    return sa.type_coerce(column, sa.BigInteger).in_(numbers_table(session, numbers))


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
    statement = f"COPY {table.__tablename__} ({', '.join(names)}) FROM STDIN"
    ordered = list(rows)
    parts = (
        "".join(["\t".join([cell(value) for value in row]) + "\n" for row in part])
        for part in (ordered[low : low + COPY_ROWS] for low in range(0, len(ordered), COPY_ROWS))
    )
    copy_in(session, statement, parts)


def copy_in(session: Session, statement: str, parts: Iterable[str | bytes]) -> None:
    """Send what a COPY reads; what goes wrong is raised as any other statement's trouble is.

    Raises:
        sqlalchemy.exc.DBAPIError: the database refused, or is gone.
    """
    connection = session.connection()
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for part in parts:
                copy.write(part)
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
    return _WRITTEN[type(value)](value)


_WRITTEN: dict[type, Callable[[Any], str]] = {
    type(None): lambda _nothing: NULL,
    str: lambda text: text.translate(_ESCAPES) if _SPECIAL.search(text) else text,
    bool: lambda truth: "t" if truth else "f",
    bytes: lambda octets: f"\\\\x{octets.hex()}",
    int: str,
    dt.date: dt.date.isoformat,
}
