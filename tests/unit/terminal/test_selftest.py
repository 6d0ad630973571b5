# SPDX-License-Identifier: Apache-2.0
"""The self-test taps without a card, and fails where a version cannot do its work."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

import terminal as package
from keys.errors import Mac2Rejected
from terminal.cli import main
from terminal.config import Config, TerminalSection
from terminal.files import JOURNAL
from terminal.releases.archive import clear, unpack
from terminal.releases.probe import probe
from terminal.selftest import TablePsam, self_test

ROOT = Path(package.__file__).parents[1]


def test_a_healthy_version_passes(tmp_path: Path) -> None:
    """A tap goes the whole way, and a terminal that holds nothing yet is fine."""
    config = Config(terminal=TerminalSection(data_dir=str(tmp_path)))

    assert [(f.part, f.passed) for f in self_test(config)] == [("tap", True), ("journal", True)]


def test_a_journal_that_cannot_be_read_fails(tmp_path: Path) -> None:
    """A version that cannot read what this terminal holds must not run."""
    (tmp_path / JOURNAL).write_bytes(b"of a later version")
    config = Config(terminal=TerminalSection(data_dir=str(tmp_path)))

    assert [f.passed for f in self_test(config)] == [True, False]


def test_a_version_whose_proofs_fail_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the PSAM refuses the card's answer, the self-test fails."""
    monkeypatch.setattr(TablePsam, "credit_purchase", _refuse)
    config = Config(terminal=TerminalSection(data_dir=str(tmp_path)))

    assert not self_test(config)[0].passed


def _refuse(_self: TablePsam, mac2: bytes) -> None:
    raise Mac2Rejected


def test_the_command_tells_in_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`self-test --json` names the code that ran, which the updater compares."""
    monkeypatch.setenv("YIKA_TERMINAL_DATA_DIR", str(tmp_path))
    main(["self-test", "--json"])

    told = json.loads(capsys.readouterr().out)
    assert told["passed"] is True
    assert Path(told["code"]) == ROOT / "terminal"


def make_release(path: Path) -> Path:
    """Pack this very program as a release."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name in ("card", "emv", "keys", "swipe", "terminal"):
            for file in (ROOT / name).rglob("*"):
                if file.is_file() and "__pycache__" not in file.parts:
                    wheel.write(file, file.relative_to(ROOT))
    return path


def test_this_program_passes_as_a_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed, unpacked into a slot and tried in a process of its own, the program is healthy."""
    monkeypatch.setenv("YIKA_TERMINAL_DATA_DIR", str(tmp_path / "none"))
    slot = tmp_path / "a"
    clear(slot)
    unpack(make_release(tmp_path / "yika.whl"), slot, 7, "0.7.0")

    assert probe(slot, None) == ""
    (slot / "terminal" / "proof.py").write_text("raise SystemExit(3)\n")
    assert probe(slot, None) == "exit status 3"
    (slot / "terminal" / "proof.py").write_text("import nothing_of_this_name\n")
    assert "nothing_of_this_name" in probe(slot, None)


@pytest.mark.parametrize(
    "answer", ["", "[]", '{"passed": true}', '{"passed": true, "code": "/elsewhere"}']
)
def test_a_release_that_answers_wrongly_fails(tmp_path: Path, answer: str) -> None:
    """Silence, garbage, or an answer from other code is no pass."""
    package_ = tmp_path / "a" / "terminal"
    package_.mkdir(parents=True)
    (package_ / "__init__.py").touch()
    (package_ / "__main__.py").write_text(f"print({answer!r})\n")

    assert probe(tmp_path / "a", None) != ""
