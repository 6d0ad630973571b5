# SPDX-License-Identifier: Apache-2.0
"""What the program asks of each device; every call returns at once and none of them fails.

A device may be missing, unplugged, slow or talking nonsense. It says so in its `state`, tries again
by itself, and never holds up a tap. A missing device has an object too, whose state is `none`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

from terminal.screen import Led, Tone

SLIP_LINES_MAX = 40  # a hand's length of paper; more is a report, not a receipt


class DeviceState(enum.StrEnum):
    """How a device is; the words are those of status report and doctor."""

    NONE = "none"  # not configured
    OK = "ok"
    OFFLINE = "offline"  # no such file, unplugged, or no answer in time
    PAPER_LOW = "paper-low"
    PAPER_OUT = "paper-out"
    COVER_OPEN = "cover-open"
    BUSY = "busy"  # the queue is full: what comes now is not printed
    GARBAGE = "garbage"  # it talks, but not what its kind of device says
    SEARCHING = "searching"  # a GPS receiver without a fix that may be believed
    FAULT = "fault"  # it reports a fault of its own


@dataclass(frozen=True, slots=True)
class Slip:
    """A receipt for the volunteer: some lines of text, and the event itself as a QR code.

    Args:
        lines: at most `SLIP_LINES_MAX` lines; what is wider than the paper is wrapped.
        event: the 224 bytes of the signed event, or nothing.
    """

    lines: tuple[str, ...]
    event: bytes = b""


@dataclass(frozen=True, slots=True)
class Fix:
    """A position and a time that passed every gate; a proposal, never a setting.

    `lat` and `lon` count 1e-7 degrees as in the event, `utc_s` seconds since 1970 UTC at the moment
    of the sentence, `quality` the satellites and the dilution in tenths.
    """

    lat: int
    lon: int
    utc_s: int
    satellites: int
    hdop_tenths: int

    @property
    def quality(self) -> str:
        """Return satellites and dilution as one short text.

        >>> Fix(0, 0, 0, 7, 12).quality
        '7 sat, HDOP 1.2'
        """
        return f"{self.satellites} sat, HDOP {self.hdop_tenths / 10:.1f}"


class FaceVerdict(enum.StrEnum):
    """What a face check found; only `same` says that the holder stood there."""

    SAME = "same"
    OTHER = "other"
    NO_FACE = "no-face"
    UNKNOWN_CARD = "unknown-card"
    REFUSED = "refused"  # there is no face check, or it failed


class Device(Protocol):
    """What all devices have in common."""

    @property
    def state(self) -> DeviceState:
        """Say how the device is."""

    def close(self) -> None:
        """Let go of the device."""


class Sounder(Device, Protocol):
    """A buzzer and a light."""

    def play(self, tone: Tone) -> None:
        """Begin a tone pattern; a pattern under way is cut off."""

    def light(self, led: Led) -> None:
        """Show a colour from now on."""


class Printer(Device, Protocol):
    """A receipt printer behind a queue and a process of its own."""

    def print(self, slip: Slip) -> bool:
        """Queue a slip; return False if it will not be printed (none, offline, queue full)."""


class Gps(Device, Protocol):
    """A receiver that proposes where and when."""

    def fix(self) -> Fix | None:
        """Return the newest proposal that passed every gate and is not stale."""

    def not_before(self, utc_s: int) -> None:
        """Believe no date before this signed time; the floor only ever rises."""


class Scanner(Device, Protocol):
    """A code scanner."""

    def codes(self) -> list[bytes]:
        """Return the codes read since the last call, without their line end."""


class FaceCheck(Device, Protocol):
    """A plug-in that compares the face before the terminal with a card's holder."""

    def check(self, asn: bytes) -> FaceVerdict:
        """Say whether the holder of the card with this 10-byte serial stands there."""
