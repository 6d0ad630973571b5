# SPDX-License-Identifier: Apache-2.0
"""In-process connections keep the contract, contactless and T=0."""

from __future__ import annotations

import pytest

from card.operation import Connection
from card.psam import PsamCard
from keys.store import FileKeyStore
from tests.contracts.connection import CHECKS, Check, check_power_forgets, check_tap
from tests.contracts.connection_cards import in_process, issued_card, issued_psam, make_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """A key store with one key of each usage."""
    return make_store(tmp_path_factory.mktemp("keys"))


@pytest.mark.parametrize("contactless", [False, True], ids=["T=0", "contactless"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_connection_in_process(store: FileKeyStore, check: Check, contactless: bool) -> None:
    """A virtual card in the same process behaves as a connection must."""
    card = issued_card(store, contactless=contactless)

    check(in_process(card, contactless=contactless))


@pytest.mark.parametrize("contactless", [False, True], ids=["T=0", "contactless"])
def test_tap_in_process(store: FileKeyStore, contactless: bool) -> None:
    """A whole tap runs in one process with virtual card and virtual PSAM."""
    card = issued_card(store, contactless=contactless)
    psam = PsamCard(in_process(issued_psam(store)))

    check_tap(in_process(card, contactless=contactless), psam, store)


@pytest.mark.parametrize("contactless", [False, True], ids=["T=0", "contactless"])
def test_power_in_process(store: FileKeyStore, contactless: bool) -> None:
    """A reset forgets what was selected."""
    card = issued_card(store, contactless=contactless)

    def power_again() -> Connection:
        card.reset()
        return in_process(card, contactless=contactless)

    check_power_forgets(power_again)
