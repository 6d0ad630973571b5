# SPDX-License-Identifier: Apache-2.0
"""A role of the database that the server runs as: it adds evidence and can never change it.

Which tables are append-only the database tells itself, by the triggers that the migrations made.
A role that does not own the tables cannot drop the triggers; rights it does not have are refused
before any trigger is asked.
"""

from __future__ import annotations

import re

import click
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from server.console import Console, example, json_option, show
from server.db import Database
from server.errors import ConfigError

ROLE_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)
# What the schema itself is kept with; only the owner, who migrates, writes it.
KEPT_BY_OWNER = ("alembic_version",)
_GUARD = {"postgresql": "_append_only", "sqlite": "_no_delete"}


def append_only_tables(connection: Connection) -> list[str]:
    """Return the tables whose triggers refuse UPDATE and DELETE."""
    dialect = connection.dialect.name
    if dialect == "postgresql":
        query = (
            "SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
            "WHERE NOT tgisinternal AND tgenabled <> 'D' "
            "AND relnamespace = 'public'::regnamespace"
        )
    else:
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    names = connection.scalars(sa.text(query))
    guard = _GUARD[dialect]
    return sorted(name.removesuffix(guard) for name in names if name.endswith(guard))


def role_sql(connection: Connection, role: str) -> list[str]:
    """Return the statements that make the role what it should be; they may be run again.

    Raises:
        ConfigError: no name for a role.
    """
    if not ROLE_NAME.fullmatch(role):
        raise ConfigError(f"role {role!r}: lower-case letters, digits and underscores only")
    quote = connection.dialect.identifier_preparer.quote
    name = quote(role)
    guarded = append_only_tables(connection)
    tables = sa.inspect(connection).get_table_names(schema="public")
    free = sorted(set(tables) - set(guarded) - set(KEPT_BY_OWNER))
    listed = ", ".join(quote(table) for table in guarded)
    missing = f"NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}')"
    return [
        f"DO $$ BEGIN IF {missing} THEN CREATE ROLE {name} LOGIN; END IF; END $$",
        f"ALTER ROLE {name} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {name}",
        f"GRANT USAGE ON SCHEMA public TO {name}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}",
        f"GRANT INSERT ON {listed} TO {name}",
        *(f"GRANT INSERT, UPDATE, DELETE ON {quote(table)} TO {name}" for table in free),
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {name}",
    ]


def apply(database: Database, role: str) -> list[str]:
    """Make the role, or bring its rights up to date; return the statements."""
    with database.engine.begin() as connection:
        statements = role_sql(connection, role)
        for statement in statements:
            connection.execute(sa.text(statement))
    return statements


@click.command(
    "roles",
    epilog=example("yika-server database roles yika", "yika-server database roles yika --apply"),
)
@click.argument("role", default="yika")
@click.option("--apply", "run", is_flag=True, help="run it, as the owner of the tables")
@json_option
@click.pass_obj
def roles(console: Console, role: str, run: bool, as_json: bool) -> None:
    """应用角色 Print (or run) what makes a role that can neither change nor delete evidence.

    Connect as the owner of the tables here, and let the server connect as the role. Run it again
    after every init that brought new tables.
    """
    with console.database() as database:
        with database.engine.connect() as connection:
            guarded = append_only_tables(connection)
        sql: list[str] = []
        if database.is_postgresql:
            if run:
                sql = apply(database, role)
            else:
                with database.engine.connect() as connection:
                    sql = role_sql(connection, role)
            text = "\n".join(f"{statement};" for statement in sql)
        else:
            text = "SQLite 无角色，由触发器保护 SQLite has no roles; triggers guard: " + ", ".join(
                guarded
            )
    document = {"append_only": guarded, "sql": sql, "applied": run and bool(sql)}
    show(document, text, as_json=as_json)
