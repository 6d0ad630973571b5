# SPDX-License-Identifier: Apache-2.0
"""Bring a database to the newest schema, and tell which one it has.

Migrations run forward only: evidence is never taken back. Before one, back up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from server.db import Database

MIGRATIONS = Path(__file__).parent / "migrations"
# Tables that grow with every tap, and the column that says which part of a nation a row is of:
# evidence belongs to its terminal, what is derived to its person.
LARGE_TABLES = {
    "event": "terminal_id",
    "batch": "terminal_id",
    "event_fork": "terminal_id",
    "refused_batch": "terminal_id",
    "stored_range": "terminal_id",
    "boot_clock": "terminal_id",
    "service_interval": "person",
    "recon_exception": "person",
    "training_record": "person",
    "correction": "person",
    "notification": "person",
    "transfer": "person",
    "entry": "account_id",
    "account": "id",
    "volunteer": "id",
    "card": "volunteer_id",
}


def upgrade(database: Database, revision: str = "head") -> None:
    """Run the migrations up to a revision inside one transaction."""
    config = _config()
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@dataclass(frozen=True, slots=True)
class Step:
    """A migration that a database has not had yet, in one line."""

    revision: str
    summary: str


def plan(database: Database) -> list[Step]:
    """Return the migrations that `upgrade` would run, in their order; nothing is changed."""
    scripts = ScriptDirectory.from_config(_config())
    before = current_revision(database)
    found = scripts.iterate_revisions("head", before or "base")
    return [
        Step(script.revision, (script.doc or "").strip().splitlines()[0])
        for script in reversed(list(found))
    ]


def newest_revision() -> str:
    """Return the one head revision that this program brings."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def current_revision(database: Database) -> str | None:
    """Return the revision of the database, None when it was never initialised."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _config() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config
