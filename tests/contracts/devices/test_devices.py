# SPDX-License-Identifier: Apache-2.0
"""What every device promises, over the driver and the mock at the end of a real line."""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from hardware_mocks.bitmap import BitmapPanel
from hardware_mocks.gps import GpsReceiver, Sky
from hardware_mocks.printer import ReceiptPrinter
from hardware_mocks.scanner import CodeScanner
from hardware_mocks.serial_end import SerialEnd
from terminal.config import Config
from terminal.config_sections import (
    DisplaySection,
    LineSection,
    PrinterSection,
    SounderSection,
)
from terminal.devices.opening import Devices, open_devices
from terminal.devices.protocols import DeviceState, FaceVerdict, Slip
from terminal.screen import Led, Screen, Tone

AT_ONCE_S = 2.0  # generous: a call takes microseconds, and must never wait for a device
PATIENCE_S = 20.0
NOW = dt.datetime(2026, 11, 22, 4, 0, 0, tzinfo=dt.UTC)
SCREEN = Screen(("请刷卡      TAP CARD", "", "", ""), Led.WHITE, Tone.NONE)
KINDS = ["display", "gps", "scanner", "printer"]


@dataclass
class Rig:
    """All devices of a configuration, with the mock of the one looked at."""

    kind: str
    devices: Devices
    end: SerialEnd

    def use(self) -> None:
        """Do with the device what the program does in one turn."""
        devices = self.devices
        devices.display.show(SCREEN)
        devices.gps.fix()
        devices.scanner.codes()
        devices.printer.print(Slip(("x",)))
        devices.states()

    def state(self) -> DeviceState:
        """Return how the device looked at is; a display tells by what it shows."""
        return self.devices.states()[self.kind]


def mock_of(kind: str, link: Path) -> tuple[SerialEnd, Config]:
    """Return a mock and the configuration that names its device."""
    device = f"tty:{link}"
    if kind == "display":
        return BitmapPanel(link), Config(display=DisplaySection(device, "st7920"))
    if kind == "gps":
        return GpsReceiver(link, Sky(NOW)), Config(gps=LineSection(device))
    if kind == "scanner":
        return CodeScanner(link), Config(scanner=LineSection(device))
    return ReceiptPrinter(link), Config(printer=PrinterSection(device))


@contextmanager
def rig_of(kind: str, folder: Path) -> Iterator[Rig]:
    """Open a device with its mock behind it."""
    end, config = mock_of(kind, folder / kind)
    with end.running():
        devices = open_devices(config)
        try:
            yield Rig(kind, devices, end)
        finally:
            devices.close()


@pytest.fixture(params=KINDS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """One device after the other."""
    with rig_of(request.param, tmp_path) as made:
        yield made


def until(wish: Callable[[], bool]) -> bool:
    """Wait for a wish; return whether it came true."""
    limit = time.monotonic() + PATIENCE_S
    while not wish():
        if time.monotonic() > limit:
            return False
        time.sleep(0.01)
    return True


def works(rig: Rig) -> bool:
    """Say whether the device does its work now."""
    if isinstance(rig.end, BitmapPanel):
        rig.use()
        return any(rig.end.controller.picture())
    if isinstance(rig.end, GpsReceiver):
        rig.end.tick()
        rig.use()
        return rig.state() in (DeviceState.OK, DeviceState.SEARCHING)
    if isinstance(rig.end, CodeScanner):
        rig.end.scan(b"YT1:%d" % time.monotonic_ns())
        return bool(rig.devices.scanner.codes())
    return rig.state() is DeviceState.OK


def test_it_works(rig: Rig) -> None:
    """A device whose mock speaks the true bytes does its work."""
    assert until(lambda: works(rig))


def test_a_pulled_cable_is_told_and_mended(rig: Rig) -> None:
    """Without its cable a device is off line and nothing fails; put back, it works again."""
    assert until(lambda: works(rig))
    rig.end.pull()

    def away() -> bool:
        rig.use()
        return rig.kind == "display" or rig.state() is DeviceState.OFFLINE

    assert until(away)
    rig.end.plug()
    assert until(lambda: works(rig))


def test_noise_stops_nothing(rig: Rig) -> None:
    """Random bytes from the line fail no call, and afterwards the device works."""
    noise = random.Random(7)
    for _ in range(20):
        rig.end.send(noise.randbytes(200))
        rig.use()

    assert until(lambda: works(rig))


def test_no_call_waits(rig: Rig) -> None:
    """A device whose other end reads nothing and says nothing holds nobody up."""
    rig.end.pull()
    start = time.monotonic()
    for _ in range(50):
        rig.use()

    assert time.monotonic() - start < 50 * AT_ONCE_S


def test_what_is_not_configured_is_there_and_says_none() -> None:
    """A terminal without devices has all of them, and their state is `none`."""
    devices = open_devices(Config())
    devices.display.show(SCREEN)
    devices.sounder.play(Tone.IN)
    devices.sounder.light(Led.RED)
    devices.gps.not_before(1)

    assert set(devices.states().values()) == {DeviceState.NONE}
    assert devices.gps.fix() is None
    assert devices.scanner.codes() == []
    assert not devices.printer.print(Slip(("x",)))
    assert devices.face.check(bytes(10)) is FaceVerdict.REFUSED
    devices.close()


def test_devices_whose_files_never_come_are_off_line(tmp_path: Path) -> None:
    """Paths that do not exist are no error of the start."""
    gone = f"tty:{tmp_path}/gone"
    config = Config(
        display=DisplaySection(gone, "st7920"),
        gps=LineSection(gone),
        scanner=LineSection(gone),
        printer=PrinterSection(gone),
        sounder=SounderSection(f"evdev:{tmp_path}/gone", f"{tmp_path}/led"),
    )
    devices = open_devices(config)
    devices.display.show(SCREEN)
    devices.sounder.play(Tone.IN)
    devices.sounder.light(Led.RED)
    states = devices.states()

    assert {states[name] for name in ("gps", "scanner", "printer", "sounder")} == {
        DeviceState.OFFLINE
    }
    devices.close()
