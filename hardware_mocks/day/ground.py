# SPDX-License-Identifier: Apache-2.0
"""A fresh folder and a fresh database for each day; what is not a demonstration's is left alone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from server import schema
from server.db import Database

# A table of this name says: made by a demonstration, may be emptied by the next one.
MARK = "yika_demonstration"
FOLDER = Path(__file__).parents[2] / ".yika" / "demo"
FOLDER_VARIABLE = "YIKA_DEMO_DIR"


_OUR_FUNCTIONS = sa.text(
    "SELECT CAST(CAST(oid AS regprocedure) AS text) FROM pg_proc"
    " WHERE pronamespace = CAST(current_schema() AS regnamespace)"
    " AND starts_with(CAST(proname AS text), 'yika_')"
)


class NotOurs(RuntimeError):
    """The database holds something that no demonstration has made."""

    def __init__(self, shown_url: str, table: str) -> None:
        super().__init__(
            f"数据库里有别的数据，演示不会动它 / {shown_url} holds tables ({table}, …) that no "
            "demonstration has made, so it is left alone: name an empty database, or none at all"
        )
        self.table = table


class AlreadyPlaying(RuntimeError):
    """Another demonstration uses the folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"另一个演示正在运行 / another demonstration is running in {folder}: "
            f"end it with Ctrl-C, or give this one its own folder in {FOLDER_VARIABLE}"
        )


@contextlib.contextmanager
def fresh_folder(folder: Path | None = None) -> Iterator[Path]:
    """Empty the work folder of the last day and hold it until the block is left.

    Raises:
        AlreadyPlaying: a demonstration that is still running holds it.
    """
    folder = folder or Path(os.environ.get(FOLDER_VARIABLE, FOLDER)).resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(folder.name + ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise AlreadyPlaying(folder) from exc
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "logs").mkdir(parents=True)
        yield folder


def fresh_database(url: str) -> Database:
    """Bring an empty or a demonstration's database to the newest schema, with nothing in it.

    Raises:
        NotOurs: there are tables, and no mark of a demonstration.
    """
    database = Database(make_url(url))
    try:
        _clear(database)
        schema.upgrade(database)
    except BaseException:
        database.close()
        raise
    return database


def _clear(database: Database) -> None:
    with database.engine.begin() as connection:
        tables = sorted(sa.inspect(connection).get_table_names())
        if tables and MARK not in tables:
            raise NotOurs(database.shown_url, tables[0])
        _drop(connection, tables)
        connection.exec_driver_sql(f"CREATE TABLE {MARK} (note VARCHAR(80))")


def _drop(connection: sa.Connection, tables: list[str]) -> None:
    """Drop the tables of the last demonstration, with the triggers and functions on them."""
    quote = connection.dialect.identifier_preparer.quote
    if connection.dialect.name != "postgresql":
        # Without this, dropping a table first deletes its rows and meets the foreign keys.
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        for table in tables:
            connection.exec_driver_sql(f"DROP TABLE {quote(table)}")
        return
    for table in tables:
        connection.exec_driver_sql(f"DROP TABLE {quote(table)} CASCADE")
    connection.exec_driver_sql("DROP SCHEMA IF EXISTS months CASCADE")  # partitions of a month each
    for function in connection.scalars(_OUR_FUNCTIONS).all():
        connection.exec_driver_sql(f"DROP FUNCTION {function} CASCADE")
