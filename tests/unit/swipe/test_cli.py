# SPDX-License-Identifier: Apache-2.0
"""The command yika-swipe verify: one line first, then findings; exit status for scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from swipe.cli import cli
from swipe.frames import FrameKind, frame
from tests.factories import (
    event_frames,
    make_batch,
    make_chain,
    make_file,
    make_identity,
    make_receipt,
)

CHAIN = make_chain(4)
FRAMES = event_frames(CHAIN)


def _run(*args: str) -> Result:
    return CliRunner().invoke(cli, ["verify", *args])


@pytest.fixture
def clean(tmp_path: Path) -> str:
    """Give the path of an export without fault."""
    path = tmp_path / "clean.export"
    path.write_bytes(make_file(FRAMES))
    return str(path)


@pytest.fixture
def faulty(tmp_path: Path) -> str:
    """Give the path of an export with one record missing."""
    path = tmp_path / "faulty.export"
    path.write_bytes(make_file([FRAMES[0], *FRAMES[2:]]))
    return str(path)


def test_a_clean_file_is_one_line(clean: str) -> None:
    """Nothing to say beyond the verdict; exit status 0."""
    done = _run(clean)

    assert done.output == f"完好 CLEAN {clean}: 4 events 1–4, 0 batches, 0 receipts\n"
    assert done.exit_code == 0


def test_a_faulty_file_says_what_and_where(faulty: str) -> None:
    """The verdict comes first, then each finding with number, offset and both languages."""
    done = _run(faulty)

    first, second = done.output.splitlines()
    assert first.startswith(f"有误 FAULTY {faulty}: counter-gap ×1")
    assert second == ("  counter-gap #2 @297: 缺少 2 至 2 号记录 records 2 to 2 are missing")
    assert done.exit_code == 1


def test_json_is_one_line_for_all_files(clean: str, faulty: str) -> None:
    """A machine gets one object: clean or not, then each file with its findings."""
    done = _run("--json", clean, faulty)

    answer = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert answer["clean"] is False
    assert [file["verdict"] for file in answer["files"]] == ["clean", "faulty"]
    assert answer["files"][1]["faults"] == {"counter-gap": 1}
    finding = answer["files"][1]["findings"][0]
    assert (finding["kind"], finding["seq"], finding["fault"]) == ("counter-gap", 2, True)
    assert done.exit_code == 1


def test_a_file_of_another_kind_does_not_hide_the_others(clean: str, tmp_path: Path) -> None:
    """A photograph among the exports is one line on standard error; the rest is checked."""
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"\x89PNG" + bytes(100))
    done = _run(str(photo), clean)

    assert "photo.png: not a journal" in done.stderr
    assert "完好 CLEAN" in done.stdout
    assert done.exit_code == 1


def test_the_servers_key_checks_receipts(tmp_path: Path) -> None:
    """With the server's key a receipt of another server is found."""
    server, other = make_identity("server"), make_identity("other")
    receipt = make_receipt(make_batch(CHAIN), server)
    path = tmp_path / "journal"
    path.write_bytes(make_file([*FRAMES, frame(FrameKind.RECEIPT, receipt.to_bytes())]))

    right = _run(str(path), "--server-key", server.public_key.hex())
    wrong = _run(str(path), "--server-key", other.public_key.hex())

    assert (right.exit_code, wrong.exit_code) == (0, 1)
    assert "receipt-bad ×1" in wrong.output


@pytest.mark.parametrize(
    "args",
    [[], ["/nonexistent"], ["--public-key", "abc"], ["--public-key", "zz" * 32]],
)
def test_a_wrong_call_is_status_2(args: list[str], clean: str) -> None:
    """No file, no such file, or a key that is none: usage."""
    done = _run(*args, *([clean] if len(args) > 1 else []))

    assert done.exit_code == 2


def test_help_has_an_example() -> None:
    """The help shows a command that can be typed."""
    done = _run("--help")

    assert "yika-swipe verify /media/usb/*.export" in done.output
