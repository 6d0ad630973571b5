# SPDX-License-Identifier: Apache-2.0
"""The migrations, the models and the triggers agree, on SQLite and on PostgreSQL."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

import server
from server.db import Base, Database
from server.schema import current_revision, newest_revision, upgrade


def load_all_models() -> None:
    """Import every models module of the server, so that the metadata is whole."""
    importlib.import_module("server.evidence")
    for module in pkgutil.walk_packages(server.__path__, "server."):
        if module.name.endswith(".models"):
            importlib.import_module(module.name)


def test_migrated_database_is_at_the_newest_revision(database: Database) -> None:
    """Running all migrations leaves the database at the one head."""
    assert current_revision(database) == newest_revision()


def test_migrations_and_models_describe_the_same_schema(database: Database) -> None:
    """Alembic finds nothing to add or remove between the models and a migrated database."""
    load_all_models()
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Base.metadata)

    assert differences == []


@pytest.mark.parametrize("verb", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"])
def test_audit_lines_cannot_be_changed(database: Database, verb: str) -> None:
    """The database itself refuses UPDATE and DELETE on the audit trail."""
    with database.writing() as session:
        session.execute(
            sa.text(
                "INSERT INTO audit (at_ms, actor, action, subject, detail) "
                "VALUES (1, 'a', 'b', 'c', '{}')"
            )
        )

    with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.writing() as session:
        session.execute(sa.text(verb))


def test_migrating_twice_changes_nothing(database: Database) -> None:
    """A second run of the migrations finds nothing to do."""
    upgrade(database)

    assert current_revision(database) == newest_revision()
