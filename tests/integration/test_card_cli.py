# SPDX-License-Identifier: Apache-2.0
"""`yika-card` as a program, at a reader of a real pcscd: a card's life from blank to copy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from card import trace_file
from hardware_mocks.pcsc import PcscStack
from keys.store import FileKeyStore
from tests.contracts.connection_cards import PASSPHRASE, make_store

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60.0
DATA = {
    "asn": "00000000000000000017",
    "valid_from": "2026-11-01",
    "valid_to": "2031-10-31",
    "masked_name": "王**",
    "name": "王小明",
    "volunteer_number": "1000000004",
}

pytestmark = pytest.mark.pcsc


class Desk:
    """A reader with a card on it, and the program before it."""

    def __init__(self, stack: PcscStack, store: FileKeyStore) -> None:
        self._environment = {
            **os.environ,
            **stack.environment,
            "YIKA_KEYS_PASSPHRASE": PASSPHRASE,
        }
        self._reader = f"pcsc:{stack.reader_of('desk-0')}"
        self.store = ("--store", str(store.path))

    def run(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run `yika-card` at the reader."""
        return subprocess.run(
            [sys.executable, "-m", "card", *arguments, "--reader", self._reader],
            capture_output=True,
            text=True,
            check=False,
            input=text,
            timeout=TIMEOUT_S,
            cwd=ROOT,
            env=self._environment,
        )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """A key store with one key of each usage."""
    return make_store(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PcscStack]:
    """A private pcscd with the demonstration's readers."""
    with PcscStack(workdir=tmp_path_factory.mktemp("pcsc"), private=True) as stack:
        yield stack


def test_a_card_is_issued_traced_dumped_changed_and_read(
    stack: PcscStack, store: FileKeyStore, tmp_path: Path
) -> None:
    """Every step runs as its own process, as at a desk, and finds what the one before left."""
    desk = Desk(stack, store)
    traced, dumped = tmp_path / "issue.trace", tmp_path / "card.yaml"
    with stack.hand() as hand:
        hand.blank("v17")
        hand.insert("desk-0", "v17")
        issue = ("issue", "--data", "-", *desk.store, "--trace", str(traced), "--json")
        issued = desk.run(*issue, text=json.dumps(DATA))
        dump = desk.run("dump", "--protected", "--out", str(dumped), *desk.store)
        text = dumped.read_text(encoding="utf-8").replace("王小明", "李小明")
        dumped.write_text(text, encoding="utf-8")
        applied = desk.run("apply", str(dumped), "--yes", "--json", *desk.store)
        again = desk.run("apply", str(dumped), "--yes", "--json", *desk.store)
        script = "select volunteer\ndesk\nread holder\n"
        shell = desk.run("shell", *desk.store, text=script)
        raw = desk.run("apdu", "00A4040006F059494B4101", "00B2AAC800", "--json")

    for done in (issued, dump, applied, again, shell, raw):
        assert done.returncode == 0, done.stderr
    assert json.loads(applied.stdout)["writes"] == 1
    assert json.loads(again.stdout)["writes"] == 0
    assert "李小明" in shell.stdout
    assert [row["sw"] for row in json.loads(raw.stdout)["exchanges"]] == ["9000", "9000"]
    tape = trace_file.load(traced)
    assert len(tape.exchanges) > 50
    assert tape.atr
    assert "王小明".encode("gb18030").hex().upper() not in traced.read_text(encoding="utf-8")
