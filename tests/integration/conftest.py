# SPDX-License-Identifier: Apache-2.0
"""The office that orders, approves and replaces boxes, for all tests of what happens to a box."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.db import Database
from tests.factories import make_store
from tests.integration.office import Office


@pytest.fixture
def office(tmp_path: Path, sqlite_database: Database) -> Office:
    """An office with a key store of its own."""
    return Office(tmp_path, sqlite_database, make_store(tmp_path / "keys.yks"))


@pytest.fixture
def terminal(office: Office) -> int:
    """A terminal in service, its box called "old": it has tapped and uploaded."""
    return office.in_service()
