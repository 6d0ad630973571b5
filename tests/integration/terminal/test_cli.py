# SPDX-License-Identifier: Apache-2.0
"""The commands: enrolling, running, telling, uploading, exporting, and their errors."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardware_mocks.lcd import Lcd
from keys.identity import fingerprint
from keys.store import FileKeyStore
from swipe.kinds import EventType
from swipe.verify import verify_stream
from terminal.cli import PASSPHRASE_VARIABLE, TOKEN_VARIABLE, cli, main, running
from terminal.decommission import Decommissioned
from terminal.errors import NotSaved
from terminal.files import HIGH_WATER, IDENTITY, JOURNAL, PASSPORT, sole_writer
from terminal.storage import FileStorage
from tests.factories import PASSPHRASE
from tests.integration.terminal.bench import SOFT_NUMBER, Bench, issue, software_psam
from tests.integration.terminal.office import TOKEN, Office, Refusal
from tests.integration.terminal.post import Shown
from tests.unit.terminal.clocks import HandClock

ROOT = Path(__file__).parents[3]
START_S = 20.0


class Site:
    """A folder with a configuration, a software PSAM and a server for the commands to use."""

    def __init__(self, folder: Path, store: FileKeyStore, office: Office) -> None:
        self.folder = folder
        self.office = office
        self.data = folder / "data"
        self.clock = HandClock()
        software_psam(folder, store).close()
        self.config = folder / "terminal.toml"
        self.write(office.url)

    def write(self, url: str, more: str = "") -> None:
        """Write the configuration."""
        self.config.write_text(
            f'[terminal]\nname = "gate"\ndata_dir = "{self.data}"\n[server]\nurl = "{url}"\n'
            f'[reader]\ncard = "pcsc:Nobody 00 00"\npsam = "soft:{self.folder}/psam"\n{more}',
            encoding="utf-8",
        )

    def run(self, *words: str) -> None:
        """Run a command with the test's clock."""
        main(["--config", str(self.config), *words], clock=self.clock)


@pytest.fixture
def site(tmp_path: Path, store: FileKeyStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A terminal that is not enrolled yet, and its server."""
    monkeypatch.setenv(PASSPHRASE_VARIABLE, PASSPHRASE)
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    office = Office(HandClock(), bytes(32))
    with office.open():
        yield Site(tmp_path, store, office)


def failure(site: Site, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that fails as expected and return its one line."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        site.run(*words)
    captured = capsys.readouterr()

    assert caught.value.code == 1
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def answer(site: Site, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    """Run a command with --json and return its one line, read."""
    capsys.readouterr()
    site.run(*words, "--json")
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def test_provision_enrols_once_and_again(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Enrolling shows key and PSAM, keeps the passport, and may be repeated with the same key."""
    first = answer(site, capsys, "provision")
    second = answer(site, capsys, "provision")
    enrolled = site.office.enrolled

    assert first == second == {
        "terminal": 4711, "key_id": 7, "site": "莲花山公园", "state": "pending",
        "psam_no": SOFT_NUMBER.hex(),
        "fingerprint": fingerprint(site.office.terminal_key),
    }  # fmt: skip
    assert enrolled[0] == enrolled[1]
    assert (enrolled[0]["psam_kind"], enrolled[0]["dpk_idx"]) == ("software", 0x82)
    for name in (PASSPORT, IDENTITY, JOURNAL):
        assert (site.data / name).stat().st_mode & 0o077 == 0


def test_provision_says_what_it_did(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json one line in both languages is enough, and a token file works too."""
    token = site.folder / "token"
    token.write_text(TOKEN + "\n", encoding="utf-8")
    site.run("provision", "--token-file", str(token))

    assert "已入网 · enrolled" in capsys.readouterr().out


def test_wrong_token_is_named(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token the server does not know leaves no passport behind."""
    monkeypatch.setenv(TOKEN_VARIABLE, "other")

    told = failure(site, capsys, "provision")
    assert "配对码不对" in told
    assert "new letter" in told
    assert not (site.data / PASSPORT).exists()
    monkeypatch.setenv(TOKEN_VARIABLE, " ")
    assert "入网口令为空" in failure(site, capsys, "provision")


def test_wrong_passphrase_is_named(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A software PSAM that does not open is a configuration error."""
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "wrong")

    assert "passphrase" in failure(site, capsys, "provision")


def test_missing_psam_is_named(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """A PSAM file that is not there is named with its path."""
    (site.folder / "psam").unlink()

    assert "psam: No such file" in failure(site, capsys, "provision")


@pytest.mark.parametrize("command", [["status"], ["sync"], ["run"], ["export", "--out", "x"]])
def test_everything_needs_enrolment_first(
    site: Site, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """A bare terminal says what to do first."""
    message = failure(site, capsys, *command)

    assert "尚未入网" in message
    assert message.startswith(f"yika-terminal: {site.data}: ")
    assert "yika-terminal provision" in message


def test_first_sync_brings_the_time(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The first sync of an empty journal brings a receipt; the next has nothing to send."""
    site.run("provision")
    report = answer(site, capsys, "status")

    assert (report["events_journaled"], report["unsent"], report["journal"]) == (0, 0, "clean")
    first, second = answer(site, capsys, "sync"), answer(site, capsys, "sync")
    assert int(str(first["receipts"])) > 0
    assert (second["batches"], second["unsent"]) == (0, 0)


def test_day_ends_with_everything_acknowledged(
    site: Site, store: FileKeyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """After `sync --final` journaled, acknowledged and stored are equal, and stay so."""
    bench = bench_of(site, store)
    for number in range(1, 4):
        bench.tap(issue(store, number))
    bench.desk.chain.journal.close()
    before = answer(site, capsys, "status")
    final = answer(site, capsys, "sync", "--final")
    again = answer(site, capsys, "sync", "--final")

    assert (before["taps"], before["unsent"]) == (3, before["events_journaled"])
    assert final["events_journaled"] == final["events_acknowledged"] == len(site.office.events)
    assert final["unsent"] == 0
    assert again["batches"] == 0
    assert again["events_journaled"] == final["events_journaled"]
    assert EventType.CLOSE in [event.type for event in bench.events()]


def bench_of(site: Site, store: FileKeyStore) -> Bench:
    """Return a bench on the site's folder whose identity the office knows."""
    site.data.mkdir(mode=0o700)
    bench = Bench(site.data, store, software_psam(site.folder, store), site.clock)
    site.office.terminal_key = bench.identity.public_key
    site.office.clock = site.clock
    return bench


def test_unreachable_server_fails_with_a_reason(
    site: Site, store: FileKeyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a server the command says so, and nothing is lost."""
    bench = bench_of(site, store)
    bench.tap(issue(store, 1))
    bench.desk.chain.journal.close()
    site.write("http://127.0.0.1:1")

    assert "连不上服务器" in failure(site, capsys, "sync", "--final")
    assert int(str(answer(site, capsys, "status")["unsent"])) > 0


def test_refusing_server_fails_with_a_reason(
    site: Site, store: FileKeyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refused upload names status and title."""
    bench = bench_of(site, store)
    bench.desk.chain.journal.close()
    site.office.script = [Refusal(401, "unknown key")]

    assert "401: unknown key" in failure(site, capsys, "sync")


def test_gap_that_stays_open_fails_the_final_sync(
    site: Site, store: FileKeyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """A final sync that leaves something unsent exits with 1 and still reports."""
    bench = bench_of(site, store)
    bench.tap(issue(store, 1))
    bench.desk.chain.journal.close()
    site.run("sync")
    held = dict(site.office.events)

    class Forgetful(dict[int, bytes]):
        """A store that never keeps number 2."""

        def setdefault(self, seq: int, raw: bytes = b"") -> bytes:
            """Keep everything else."""
            return raw if seq == 2 else super().setdefault(seq, raw)

    del held[2]
    site.office.events = Forgetful(held)
    site.clock.advance(60)
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        site.run("sync", "--final", "--json")
    report = json.loads(capsys.readouterr().out)

    assert caught.value.code == 1
    assert (report["gap"], report["unsent"] > 0) == (2, True)


def test_running_program_keeps_others_out(
    site: Site, store: FileKeyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """While the program runs, sync and provision are refused and status is not."""
    bench_of(site, store).desk.chain.journal.close()
    before = (site.data / JOURNAL).read_bytes()
    with sole_writer(site.data):
        assert "终端程序正在运行" in failure(site, capsys, "provision")
        assert site.office.enrolled == []
        assert "终端程序正在运行" in failure(site, capsys, "sync")
        assert answer(site, capsys, "status")["boots"] == 1
    assert (site.data / JOURNAL).read_bytes() == before


def test_status_in_words(
    site: Site, store: FileKeyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --json the figures stand one to a line."""
    bench = bench_of(site, store)
    bench.tap(issue(store, 1))
    bench.desk.chain.journal.close()
    site.clock.advance(90)
    capsys.readouterr()
    site.run("status")
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())

    assert (lines["in"], lines["oldest_unsent_s"], lines["mode"]) == ("1", "90", "auto")


def test_export_verifies_off_line(
    site: Site, store: FileKeyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """An export holds every event in signed batches with the receipts, and is whole."""
    bench = bench_of(site, store)
    for number in range(1, 4):
        bench.tap(issue(store, number))
    bench.desk.chain.journal.close()
    site.run("sync")
    target = site.folder / "export.yika"
    report = answer(site, capsys, "export", "--out", str(target))
    with target.open("rb") as file:
        found = verify_stream(file)

    assert report["events"] == len(bench.events())
    assert [f for f in found.findings if f.kind.value != "not-checked"] == []
    assert list(site.folder.glob("*.part")) == []


def test_full_disk_of_the_system_is_named(site: Site, store: FileKeyStore) -> None:
    """When the operating system refuses to let the file grow, nothing is added to it."""
    bench = bench_of(site, store)
    bench.desk.chain.journal.close()
    size = bench.journal_path.stat().st_size
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
        storage = FileStorage(bench.journal_path)
        try:
            storage.append(bytes(200))
        except NotSaved as exc:
            os._exit(0 if "large" in exc.cause and not exc.unknown_end else 2)
        os._exit(1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert bench.journal_path.stat().st_size == size


def test_program_ends_cleanly_on_sigterm(site: Site, store: FileKeyStore) -> None:
    """The real process starts without a reader, records its start, and ends with status 0."""
    bench = bench_of(site, store)
    bench.desk.chain.journal.close()
    command = [sys.executable, "-m", "terminal", "--config", str(site.config), "run"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    deadline = time.monotonic() + START_S
    while len(bench.events()) < 4 and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=START_S)
    kinds = [event.type for event in bench.events()]

    assert process.returncode == 0, errors
    assert kinds.count(EventType.BOOT) == 2
    assert EventType.OUTAGE in kinds


def test_a_terminal_that_was_ended_says_so(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The words stay on the display, and the exit status is the one that ends the restarts."""
    site.run("provision")
    site.run("decommission", "--yes")
    lcd = Lcd()
    with lcd.running():
        site.write(site.office.url, f'[display]\ndevice = "tty:{lcd.device}"\n')
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            site.run("run")
        frame = lcd.wait("the end", lambda frame: frame.lamp == "r", after=0, timeout_s=5)

    assert caught.value.code == Decommissioned.exit_status
    assert frame.text.split("\n")[:2] == ["此终端已停用", "TERMINAL RETIRED"]
    assert "请使用新终端 · use the new terminal" in capsys.readouterr().err


def test_a_slow_display_gets_the_whole_of_why(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that takes a picture in pieces is given it until it stands there."""
    site.run("provision")
    (site.data / JOURNAL).unlink()
    shown = Shown()
    monkeypatch.setattr(running, "open_display", lambda _section: shown)
    failure(site, capsys, "run")

    assert len(shown.screens) > 1
    assert "PROVISION ONCE MORE" in shown.text


def test_a_display_that_cannot_be_opened_hides_no_cause(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without its font the box that was ended still ends with the status that stops systemd."""
    site.run("provision")
    site.run("decommission", "--yes")
    lcd = '[display]\ndevice = "tty:/dev/null"\nkind = "st7920"\nfont = "/nowhere.ttf"\n'
    site.write(site.office.url, lcd)
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        site.run("run")

    assert caught.value.code == Decommissioned.exit_status
    assert "请使用新终端 · use the new terminal" in capsys.readouterr().err


def test_a_start_that_fails_is_shown(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """A box that has lost its key shows it, not the last screen of yesterday."""
    site.run("provision")
    (site.data / IDENTITY).unlink()
    lcd = Lcd()
    with lcd.running():
        site.write(site.office.url, f'[display]\ndevice = "tty:{lcd.device}"\n')
        assert "fleet replace" in failure(site, capsys, "run")
        frame = lcd.wait("the cause", lambda frame: frame.lamp == "r", after=0, timeout_s=5)

    assert "TERMINAL KEY LOST" in frame.text


def test_receipt_beside_the_journal_is_private(site: Site, store: FileKeyStore) -> None:
    """The copy of the last receipt is written, and only its owner may read it."""
    bench_of(site, store).desk.chain.journal.close()
    site.run("sync")

    assert (site.data / HIGH_WATER).stat().st_mode & 0o077 == 0


def test_wrong_configuration_is_one_line(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt key is named with its file, in one line."""
    site.config.write_text("[terminal]\nnam = 1\n", encoding="utf-8")

    assert "unknown key nam in [terminal]" in failure(site, capsys, "status")


def test_usage_errors_exit_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown command is a usage error."""
    with pytest.raises(SystemExit) as caught:
        main(["fly"])

    assert caught.value.code == 2
    assert "No such command" in capsys.readouterr().err


@pytest.mark.parametrize("name", [None, *cli.commands])
def test_every_help_has_an_example(name: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command shows how it is used."""
    main([*([name] if name else []), "--help"])

    assert "Example: yika-terminal" in capsys.readouterr().out
