# SPDX-License-Identifier: Apache-2.0
"""Open all devices that a configuration names."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from terminal.config import Config
from terminal.config_sections import DisplaySection, PrinterSection
from terminal.devices.absent import NoFaceCheck, NoGps, NoPrinter, NoScanner, NoSounder
from terminal.devices.face import open_face_check
from terminal.devices.gps import SerialGps
from terminal.devices.printer import ProcessPrinter
from terminal.devices.protocols import (
    Device,
    DeviceState,
    FaceCheck,
    Gps,
    Printer,
    Scanner,
    Sounder,
)
from terminal.devices.raster import Raster
from terminal.devices.scanner import SerialScanner
from terminal.devices.sounder import LinuxSounder
from terminal.devices.st7920 import BitmapDisplay
from terminal.display import Display, NoDisplay, SerialDisplay
from terminal.keypad import Keypad, NoKeypad, open_keypad
from terminal.serial_line import BAUD

NONE = "none"


@dataclass(slots=True)
class Devices:
    """Everything round the reader; what is not configured is there as an absent device."""

    display: Display = field(default_factory=NoDisplay)
    keypad: Keypad = field(default_factory=NoKeypad)
    sounder: Sounder = field(default_factory=NoSounder)
    printer: Printer = field(default_factory=NoPrinter)
    gps: Gps = field(default_factory=NoGps)
    scanner: Scanner = field(default_factory=NoScanner)
    face: FaceCheck = field(default_factory=NoFaceCheck)

    def states(self) -> dict[str, DeviceState]:
        """Return the state of every device that tells one, by its section's name."""
        return {name: device.state for name, device in self._stated().items()}

    def close(self) -> None:
        """Let go of all of them."""
        self.display.close()
        self.keypad.close()
        for device in self._stated().values():
            device.close()

    def _stated(self) -> dict[str, Device]:
        return {
            "sounder": self.sounder,
            "printer": self.printer,
            "gps": self.gps,
            "scanner": self.scanner,
            "face": self.face,
        }


def open_devices(config: Config) -> Devices:
    """Open what the configuration names; a device that is not there now may come later.

    Raises:
        ConfigError: a font or a face check that is named but not installed.
    """
    sounder: Sounder = NoSounder()
    if (config.sounder.device, config.sounder.leds) != (NONE, NONE):
        sounder = LinuxSounder(config.sounder.device, config.sounder.leds)
    return Devices(
        display=open_display(config.display),
        keypad=open_keypad(config.keypad.device),
        sounder=sounder,
        printer=_printer(config.printer),
        gps=NoGps() if config.gps.device == NONE else SerialGps(config.gps.device, config.gps.baud),
        scanner=NoScanner()
        if config.scanner.device == NONE
        else SerialScanner(config.scanner.device, config.scanner.baud),
        face=open_face_check(config.face.plugin),
    )


def open_display(section: DisplaySection) -> Display:
    """Return the display of a configuration."""
    if section.device == NONE:
        return NoDisplay()
    if section.kind == "st7920":
        return BitmapDisplay(section.device, BAUD, Raster(Path(section.font)))
    return SerialDisplay(section.device)


def _printer(section: PrinterSection) -> Printer:
    if section.device == NONE:
        return NoPrinter()
    return ProcessPrinter(section.device, section.baud, section.columns)
