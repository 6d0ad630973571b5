# SPDX-License-Identifier: Apache-2.0
"""The commands for a memory stick, as a leader types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from swipe.batch import HEADER_SIZE
from swipe.event import EVENT_SIZE
from swipe.stick import MANIFEST, Manifest, batch_name, folder_name, manifest_holds
from tests.integration.terminal.test_cli import Site, failure, site

__all__ = ["site"]
TERMINAL_ID = 4711


def answer(site: Site, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    """Run a command that works and return its JSON."""
    capsys.readouterr()
    site.run(*words, "--json")
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_export_usb(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is unsent stands on the stick, in a folder with the terminal's signed manifest."""
    site.run("provision")
    stick = tmp_path / "stick"
    stick.mkdir()
    told = answer(site, capsys, "export", "usb", str(stick))
    folder = stick / folder_name(TERMINAL_ID)
    manifest, signed, signature = Manifest.parse((folder / MANIFEST).read_bytes())
    (listed,) = manifest.batches
    size = (folder / batch_name(listed.batch_no)).stat().st_size

    assert (told["batches"], told["already_there"]) == (1, 0)
    assert told["events"] == (size - HEADER_SIZE) // EVENT_SIZE
    assert manifest_holds(signed, signature, site.office.terminal_key)
    assert not manifest_holds(signed + b" ", signature, site.office.terminal_key)


def test_receipts_that_are_not_there(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stick without receipts is told in one line, with what to do."""
    site.run("provision")
    line = failure(site, capsys, "import-receipts", str(tmp_path))

    assert "receipts.yika" in line
    assert "U盘" in line


def test_full_stick_is_told(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A stick that cannot be written is told in one line; no event is lost by it."""
    site.run("provision")
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / folder_name(TERMINAL_ID)).write_text("a file stands where the folder should be")
    line = failure(site, capsys, "export", "usb", str(stick))

    assert "U盘" in line
    assert answer(site, capsys, "status")["events_acknowledged"] == 0


def test_export_wants_to_know_where(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a file nor a stick is wrong usage."""
    with pytest.raises(SystemExit) as caught:
        site.run("export")

    assert caught.value.code == 2
    assert "export usb DIR" in capsys.readouterr().err
