# SPDX-License-Identifier: Apache-2.0
"""Open all devices that a configuration names."""

from __future__ import annotations

from dataclasses import dataclass, field

from terminal.config import Config
from terminal.devices.absent import NoFaceCheck, NoGps, NoPrinter, NoScanner, NoSounder
from terminal.devices.protocols import (
    Device,
    DeviceState,
    FaceCheck,
    Gps,
    Printer,
    Scanner,
    Sounder,
)
from terminal.display import Display, NoDisplay, open_display
from terminal.keypad import Keypad, NoKeypad, open_keypad


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
    """Open what the configuration names; a device that is not there now may come later."""
    return Devices(
        display=open_display(config.display.device),
        keypad=open_keypad(config.keypad.device),
    )
