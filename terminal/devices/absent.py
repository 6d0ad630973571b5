# SPDX-License-Identifier: Apache-2.0
"""The devices that are not there: they answer everything, and their state is `none`."""

from __future__ import annotations

from terminal.devices.protocols import DeviceState, FaceVerdict, Fix, Slip
from terminal.screen import Led, Tone


class Absent:
    """A device that is not configured."""

    @property
    def state(self) -> DeviceState:
        """Say that there is none."""
        return DeviceState.NONE

    def close(self) -> None:
        """Close nothing."""


class NoSounder(Absent):
    """A terminal whose display makes the only light and tone, or that has none at all."""

    def play(self, tone: Tone) -> None:
        """Play nothing."""

    def light(self, led: Led) -> None:
        """Light nothing."""


class NoPrinter(Absent):
    """A terminal without a printer."""

    def print(self, slip: Slip) -> bool:
        """Print nothing, and say so."""
        del slip
        return False


class NoGps(Absent):
    """A terminal without a receiver."""

    def fix(self) -> Fix | None:
        """Propose nothing."""
        return None

    def not_before(self, utc_s: int) -> None:
        """Need no floor."""


class NoScanner(Absent):
    """A terminal without a scanner."""

    def codes(self) -> list[bytes]:
        """Return nothing."""
        return []


class NoFaceCheck(Absent):
    """The default: nobody's face is ever confirmed."""

    def check(self, asn: bytes) -> FaceVerdict:
        """Refuse."""
        del asn
        return FaceVerdict.REFUSED
