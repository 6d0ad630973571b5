# SPDX-License-Identifier: Apache-2.0
"""A real process whose files may not grow: red, siren, no beep; and well again by itself."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hardware_mocks.keypad import Keypad
from hardware_mocks.lcd import Frame, Lcd
from keys.store import FileKeyStore
from swipe.kinds import EventType
from terminal.cli import PASSPHRASE_VARIABLE, main
from tests.factories import PASSPHRASE
from tests.integration.terminal.bench import Bench, software_psam

ROOT = Path(__file__).parents[3]
WAIT_S = 20.0
# What stands in for `yika-terminal`: the same program with a limit on the size of its files.
LIMITED = (
    "import resource, sys; from terminal.cli import main; "
    "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), -1)); main()"
)


@contextmanager
def limited_program(bench: Bench, psam: Path, devices: tuple[str, str]) -> Iterator[int]:
    """Run the terminal; its journal may not grow by a single byte."""
    size = bench.journal_path.stat().st_size
    words = [sys.executable, "-c", LIMITED, str(size), "run"]
    environ = {
        PASSPHRASE_VARIABLE: PASSPHRASE,
        "YIKA_TERMINAL_DATA_DIR": str(bench.folder),
        "YIKA_READER_CARD": "pcsc:Nobody",
        "YIKA_READER_PSAM": f"soft:{psam}",
        "YIKA_SERVER_URL": "http://127.0.0.1:1",
        "YIKA_DISPLAY_DEVICE": f"tty:{devices[0]}",
        "YIKA_KEYPAD_DEVICE": f"tty:{devices[1]}",
    }
    process = subprocess.Popen(words, cwd=ROOT, env=environ, stderr=subprocess.PIPE)
    try:
        yield process.pid
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=WAIT_S)
        assert process.returncode == 0, errors


def allow(pid: int, size: int) -> None:
    """Let the files of a process grow to this size."""
    hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


def _reader_away(frame: Frame) -> bool:
    """The start is over: the program waits for a reader that is not there."""
    return "E21" in frame.text or "E22" in frame.text


def test_full_disk_is_shown_and_heals(tmp_path: Path, store: FileKeyStore) -> None:
    """At the start and at a key: not saved, with the siren; with room again all goes on."""
    lcd, keypad = Lcd(), Keypad()
    bench = Bench(tmp_path / "data", store, software_psam(tmp_path, store))
    bench.desk.chain.journal.close()
    events = len(bench.events())

    def shows(text: str, after: int = 0) -> Frame:
        return lcd.wait(text, lambda frame: text in frame.text, after=after, timeout_s=WAIT_S)

    with lcd.running(), keypad.running():
        devices = (lcd.device, keypad.device)
        with limited_program(bench, tmp_path / "psam", devices) as pid:
            unsaved = shows("NOT SAVED")
            at_start = len(bench.events())
            allow(pid, resource.RLIM_INFINITY)
            lcd.wait("no reader", _reader_away, after=unsaved.number, timeout_s=WAIT_S)
            allow(pid, bench.journal_path.stat().st_size)
            mark = lcd.mark
            keypad.press("3")
            refused = shows("NOT SAVED", mark)
            allow(pid, resource.RLIM_INFINITY)
            keypad.press("3")
            shows("模式 签退", refused.number)
    kinds = [event.type for event in bench.events()]

    assert (unsaved.lamp, unsaved.tone) == ("R", "s")
    assert (refused.lamp, refused.tone) == ("R", "s")
    assert at_start == events
    assert kinds.count(EventType.OPEN) == 1


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_damaged_files_are_named(
    tmp_path: Path,
    store: FileKeyStore,
    damage: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A journal that is missing or has lost its head is named, in one line, with status 1."""
    bench = Bench(tmp_path / "data", store, software_psam(tmp_path, store))
    bench.desk.chain.journal.close()
    monkeypatch.setenv("YIKA_TERMINAL_DATA_DIR", str(bench.folder))
    if damage == "gone":
        bench.journal_path.unlink()
    else:
        bench.journal_path.write_bytes(b"YIKAJ")
    with pytest.raises(SystemExit) as caught:
        main(["sync"])

    assert caught.value.code == 1
    assert "journal.yika" in capsys.readouterr().err
