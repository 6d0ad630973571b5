# SPDX-License-Identifier: Apache-2.0
"""The systemd units are well formed, bind the program tightly, and reach their places."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from terminal.cli import main
from terminal.decommission import Decommissioned
from terminal.modes.usb import ROOTS

SYSTEMD_ANALYZE = "/usr/bin/systemd-analyze"
EXPOSURE_MAX = 20  # of 100; systemd's own word for it is OK


@pytest.fixture
def root(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Write the files below a folder, our interpreter in the place of the installed one."""
    main(["units", "--root", str(tmp_path), "--json"])
    written = json.loads(capsys.readouterr().out)["written"]
    for name in written:
        path = Path(name)
        path.write_text(path.read_text().replace("/opt/yika/bin/python", sys.executable))
    return tmp_path


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze without a system manager."""
    environ = {**os.environ, "SYSTEMD_LOG_LEVEL": "warning", "SYSTEMD_COLORS": "0"}
    return subprocess.run(
        [SYSTEMD_ANALYZE, *arguments],
        capture_output=True, text=True, env=environ, check=False, timeout=60,
    )  # fmt: skip


def test_every_file_reaches_its_place(root: Path) -> None:
    """Seven files, each where Debian looks for it."""
    found = sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())

    assert found == [
        "etc/polkit-1/rules.d/pcscd-yika.rules",
        "etc/systemd/system/yika-terminal-update.service",
        "etc/systemd/system/yika-terminal-update.timer",
        "etc/systemd/system/yika-terminal.service",
        "etc/sysusers.d/yika-terminal.conf",
        "etc/tmpfiles.d/yika-terminal.conf",
        "etc/udev/rules.d/60-yika.rules",
    ]


def test_systemd_accepts_the_units(root: Path) -> None:
    """`systemd-analyze verify` has nothing to say, where it is installed."""
    if not Path(SYSTEMD_ANALYZE).exists():
        return
    units = sorted(map(str, (root / "etc/systemd/system").iterdir()))

    done = analyze("verify", *units)

    ours = [line for line in done.stderr.splitlines() if "yika" in line]
    assert ours == []


@pytest.mark.parametrize("name", ["yika-terminal.service", "yika-terminal-update.service"])
def test_the_services_are_bound_tightly(root: Path, name: str) -> None:
    """`systemd-analyze security` gives each service at most 2 of 10."""
    if not Path(SYSTEMD_ANALYZE).exists():
        return
    unit = str(root / "etc/systemd/system" / name)

    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX}", unit)

    assert done.returncode == 0, done.stdout[-500:]


def test_the_program_is_watched_and_comes_back(root: Path) -> None:
    """The service is fed by the program, restarted for ever, and started by the launcher."""
    text = (root / "etc/systemd/system/yika-terminal.service").read_text()

    for line in ("Type=notify", "WatchdogSec=60", "Restart=always", "StartLimitIntervalSec=0"):
        assert f"\n{line}\n" in text
    assert "-m terminal.releases.launcher run" in text


def test_a_terminal_that_was_ended_is_not_started_again(root: Path) -> None:
    """The program's exit status for it is the one that systemd lets be."""
    text = (root / "etc/systemd/system/yika-terminal.service").read_text()

    assert f"\nRestartPreventExitStatus={Decommissioned.exit_status}\n" in text
    assert Decommissioned.exit_status not in (0, 1, 2)


def test_what_the_drivers_use_is_within_the_bounds(root: Path) -> None:
    """Serial lines, buzzer, lights and sticks: allowed to the service, and to its group."""
    unit = (root / "etc/systemd/system/yika-terminal.service").read_text()
    rules = (root / "etc/udev/rules.d/60-yika.rules").read_text()
    allowed = {line.split("=")[1] for line in unit.splitlines() if line.startswith("DeviceAllow")}
    writable = next(line for line in unit.splitlines() if line.startswith("ReadWritePaths="))

    assert {"char-ttyUSB rw", "char-ttyACM rw", "char-ttyS rw", "char-input rw"} <= allowed
    assert {"-/media", "-/sys/devices"} == set(writable.partition("=")[2].split())
    assert Path("/media") in ROOTS
    assert f" $devnode {ROOTS[0]}/" in rules
    assert 'SYMLINK+="yika/buzzer"' in rules
    assert all(f'SUBSYSTEM=="{kind}"' in rules for kind in ("tty", "input", "leds", "block"))
