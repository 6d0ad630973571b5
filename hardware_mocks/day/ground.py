# SPDX-License-Identifier: Apache-2.0
"""A fresh folder and a fresh database for each day; what is not a demonstration's is left alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from server import schema
from server.db import Database

# A table of this name says: made by a demonstration, may be emptied by the next one.
MARK = "yika_demonstration"
FOLDER = Path(__file__).parents[2] / ".yika" / "demo"


class NotOurs(RuntimeError):
    """The database holds something that no demonstration has made."""

    def __init__(self, shown_url: str, table: str) -> None:
        super().__init__(
            f"数据库里有别的数据，演示不会动它 / {shown_url} holds tables ({table}, …) that no "
            "demonstration has made, so it is left alone: name an empty database, or none at all"
        )
        self.table = table


def fresh_folder(folder: Path = FOLDER) -> Path:
    """Empty the work folder of the last day and return it."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "logs").mkdir(parents=True)
    return folder


def fresh_database(url: str) -> Database:
    """Bring an empty or a demonstration's database to the newest schema, with nothing in it.

    Raises:
        NotOurs: there are tables, and no mark of a demonstration.
    """
    database = Database(make_url(url))
    with database.engine.begin() as connection:
        tables = sorted(sa.inspect(connection).get_table_names())
        if tables and MARK not in tables:
            raise NotOurs(database.shown_url, tables[0])
        _drop(connection, tables)
        connection.exec_driver_sql(f"CREATE TABLE {MARK} (note VARCHAR(80))")
    schema.upgrade(database)
    return database


def _drop(connection: sa.Connection, tables: list[str]) -> None:
    """Drop the tables of the last demonstration, each with what hangs on it."""
    on_postgresql = connection.dialect.name == "postgresql"
    if not on_postgresql:
        # Without this, dropping a table first deletes its rows and meets the foreign keys.
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    for table in tables:
        name = connection.dialect.identifier_preparer.quote(table)
        connection.exec_driver_sql(f"DROP TABLE {name}" + (" CASCADE" if on_postgresql else ""))
