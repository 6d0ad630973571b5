# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the server tests."""

from __future__ import annotations

import pytest

from keys.store import FileKeyStore
from server.db import Database
from tests.factories import make_store
from tests.integration.server.rig import Rig


@pytest.fixture(scope="session")
def key_store(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """A key store with version 1 of every key."""
    return make_store(tmp_path_factory.mktemp("keys") / "keys.yks")


@pytest.fixture
def rig(database: Database, key_store: FileKeyStore) -> Rig:
    """A server ready for uploads, once on SQLite and once on PostgreSQL."""
    return Rig(database, key_store).populate()


@pytest.fixture
def sqlite_rig(sqlite_database: Database, key_store: FileKeyStore) -> Rig:
    """A server ready for uploads on SQLite."""
    return Rig(sqlite_database, key_store).populate()
