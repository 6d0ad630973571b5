# SPDX-License-Identifier: Apache-2.0
"""A release is fetched, tried and switched to; a cut at any step leaves a version that runs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from terminal.errors import Unreachable
from terminal.releases import archive, slots
from terminal.releases.faults import Fault, UpdateRefused
from terminal.releases.installing import DOWNLOAD, Installer
from terminal.releases.launcher import command
from terminal.releases.mirror import DOWNLOAD_S, Mirror
from tests.unit.terminal.releases.publisher import NOW_MS, Lines, Publisher, box, make_wheel


class PowerCut(BaseException):
    """End everything at once, as a cut does: nothing catches it."""


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    """Return a publisher that offers release 1."""
    made = Publisher(tmp_path)
    made.release(1)
    return made


def installed(publisher: Publisher, folder: Path) -> Installer:
    """Return a box whose release 1 runs and is confirmed."""
    installer = box(folder, publisher, publisher.lines())
    installer.install(NOW_MS)
    slots.confirm(folder)
    return installer


def runs(folder: Path) -> str:
    """Start what the launcher would start, and return what it prints."""
    line, environ = command(folder, [], {})
    if environ[slots.SLOT_VARIABLE] == slots.BASE:
        return "base"
    done = subprocess.run(
        line, env=environ, capture_output=True, text=True, check=True, cwd="/", timeout=60
    )
    return done.stdout.strip()


def fault_of(installer: Installer, *, retry: bool = False) -> Fault:
    """Return why an installation is refused."""
    with pytest.raises(UpdateRefused) as caught:
        installer.install(NOW_MS, retry=retry)
    return caught.value.fault


def test_a_release_runs_after_the_switch(publisher: Publisher, tmp_path: Path) -> None:
    """The launcher starts the new slot; its packages are those of a terminal, no server."""
    folder = tmp_path / "box"
    box(folder, publisher, publisher.lines()).install(NOW_MS)

    assert runs(folder) == "release 1"
    assert not (folder / "a" / "server").exists()
    assert not (folder / DOWNLOAD).exists()


def test_slots_take_turns(publisher: Publisher, tmp_path: Path) -> None:
    """The second release goes into the other slot, and the first stays to go back to."""
    folder = tmp_path / "box"
    installer = installed(publisher, folder)
    publisher.release(2)

    switch = installer.install(NOW_MS)

    assert (switch.active, switch.previous, switch.trial) == ("b", "a", True)
    assert runs(folder) == "release 2"
    slots.go_back(folder, "by hand")
    assert runs(folder) == "release 1"


STEPS = ["download", "piece", "compare", "clear", "unpack", "try", "switch", "switched"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("nth", [1, 2])
def test_a_power_cut_at_any_step(publisher: Publisher, tmp_path: Path, step: str, nth: int) -> None:
    """After a cut the box runs the old version or, behind the switch, the new; never neither."""
    folder = tmp_path / "box"
    installed(publisher, folder)
    publisher.release(2)
    passed: list[str] = []

    def at(now: str) -> None:
        passed.append(now)
        if passed.count(step) == nth:
            raise PowerCut

    cut = Installer(folder, Mirror(publisher.lines()), lambda _slot: "", at)
    survives = nth == 2 and step != "piece"
    if survives:
        cut.install(NOW_MS)
    else:
        with pytest.raises(PowerCut):
            cut.install(NOW_MS)

    expected = "release 2" if survives or step == "switched" else "release 1"
    assert runs(folder) == expected
    if expected == "release 1":
        box(folder, publisher, publisher.lines()).install(NOW_MS)
        assert runs(folder) == "release 2"


def test_a_cut_at_each_file_of_the_unpacking(publisher: Publisher, tmp_path: Path) -> None:
    """However many files were written before the cut, the slot is not taken for a release."""
    folder = tmp_path / "box"
    installed(publisher, folder)
    publisher.release(2)
    box(folder, publisher, publisher.lines()).install(NOW_MS)
    slots.go_back(folder, "as before")
    files = sorted(path for path in (folder / "b").rglob("*") if path.is_file())

    for path in files:
        kept = path.read_bytes()
        path.write_bytes(kept[:-1])
        assert not slots.is_intact(folder / "b"), path
        path.unlink()
        assert not slots.is_intact(folder / "b"), path
        path.write_bytes(kept)
    assert slots.is_intact(folder / "b")


def test_half_a_download_is_continued(publisher: Publisher, tmp_path: Path) -> None:
    """After a line that broke, the rest is fetched and not the whole."""
    folder, lines = tmp_path / "box", publisher.lines()
    lines.piece, lines.cut_after = 100, 7
    with pytest.raises(Unreachable):
        box(folder, publisher, lines).install(NOW_MS)
    have = (folder / DOWNLOAD).stat().st_size
    again = publisher.lines()

    box(folder, publisher, again).install(NOW_MS)

    assert have > 0
    assert any(path.endswith(f"?from={have}") for path in again.asked)
    assert not any(path.endswith("?from=0") for path in again.asked)
    assert runs(folder) == "release 1"


def target_name(publisher: Publisher) -> str:
    """Return the name of the only archive."""
    return next(publisher.repo.targets.iterdir()).name


def test_another_archive_is_refused(publisher: Publisher, tmp_path: Path) -> None:
    """Bytes of the right length and the wrong content are thrown away, and fetched anew."""
    folder, name = tmp_path / "box", target_name(publisher)
    genuine = (publisher.repo.targets / name).read_bytes()
    lines = Lines(publisher.repo.folder, {name: genuine[:-1] + b"X"})

    assert fault_of(box(folder, publisher, lines)) is Fault.MIXED
    assert not (folder / DOWNLOAD).exists()
    box(folder, publisher, publisher.lines()).install(NOW_MS)
    assert runs(folder) == "release 1"


def test_an_archive_without_end_is_refused(publisher: Publisher, tmp_path: Path) -> None:
    """More bytes than were announced are refused before they are kept."""
    name = target_name(publisher)
    lines = Lines(publisher.repo.folder, {name: bytes(50_000_000)}, piece=50_000_000)

    assert fault_of(box(tmp_path / "box", publisher, lines)) is Fault.ENDLESS


def test_an_archive_that_drips_is_refused(publisher: Publisher, tmp_path: Path) -> None:
    """A server that takes longer than an hour for one release is given up."""
    ticks = iter(range(0, 100_000, int(DOWNLOAD_S)))
    lines = publisher.lines()
    box(tmp_path / "box", publisher, lines)
    slow = Installer(tmp_path / "box", Mirror(lines, lambda: next(ticks)), lambda _slot: "")

    assert fault_of(slow) is Fault.ENDLESS


def test_an_archive_that_is_not_there_is_named(publisher: Publisher, tmp_path: Path) -> None:
    """A repository without the announced archive is named as such."""
    lines = Lines(publisher.repo.folder, {target_name(publisher): None})

    assert fault_of(box(tmp_path / "box", publisher, lines)) is Fault.MISSING


@pytest.mark.parametrize(
    "name", ["../terminal/x.py", "/etc/cron.d/x", "terminal/../../x", "terminal\\x", "t" * 300]
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    """Even a signed archive writes nothing outside its slot."""
    publisher = Publisher(tmp_path)
    publisher.release(1, {name: b"x"})
    folder = tmp_path / "box"

    assert fault_of(box(folder, publisher, publisher.lines())) is Fault.ARCHIVE
    assert runs(folder) == "base"
    assert not (tmp_path / "x").exists()


def test_an_archive_that_swells_is_refused(tmp_path: Path) -> None:
    """A small archive that unpacks to more than a disk should give is stopped on the way."""
    publisher = Publisher(tmp_path)
    publisher.release(1, {"terminal/big.bin": bytes(65 * 1024 * 1024)})

    assert fault_of(box(tmp_path / "box", publisher, publisher.lines())) is Fault.ENDLESS


@pytest.mark.parametrize("how", ["bits", "bzip2", "no name"])
def test_an_archive_that_cannot_be_unpacked_is_named(tmp_path: Path, how: str) -> None:
    """Rotten bytes, another way to pack, a file without a name: refused, the slot stays empty."""
    wheel = make_wheel(tmp_path / "x.whl", "release 1", {"terminal/x.py": bytes(range(256)) * 40})
    with zipfile.ZipFile(wheel, "a") as packed:
        if how == "bzip2":
            packed.writestr("terminal/y.py", b"x", zipfile.ZIP_BZIP2)
        elif how == "no name":
            packed.writestr(".", b"x")
    if how == "bits":
        data = bytearray(wheel.read_bytes())
        at = data.index(b"terminal/x.py") + len(b"terminal/x.py")
        data[at : at + 40] = b"\xff" * 40
        wheel.write_bytes(data)
    archive.clear(tmp_path / "a")

    with pytest.raises(UpdateRefused) as caught:
        archive.unpack(wheel, tmp_path / "a", 1, "0.1")

    assert caught.value.fault is (Fault.BROKEN if how == "bits" else Fault.ARCHIVE)
    assert slots.read_manifest(tmp_path / "a") is None


def test_a_damaged_slot_is_filled_again(publisher: Publisher, tmp_path: Path) -> None:
    """The same release is taken once more where its slot has lost a byte; an intact one is not."""
    folder = tmp_path / "box"
    again = installed(publisher, folder)
    active = slots.load(folder).active
    (folder / active / "terminal" / "__main__.py").write_bytes(b"broken")
    assert runs(folder) == "base"

    again.install(NOW_MS)

    assert (slots.load(folder).active, runs(folder)) == (active, "release 1")
    assert fault_of(again) is Fault.NOTHING


def test_a_release_that_fails_its_check_never_runs(publisher: Publisher, tmp_path: Path) -> None:
    """The old version goes on, the release is remembered, and only --retry tries it again."""
    folder = tmp_path / "box"
    installed(publisher, folder)
    publisher.release(2)
    sick = box(folder, publisher, publisher.lines(), complaint="no tap")

    assert fault_of(sick) is Fault.UNHEALTHY
    assert runs(folder) == "release 1"
    healthy = box(folder, publisher, publisher.lines())
    assert fault_of(healthy) is Fault.FAILED_BEFORE
    healthy.install(NOW_MS, retry=True)
    assert runs(folder) == "release 2"


def test_a_release_below_the_floor_is_a_rollback(publisher: Publisher, tmp_path: Path) -> None:
    """After release 3 has proven itself, a repository of release 2 installs nothing."""
    folder = tmp_path / "box"
    for number in (2, 3):
        publisher.release(number)
    installed(publisher, folder)
    (tmp_path / "older").mkdir()
    older = Publisher(tmp_path / "older")
    older.release(2)
    for path in (folder / "metadata").glob("*.json"):
        path.unlink()

    assert fault_of(box(folder, older, older.lines())) is Fault.ROLLBACK


def test_the_same_release_again_is_nothing(publisher: Publisher, tmp_path: Path) -> None:
    """A box that runs the newest release has nothing to do."""
    assert fault_of(installed(publisher, tmp_path / "box")) is Fault.NOTHING


def test_two_updates_at_once_are_one(publisher: Publisher, tmp_path: Path) -> None:
    """A second update while one is under way is told to come later."""
    folder = tmp_path / "box"
    second = box(folder, publisher, publisher.lines())
    seen: list[Fault] = []

    def probing(_slot: Path) -> str:
        seen.append(fault_of(second))
        return ""

    Installer(folder, Mirror(publisher.lines()), probing).install(NOW_MS)

    assert seen == [Fault.BUSY]


def test_the_launcher_becomes_the_program(tmp_path: Path) -> None:
    """Without a release the base runs, with the arguments as they are."""
    line, environ = command(tmp_path, ["run", "-v"], {"HOME": "/"})

    assert line == [sys.executable, "-P", "-m", "terminal", "run", "-v"]
    assert environ == {"HOME": "/", slots.SLOT_VARIABLE: "base"}


def test_only_the_program_is_on_trial(publisher: Publisher, tmp_path: Path) -> None:
    """The launcher counts a start of `run`; the nightly `update install` uses up none."""
    folder = tmp_path / "box"
    box(folder, publisher, publisher.lines()).install(NOW_MS)
    command(folder, ["update", "install"], {})
    assert slots.load(folder).starts == 0
    command(folder, ["run", "--verbose"], {})
    assert slots.load(folder).starts == 1
