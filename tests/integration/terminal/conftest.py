# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the terminal's integration tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keys.store import FileKeyStore
from tests.integration.terminal.bench import Bench, keys_in, software_psam
from tests.integration.terminal.post import Post, configure


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """A key store for all cards of the session."""
    return keys_in(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def bench(tmp_path: Path, store: FileKeyStore) -> Bench:
    """A terminal with a software PSAM and a configuration that has one activity all day."""
    folder = tmp_path / "terminal"
    folder.mkdir()
    return Bench(folder, store, software_psam(tmp_path, store))


@pytest.fixture
def post(bench: Bench) -> Iterator[Post]:
    """A terminal with a supervisor and an operator, and two activities with codes."""
    post = Post(bench)
    configure(post)
    yield post
    post.station.journal.close()
