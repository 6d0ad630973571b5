# SPDX-License-Identifier: Apache-2.0
"""The town of issuing, for its benefits."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.db import Database
from tests.unit.server.issuing.people import Town, found_town


@pytest.fixture
def town(sqlite_database: Database, tmp_path: Path) -> Town:
    """Return a town without a single card."""
    return found_town(sqlite_database, tmp_path)
