# SPDX-License-Identifier: Apache-2.0
"""The examples run as they stand, on virtual cards behind a real pcscd."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardware_mocks.cardos.psam import dump
from hardware_mocks.pcsc import PcscStack
from hardware_mocks.pcsc.errors import NamespacesNotPermitted, NeedsRoot
from keys.store import FileKeyStore
from tests.contracts.connection_cards import PASSPHRASE, issued_psam, make_store

ROOT = Path(__file__).parents[2]
LINES_MAX = 60
TIMEOUT_S = 60.0


def _example(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"examples.{name}", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """A key store with one key of each usage."""
    return make_store(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[PcscStack]:
    """A private pcscd with the demonstration's readers."""
    stack = PcscStack(workdir=tmp_path / "pcsc", private=True)
    try:
        stack.start()
    except (NeedsRoot, NamespacesNotPermitted) as exc:
        pytest.skip(str(exc))
    yield stack
    stack.stop()


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*.py")), ids=lambda path: path.name)
def test_examples_stay_short(path: Path) -> None:
    """An example fits one screen and a half and says in its docstring how to run it."""
    text = path.read_text(encoding="utf-8")

    assert len(text.splitlines()) <= LINES_MAX
    assert f"python -m examples.{path.stem}" in text


def test_virtual_card_needs_no_reader() -> None:
    """The example for tests runs in one process, without PC/SC."""
    done = _example("virtual_card")

    assert done.returncode == 0, done.stderr
    assert "clocked in, TAC" in done.stdout


@pytest.mark.pcsc
def test_issue_read_and_tap(stack: PcscStack, store: FileKeyStore) -> None:
    """A blank card is issued, read, tapped in, and read again."""
    psam = issued_psam(store)
    (stack.cards / "sam.card").write_bytes(dump(psam.memory.image))
    card_reader = f"pcsc:{stack.reader_of('pos-a')}"
    sam_reader = f"pcsc:{stack.reader_of('psam-a')}"
    with stack.hand() as hand:
        hand.blank("v17")
        hand.insert("pos-a", "v17")
        hand.insert("psam-a", "sam")
        secret = {**stack.environment, "YIKA_KEYS_PASSPHRASE": PASSPHRASE}

        issued = _example("issue_card", str(store.path), card_reader, **secret)
        fresh = _example("read_card", card_reader, **stack.environment)
        tapped = _example("tap_card", "in", card_reader, sam_reader, "101", **stack.environment)
        after = _example("read_card", card_reader, **stack.environment)

    assert "found blank" in issued.stdout, issued.stderr
    assert "no open service" in fresh.stdout, fresh.stderr
    assert "PSAM 001122334455 no. 1, card no. 0" in tapped.stdout, tapped.stderr
    assert "activity 101" in after.stdout, after.stderr
