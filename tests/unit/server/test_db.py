# SPDX-License-Identifier: Apache-2.0
"""Units of work and instants."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from server.db import Database, append_only_ddl, from_millis, to_millis


def test_instants_survive_the_round_trip() -> None:
    """Milliseconds give back the same instant."""
    instant = dt.datetime(2026, 11, 21, 9, 0, 0, 123_000, tzinfo=dt.UTC)

    assert from_millis(to_millis(instant)) == instant


def test_naive_instant_is_refused() -> None:
    """An instant without a zone is no instant."""
    with pytest.raises(ValueError, match="naive"):
        to_millis(dt.datetime(2026, 11, 21))  # noqa: DTZ001


def test_other_databases_are_refused() -> None:
    """Only SQLite and PostgreSQL are taken, and the message says so."""
    with pytest.raises(ValueError, match="sqlite or postgresql"):
        Database("mysql://localhost/yika")


def test_an_answered_upload_survives_a_power_cut_on_sqlite(tmp_path: Path) -> None:
    """Every commit is flushed to the disk, and what is deleted is overwritten."""
    database = Database(f"sqlite:///{tmp_path / 'yika.db'}")
    with database.engine.connect() as connection:
        asked = ("synchronous", "secure_delete", "foreign_keys", "recursive_triggers")
        told = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
    database.close()

    assert told == [2, 1, 1, 1]  # 2 is FULL
    assert mode == "wal"


def test_password_does_not_show() -> None:
    """The URL for people has no password."""
    database = Database("postgresql+psycopg://yika:hush@localhost/yika")

    assert "hush" not in database.shown_url


def test_append_only_covers_every_way_to_change_on_postgresql() -> None:
    """UPDATE, DELETE and TRUNCATE are refused by triggers."""
    text = " ".join(append_only_ddl("event", "postgresql"))

    assert "BEFORE UPDATE OR DELETE ON event" in text
    assert "BEFORE TRUNCATE ON event" in text
