# SPDX-License-Identifier: Apache-2.0
"""A demonstration begins on clean ground and touches nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from hardware_mocks.day.ground import MARK, AlreadyPlaying, NotOurs, fresh_database, fresh_folder
from server import schema
from server.db import Database
from tests.integration.postgres import PostgresCluster


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: PostgresCluster
) -> str:
    """URL of a database without any table, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'demo.db'}"
    return postgres_cluster.create_database(f"demo_{tmp_path.name.lower().replace('-', '_')}")


def _tables(database: Database) -> list[str]:
    return sa.inspect(database.engine).get_table_names()


def test_empty_database_is_made_ready_and_marked(empty_url: str) -> None:
    """An empty database gets the newest schema and the mark of a demonstration."""
    database = fresh_database(empty_url)

    assert schema.current_revision(database) == schema.newest_revision()
    assert MARK in _tables(database)
    database.close()


def test_database_of_a_demonstration_is_emptied(empty_url: str) -> None:
    """The next day finds nothing of the last one, though evidence refuses to be deleted."""
    first = fresh_database(empty_url)
    with first.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO audit (at_ms, actor, action, subject, detail)"
            " VALUES (1, 'a', 'b', 'c', '{}')"
        )
    first.close()

    second = fresh_database(empty_url)

    with second.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM audit").scalar() == 0
    second.close()


def test_foreign_database_is_refused_and_left_alone(database_url: str) -> None:
    """Tables without the mark belong to somebody: refused by name, nothing added or dropped."""
    before = Database(database_url)
    tables = _tables(before)
    before.close()

    with pytest.raises(NotOurs, match="left alone"):
        fresh_database(database_url)

    after = Database(database_url)
    assert _tables(after) == tables
    after.close()


def test_two_days_never_share_a_folder(tmp_path: Path) -> None:
    """While one day is played, a second one in its folder is refused by name."""
    with fresh_folder(tmp_path / "demo") as folder:
        (folder / "clock").write_bytes(bytes(8))
        with pytest.raises(AlreadyPlaying, match="another demonstration"):
            fresh_folder(tmp_path / "demo").__enter__()

        assert (folder / "clock").exists()


def test_folder_of_the_last_day_is_emptied(tmp_path: Path) -> None:
    """A day begins without the files of the one before."""
    with fresh_folder(tmp_path / "demo") as folder:
        (folder / "clock").write_bytes(bytes(8))
    with fresh_folder(tmp_path / "demo") as folder:
        assert [path.name for path in folder.iterdir()] == ["logs"]
