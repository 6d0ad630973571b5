# SPDX-License-Identifier: Apache-2.0
"""The examples run as they stand, on virtual cards behind a real pcscd."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hardware_mocks.cardos.psam import dump
from hardware_mocks.pcsc import PcscStack
from hardware_mocks.pcsc.errors import NamespacesNotPermitted, NeedsRoot
from keys.store import FileKeyStore
from tests.contracts.connection_cards import ASN, PASSPHRASE, issued_psam, make_store

ROOT = Path(__file__).parents[2]
SDK = (ROOT / "docs" / "sdk.md").read_text(encoding="utf-8")
LINES_MAX = 60
# The witness of the public log is no card example; its own tests run it.
CARD_EXAMPLES = sorted(path for path in ROOT.glob("examples/*.py") if "witness" not in path.stem)
TIMEOUT_S = 60.0
WITHOUT_READER = {
    "batch_issue": "done 3",
    "own_driver": "quiet does not have it",
    "own_file": "place: 中心",
    "pin_card": "unblocked, the new PIN is right",
    "purse_card": "balance 750",
    "replay_cassette": "[7, 40]",
    "sm4_card": "sm4, CG2 right",
    "soft_psam": "150 分钟",
    "trace_card": "READ RECORD",
    "virtual_card": "clocked in, TAC",
}
IN_FOLDER = {"replay_cassette", "trace_card"}
AT_A_READER = {"issue_card", "read_card", "tap_card", "watch_readers"}


def _example(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return _python(["-m", f"examples.{name}", *arguments], environment)


def _python(
    arguments: list[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
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


@pytest.mark.parametrize("path", CARD_EXAMPLES, ids=lambda path: path.name)
def test_examples_stay_short(path: Path) -> None:
    """An example fits one screen and a half and says in its docstring how to run it."""
    text = path.read_text(encoding="utf-8")

    assert len(text.splitlines()) <= LINES_MAX
    assert f"python -m examples.{path.stem}" in text


@pytest.mark.parametrize(("name", "says"), sorted(WITHOUT_READER.items()))
def test_examples_without_a_reader(name: str, says: str, tmp_path: Path) -> None:
    """Each runs in one process, without PC/SC, and says what it promises."""
    done = _example(name, *([str(tmp_path)] if name in IN_FOLDER else []))

    assert done.returncode == 0, done.stderr
    assert says in done.stdout
    assert not done.stderr


def test_no_example_is_left_out() -> None:
    """Whatever in the folder uses a card is run by a test here."""
    names = {path.stem for path in CARD_EXAMPLES}

    assert names == {*WITHOUT_READER, *AT_A_READER}


def test_a_trace_example_leaves_three_files(tmp_path: Path) -> None:
    """A page, a capture and a cassette."""
    _example("trace_card", str(tmp_path))

    assert {path.name for path in tmp_path.iterdir()} == {"tap.html", "tap.pcapng", "tap.trace"}


@pytest.mark.pcsc
def test_readers_are_listed_and_watched(stack: PcscStack) -> None:
    """A card that lies on a reader when the watch begins is told as inserted."""
    with stack.hand() as hand:
        hand.blank("v17")
        hand.insert("pos-a", "v17")
        done = _example("watch_readers", "1", **stack.environment)

    assert done.returncode == 0, done.stderr
    assert f"reader pcsc:{stack.reader_of('pos-a')}" in done.stdout
    assert "CardInserted" in done.stdout


@pytest.mark.pcsc
def test_issue_read_and_tap(stack: PcscStack, store: FileKeyStore) -> None:
    """A blank card is issued, read, tapped in, and read again; the guide's five lines work."""
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

        five = re.findall(r"```python\n(# at a reader.*?)```", SDK, re.DOTALL)[0]
        hand.remove("pos-a")
        hand.insert("desk-0", "v17")
        read = _python(["-c", five], stack.environment)

    assert f"asn={ASN!r}" in read.stdout, read.stderr
    assert "found blank" in issued.stdout, issued.stderr
    assert "no open service" in fresh.stdout, fresh.stderr
    assert "PSAM 001122334455 no. 1, card no. 0" in tapped.stdout, tapped.stderr
    assert "activity 101" in after.stdout, after.stderr
