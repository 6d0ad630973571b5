# SPDX-License-Identifier: Apache-2.0
"""A throw-away PostgreSQL cluster on a unix socket, without a TCP port.

Parallel clusters do not collide. Flushing to disk is off unless asked for: never for real data.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
from psycopg import sql

BINARIES = Path("/usr/lib/postgresql/15/bin")
DURABLE = "-c listen_addresses='' -c shared_buffers=64MB -c max_connections=60"
SETTINGS = f"{DURABLE} -F -c synchronous_commit=off -c full_page_writes=off"


class PostgresCluster:
    """One cluster: `start`, any number of databases, `stop`."""

    def __init__(self, settings: str = SETTINGS) -> None:
        self.settings = settings
        if not (BINARIES / "initdb").exists():
            message = f"{BINARIES}/initdb is missing: apt-get install postgresql-15"
            raise RuntimeError(message)
        # Short, because the path of a unix socket may not exceed 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="yika-pg-", dir="/tmp"))
        # initdb and pg_ctl refuse to run as root.
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(self.folder, self.user)

    def start(self) -> None:
        """Initialise the cluster and wait until it answers."""
        data = self.folder / "data"
        self._run(
            "initdb", "-D", data, "-A", "trust", "-N", "-E", "UTF8", "--locale=C.UTF-8",
            "-U", "postgres",
        )  # fmt: skip
        self.begin()

    def begin(self, verb: str = "start") -> None:
        """Start on a data folder that is there, and wait until the cluster answers."""
        options = f"-k {self.folder} {self.settings}"
        self._run(
            "pg_ctl", "-D", self.folder / "data", "-w", "-s", "-m", "fast",
            "-l", self.folder / "log", "-o", options, verb,
        )  # fmt: skip

    def restart(self) -> None:
        """Stop and start, so that settings that need it count."""
        self.begin("restart")

    def run_sql(self, statement: str) -> None:
        """Run one statement as the owner of the cluster."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL(statement))  # type: ignore[arg-type]

    def stop(self) -> None:
        """Stop the cluster and remove its files."""
        self._run("pg_ctl", "-D", self.folder / "data", "-s", "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def create_database(self, name: str, template: str = "template0") -> str:
        """Create a database as a copy of a template and return its URL."""
        self._sql(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*map(sql.Identifier, (name, template)))
        )
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, ending whoever is still connected."""
        self._sql(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def dsn(self, name: str) -> str:
        """Return the libpq connection string of one database of the cluster."""
        return f"host={self.folder} user=postgres dbname={name}"

    def url(self, name: str = "postgres") -> str:
        """Return the SQLAlchemy URL of one database of the cluster."""
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def _sql(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(BINARIES / program), *map(str, arguments)]
        done = subprocess.run(
            command, cwd=self.folder, user=self.user, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            message = f"{program} ended {done.returncode}: {done.stderr.strip()[-500:]}"
            raise RuntimeError(message)


class Wiper:
    """Bring one migrated database back to how it was, much faster than making a new one.

    Deleting meets the append-only triggers, so it is done as a replica would, without triggers.
    One connection is kept and asked once: a new one would look up every table again.
    """

    def __init__(self, dsn: str) -> None:
        # What is sent holds many statements, so it can be no prepared one.
        self.connection = psycopg.connect(dsn, autocommit=True, prepare_threshold=None)
        # Partitions are emptied through the table they belong to.
        listed = self.connection.execute(
            "SELECT nspname, relname FROM pg_class "
            "JOIN pg_namespace ON pg_namespace.oid = relnamespace "
            "WHERE nspname IN ('public', 'months') AND relkind IN ('r', 'p') "
            "AND NOT relispartition AND relname <> 'alembic_version'"
        ).fetchall()
        tables = [sql.Identifier(str(row[0]), str(row[1])) for row in listed]
        empty = [sql.SQL("DELETE FROM {}").format(table) for table in tables]
        fill = [row for table in tables for row in self._seeds(table)]
        self.statement = sql.SQL("DO {}").format(
            sql.Literal(
                sql.SQL("BEGIN {}; END")
                .format(sql.SQL("; ").join([*empty, *fill]))
                .as_string(self.connection)
            )
        )

    def wipe(self) -> None:
        """Empty every table, put the first rows back, let every sequence begin again."""
        self.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with self.connection.transaction():
            self.connection.execute("SET LOCAL session_replication_role = replica")
            self.connection.execute(self.statement)
            self.connection.execute(
                "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'"
            )

    def close(self) -> None:
        """Give the connection back."""
        self.connection.close()

    def _seeds(self, table: sql.Identifier) -> list[sql.Composed]:
        """Return statements that put a table's first rows back."""
        rows = self.connection.execute(sql.SQL("SELECT * FROM {}").format(table)).fetchall()
        insert = sql.SQL("INSERT INTO {} VALUES ({})")
        return [insert.format(table, sql.SQL(", ").join(map(sql.Literal, row))) for row in rows]
