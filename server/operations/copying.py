# SPDX-License-Identifier: Apache-2.0
"""Copy a database whole, while it serves, and bring a copy back into an empty one.

SQLite by VACUUM INTO, PostgreSQL by pg_dump of an exported snapshot and pg_restore: each copy is
one moment of the database, and its figures are those of the same moment.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.orm import Session

from server.db import Database
from server.errors import Refused
from server.operations.figures import Figures, figures

SQLITE_COPY, POSTGRES_COPY = "database.sqlite", "database.dump"
# A nation's database takes hours; what takes longer hangs.
TOOL_TIMEOUT_S = 12 * 3600
POSTGRES_HOMES = "/usr/lib/postgresql/*/bin"
ERROR_SHOWN = 400  # characters of what a tool said


def copy_out(database: Database, folder: Path) -> tuple[str, Figures]:
    """Write a copy into a folder; return its file name and the figures of its moment."""
    if database.is_postgresql:
        return POSTGRES_COPY, _dump(database, folder / POSTGRES_COPY)
    return SQLITE_COPY, _vacuum(database, folder / SQLITE_COPY)


def copy_in(copy: Path, database: Database) -> None:
    """Fill an empty database from a copy.

    Raises:
        Refused: the copy is of another kind of database, this one is not empty, or a tool fails.
    """
    wanted = POSTGRES_COPY if database.is_postgresql else SQLITE_COPY
    if copy.name != wanted:
        raise Refused(
            "other-database",
            f"备份是 {copy.name}，目标需要 {wanted}",
            f"the backup holds {copy.name}, this database takes {wanted}: same kind only",
        )
    if sa.inspect(database.engine).get_table_names():
        raise Refused(
            "not-empty",
            "目标数据库不是空的，未作任何改动",
            f"{database.shown_url} is not empty; nothing was changed: restore into a new one",
        )
    if database.is_postgresql:
        _tool(
            "pg_restore", database.url,
            "--no-owner", "--exit-on-error", "--single-transaction", "-d", _dsn(database.url), copy,
        )  # fmt: skip
    else:
        _refill(copy, database)


def _vacuum(database: Database, target: Path) -> Figures:
    place = database.url.database
    source = sqlite3.connect(f"file:{place}?mode=ro", uri=True, isolation_level=None)
    try:
        source.execute("VACUUM INTO ?", (str(target),))
    finally:
        source.close()
    copied = Database(URL.create("sqlite", database=str(target)))
    try:
        with copied.reading() as session:
            found = figures(session)
    finally:
        copied.close()
    _settle(target)
    return found


def _settle(copy: Path) -> None:
    """Leave one file: opening the copy turned its write-ahead log on."""
    plain = sqlite3.connect(copy, isolation_level=None)
    try:
        plain.execute("PRAGMA journal_mode = DELETE")
    finally:
        plain.close()


def _refill(copy: Path, database: Database) -> None:
    source = sqlite3.connect(f"file:{copy}?mode=ro", uri=True)
    target = sqlite3.connect(str(database.url.database))
    try:
        source.backup(target)
        target.execute("PRAGMA journal_mode = WAL")
    finally:
        source.close()
        target.close()


def _dump(database: Database, target: Path) -> Figures:
    reader = database.engine.execution_options(isolation_level="REPEATABLE READ")
    with reader.connect() as connection, connection.begin():
        snapshot = str(connection.scalar(sa.text("SELECT pg_export_snapshot()")))
        with Session(connection) as session:
            found = figures(session)
        _tool(
            "pg_dump", database.url, "--format=custom", "--no-owner", "--no-privileges",
            f"--snapshot={snapshot}", "-f", target, "-d", _dsn(database.url),
        )  # fmt: skip
    return found


def _dsn(url: URL) -> str:
    """Write a libpq connection string; the password goes by the environment, not the command line.

    >>> _dsn(URL.create("postgresql+psycopg", "li", "secret", "db", 5433, "yika"))
    "host='db' port='5433' user='li' dbname='yika'"
    """
    values = {
        "host": url.query.get("host") or url.host,
        "port": url.port,
        "user": url.username,
        "dbname": url.database,
    }
    return " ".join(f"{name}='{value}'" for name, value in values.items() if value)


def _tool(name: str, url: URL, *arguments: object) -> None:
    environment = dict(os.environ)
    if url.password:
        environment["PGPASSWORD"] = str(url.password)
    done = subprocess.run(  # noqa: S603 - a tool of PostgreSQL, found by name, without a shell
        [_find(name), *map(str, arguments)],
        env=environment, capture_output=True, text=True, check=False, timeout=TOOL_TIMEOUT_S,
    )  # fmt: skip
    if done.returncode != 0:
        said = done.stderr.strip()[-ERROR_SHOWN:]
        raise Refused("tool-failed", f"{name} 失败：{said}", f"{name} failed: {said}")


def _find(name: str) -> str:
    """Find a PostgreSQL tool on the path or where Debian puts it, the newest first."""
    found = shutil.which(name)
    if found:
        return found
    homes = sorted(Path("/").glob(POSTGRES_HOMES.lstrip("/")), reverse=True)
    for home in homes:
        if (home / name).exists():
            return str(home / name)
    raise Refused(
        "no-tool", f"没有 {name}：apt-get install postgresql-client",
        f"{name} is not there: apt-get install postgresql-client",
    )  # fmt: skip
