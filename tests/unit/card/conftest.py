# SPDX-License-Identifier: Apache-2.0
"""One key store for all tests of the SDK: making one is the slowest part."""

from __future__ import annotations

import pytest

from keys.store import FileKeyStore
from tests.contracts.connection_cards import make_store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """A key store with one key of each usage."""
    return make_store(tmp_path_factory.mktemp("keys"))
