# SPDX-License-Identifier: Apache-2.0
"""One key store for all tests of the SDK: making one is the slowest part."""

from __future__ import annotations

import pytest

from card.card_keys import CARD_USAGES
from keys.algorithm import Algorithm
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.contracts.connection_cards import CHEAP, PASSPHRASE, make_store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """A key store with one key of each usage."""
    return make_store(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def sm4_store(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """A key store whose card and PSAM keys are SM4."""
    folder = tmp_path_factory.mktemp("sm4")
    store = FileKeyStore.create(folder / "keys.yika", PASSPHRASE, CHEAP)
    for usage in (*CARD_USAGES, KeyUsage.PSAM_CONTROL):
        store.generate(usage, 1, Algorithm.SM4)
    return store
