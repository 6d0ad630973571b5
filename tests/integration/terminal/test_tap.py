# SPDX-License-Identifier: Apache-2.0
"""One presentation of a virtual card at a terminal with a real journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from keys.store import FileKeyStore
from swipe.kinds import EventType
from terminal.policy import Say
from tests.integration.terminal.bench import Bench, issue, keys_in, software_psam


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """A key store for all cards of the session."""
    return keys_in(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def bench(tmp_path: Path, store: FileKeyStore) -> Bench:
    """A terminal with a software PSAM."""
    return Bench(tmp_path, store, software_psam(tmp_path, store))


def test_first_tap_is_in(bench: Bench, store: FileKeyStore) -> None:
    """A card without an earlier tap taps in."""
    outcome = bench.tap(issue(store, 1))

    assert outcome.say is Say.IN
    assert [e.type for e in bench.events()][-1] == EventType.IN
