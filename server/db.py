# SPDX-License-Identifier: Apache-2.0
"""Database engine, units of work and append-only triggers; usable without Flask.

SQLite and PostgreSQL only. Every writing unit of work on SQLite begins with BEGIN IMMEDIATE, so
that two writers queue at the start and never fail half-way with a stale snapshot.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Session, mapped_column

# A writer waits this long for another writer before the caller hears "busy": longer than the
# slowest batch, shorter than a terminal's HTTP timeout.
BUSY_TIMEOUT_MS = 5_000
# Enough for the request threads of one process and its worker thread.
POOL_SIZE = 12

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# SQLite gives rising row numbers to INTEGER primary keys only.
BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

Id = Annotated[int, mapped_column(BigInt, primary_key=True)]
Millis = Annotated[int, mapped_column(sa.BigInteger)]


class Base(DeclarativeBase):
    """The one declarative base; every table of the server hangs on its metadata."""

    metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)


class Database:
    """One engine and the two kinds of units of work on it."""

    def __init__(self, url: str | URL) -> None:
        self.url = make_url(url)
        self.engine = create_engine(self.url)
        self._reader = self.engine.execution_options(yika_begin="DEFERRED")
        # SQLite's own way to wait for a writer is to sleep and try again; threads of one process
        # wait better for each other here.
        self._turn = nullcontext() if self.is_postgresql else _Turn()

    @property
    def is_postgresql(self) -> bool:
        """Tell whether the engine speaks to PostgreSQL (else SQLite)."""
        return self.engine.dialect.name == "postgresql"

    @property
    def shown_url(self) -> str:
        """Return the URL without its password, for people and logs."""
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a unit of work that commits at its end and rolls back on any exception."""
        with self._turn, Session(self.engine) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a unit of work for reading; whatever it wrote is rolled back."""
        with Session(self._reader) as session:
            try:
                yield session
            finally:
                session.rollback()

    def close(self) -> None:
        """Give every pooled connection back to the database."""
        self.engine.dispose()


class _Turn:
    """A lock that gives up like the database does, when a writer takes too long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=BUSY_TIMEOUT_MS / 1000):
            message = "another writer of this process did not finish in time"
            raise sa.exc.TimeoutError(message)

    def __exit__(self, *_exc: object) -> None:
        self._lock.release()


def create_engine(url: URL) -> Engine:
    """Create the engine for a SQLite or PostgreSQL URL with the pragmas the server relies on.

    Raises:
        ValueError: for any other database.
    """
    if url.get_backend_name() == "sqlite":
        if url.database and not url.database.startswith("file:"):
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(
            url, pool_size=POOL_SIZE, poolclass=sa.QueuePool, hide_parameters=True
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if url.get_backend_name() == "postgresql":
        options = f"-c lock_timeout={BUSY_TIMEOUT_MS}"
        return sa.create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_size=POOL_SIZE,
            pool_pre_ping=True,
            hide_parameters=True,  # values never reach a log with an exception
            connect_args={"options": options},
        )
    message = f"unsupported database {url.get_backend_name()!r}: use sqlite or postgresql+psycopg"
    raise ValueError(message)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own BEGIN is switched off: it would start deferred and upgrade too late.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",  # an answered upload survives a power cut, not only a crash
        "foreign_keys = ON",
        "recursive_triggers = ON",  # INSERT OR REPLACE must meet the append-only triggers
        "secure_delete = ON",  # an erased person's key must not linger in a free page
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    mode = connection.get_execution_options().get("yika_begin", "IMMEDIATE")
    connection.exec_driver_sql(f"BEGIN {mode}")


def append_only_ddl(table: str, dialect: str) -> list[str]:
    """Return the statements that make a database itself refuse UPDATE and DELETE on a table.

    >>> append_only_ddl("audit", "sqlite")[0].split(" BEGIN ")[0]
    'CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit'
    """
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    function = (
        "CREATE OR REPLACE FUNCTION yika_refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME "
        "USING ERRCODE = 'restrict_violation'; END $$"
    )
    rows = (
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION yika_refuse_change()"
    )
    truncate = (
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION yika_refuse_change()"
    )
    return [function, rows, truncate]


def to_millis(instant: dt.datetime) -> int:
    """Return the milliseconds since 1970-01-01 UTC of an aware instant.

    >>> to_millis(dt.datetime(2026, 11, 21, 1, 2, 3, 4000, tzinfo=dt.UTC))
    1795222923004
    """
    if instant.tzinfo is None:
        message = "a naive instant has no place on the time line"
        raise ValueError(message)
    return round(instant.timestamp() * 1000)


def from_millis(millis: int) -> dt.datetime:
    """Return the aware UTC instant of milliseconds since 1970.

    >>> from_millis(1795222923004).isoformat()
    '2026-11-21T01:02:03.004000+00:00'
    """
    return dt.datetime.fromtimestamp(millis / 1000, tz=dt.UTC)


def insert_new(session: Session, table: type[Base], **values: Any) -> bool:
    """Insert a row unless one with the same key is there already; tell whether it is new."""
    dialect = session.get_bind().dialect.name
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    row = insert(table).values(**values).on_conflict_do_nothing()
    # Asked for in words: a driver that has no count of an insert's rows says -1.
    return session.execute(row.returning(sa.literal(1))).first() is not None


def one_of(
    session: Session,
    column: sa.ColumnElement[str] | InstrumentedAttribute[str],
    values: Sequence[str],
) -> sa.ColumnElement[bool]:
    """Return the condition that a text column is one of many values, passed as one parameter.

    An IN list of hundreds of parameters costs more to write down than to look up. PostgreSQL
    compares CHAR with VARCHAR as CHAR, by the column's index, but with TEXT row by row.
    """
    if session.get_bind().dialect.name == "postgresql":
        listed = sa.bindparam(None, list(values), type_=postgresql.ARRAY(sa.String))
        return sa.type_coerce(column, sa.String) == sa.any_(listed)
    rows = sa.func.json_each(json.dumps(list(values))).table_valued("value")
    return sa.type_coerce(column, sa.Text).in_(sa.select(rows.c.value))
