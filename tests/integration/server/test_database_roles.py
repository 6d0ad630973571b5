# SPDX-License-Identifier: Apache-2.0
"""The application's role: the server runs as it, and no evidence can be changed by it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from keys.store import FileKeyStore
from server.db import Database
from server.errors import ConfigError
from server.transparency.roles import append_only_tables, apply, role_sql
from tests.integration.server.rig import Rig

ROLE = "yika_app"
# What must never change; other owners may guard more.
EVIDENCE = {
    "event", "batch", "event_fork", "refused_batch", "log_record", "audit", "audit_link",
    "transfer", "entry", "correction",
}  # fmt: skip
VERBS = {
    "UPDATE": "UPDATE {table} SET {column} = {column}",
    "DELETE": "DELETE FROM {table}",
    "TRUNCATE": "TRUNCATE {table} CASCADE",
    "DROP": "DROP TABLE {table} CASCADE",
    "UNGUARD": "ALTER TABLE {table} DISABLE TRIGGER ALL",
}


@pytest.fixture
def as_role(postgres_url: str, key_store: FileKeyStore) -> Iterator[Database]:
    """A populated PostgreSQL database, opened as the application's role."""
    owner = Database(postgres_url)
    apply(owner, ROLE)
    apply(owner, ROLE)  # a second time changes nothing
    owner.close()
    opened = Database(make_url(postgres_url).set(username=ROLE))
    Rig(opened, key_store).populate()
    yield opened
    opened.close()


def guarded(database: Database) -> list[str]:
    """Return the append-only tables."""
    with database.engine.connect() as connection:
        return append_only_tables(connection)


def test_the_server_works_as_the_role(as_role: Database, key_store: FileKeyStore) -> None:
    """Uploads, forks and acts of staff are stored by a server that connects as the role."""
    rig = Rig(as_role, key_store)
    events = rig.chain(3)

    assert rig.upload(events).status == 200
    assert rig.upload(rig.chain(1, start=events[0], changes=[{"site": 9}]), 2).status == 422
    assert rig.forks() == [(2, "fork")]


def test_all_evidence_is_guarded(database: Database) -> None:
    """The tables of events, log, audit and ledger are append-only on either database."""
    assert set(guarded(database)) >= EVIDENCE


def test_the_role_changes_no_evidence(as_role: Database) -> None:
    """Each verb on each append-only table is refused for want of the right, before any trigger."""
    for table in guarded(as_role):
        column = sa.inspect(as_role.engine).get_columns(table)[0]["name"]
        for verb, pattern in VERBS.items():
            statement = pattern.format(table=table, column=column)
            with pytest.raises(sa.exc.ProgrammingError) as refused, as_role.writing() as session:
                session.execute(sa.text(statement))
            assert getattr(refused.value.orig, "sqlstate", "") == "42501", (table, verb)


def test_the_role_cannot_make_itself_more(as_role: Database) -> None:
    """It can neither write the schema's version, nor create tables, nor change its session."""
    for statement in (
        "UPDATE alembic_version SET version_num = '0001'",
        "CREATE TABLE public.mine (a int)",
        "SET session_replication_role = replica",
        "CREATE ROLE other SUPERUSER",
    ):
        with pytest.raises(sa.exc.ProgrammingError), as_role.writing() as session:
            session.execute(sa.text(statement))


@pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
def test_triggers_guard_on_sqlite(sqlite_database: Database, verb: str) -> None:
    """Where there are no roles, each append-only table has its trigger against either verb."""
    query = sa.text(
        "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table "
        "AND sql LIKE :verb"
    )
    tables = guarded(sqlite_database)
    with sqlite_database.reading() as session:
        for table in tables:
            values = {"table": table, "verb": f"%BEFORE {verb} ON%RAISE(ABORT%"}
            assert session.scalar(query, values) == 1, table


def test_a_name_that_is_none_is_refused(postgres_url: str) -> None:
    """A role's name goes into SQL, so it is letters, digits and underscores only."""
    database = Database(postgres_url)
    with database.engine.connect() as connection, pytest.raises(ConfigError):
        role_sql(connection, "x; DROP TABLE event")
    database.close()
