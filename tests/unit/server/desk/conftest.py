# SPDX-License-Identifier: Apache-2.0
"""The office on SQLite; the key store is made once."""

from __future__ import annotations

import pytest

from keys.store import FileKeyStore
from server.db import Database
from tests.contracts.connection_cards import make_store
from tests.unit.server.desk.office import Office, furnish


@pytest.fixture(scope="session")
def desk_store(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """A store with one key of each usage."""
    return make_store(tmp_path_factory.mktemp("desk"))


@pytest.fixture
def office(sqlite_database: Database, desk_store: FileKeyStore) -> Office:
    """The desk with three people and no card."""
    return furnish(sqlite_database, desk_store)
