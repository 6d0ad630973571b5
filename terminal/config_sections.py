# SPDX-License-Identifier: Apache-2.0
"""The sections of the configuration file: every key, its type and its default."""

from __future__ import annotations

from dataclasses import dataclass

NO_POSITION = -0x8000_0000  # "no position" in the event's lat and lon


@dataclass(frozen=True, slots=True)
class TerminalSection:
    """Who this terminal is, and where it keeps its journal."""

    name: str = "terminal"
    data_dir: str = "/var/lib/yika-terminal"
    training: bool = False


@dataclass(frozen=True, slots=True)
class ServerSection:
    """Where to upload to; `keep_alive_s` is the longest silence.

    `pin` and `pin_next` name the public keys that HTTPS must show, now and after its next change;
    `plain_http` allows HTTP without TLS to another machine.
    """

    url: str = "http://127.0.0.1:8000"
    timeout_s: int = 10
    keep_alive_s: int = 3600
    pin: str = ""
    pin_next: str = ""
    plain_http: bool = False


@dataclass(frozen=True, slots=True)
class ReaderSection:
    """The readers: `pcsc:NAME`, and for the PSAM also `soft:FILE`."""

    card: str = "pcsc:"
    psam: str = "pcsc:"


@dataclass(frozen=True, slots=True)
class DeviceSection:
    """A serial device: `tty:/dev/…`, or `none`."""

    device: str = "none"


@dataclass(frozen=True, slots=True)
class DisplaySection:
    """The customer display: `text` is 4×20 in GB18030, `st7920` the 128×64 bitmap.

    `font` is what the bitmap's characters are drawn with.
    """

    device: str = "none"
    kind: str = "text"
    font: str = "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"


@dataclass(frozen=True, slots=True)
class SounderSection:
    """Buzzer and lights of the box: an input device, and a prefix in the LED class."""

    device: str = "none"
    leds: str = "none"


@dataclass(frozen=True, slots=True)
class PrinterSection:
    """An ESC/POS printer, its paper `columns` wide; `every_tap` prints without being asked."""

    device: str = "none"
    baud: int = 9600
    columns: int = 32
    every_tap: bool = False


@dataclass(frozen=True, slots=True)
class LineSection:
    """A serial device with a speed of its own: GPS receiver and code scanner."""

    device: str = "none"
    baud: int = 9600


@dataclass(frozen=True, slots=True)
class FaceSection:
    """The name of an installed face check (entry point group `yika.face_check`), or `none`."""

    plugin: str = "none"


@dataclass(frozen=True, slots=True)
class SiteSection:
    """Where the terminal stands, in degrees; events carry it if it is known."""

    latitude: float | None = None
    longitude: float | None = None

    @property
    def lat(self) -> int:
        """Return the latitude in 1e-7 degree, or the mark for "no position"."""
        return NO_POSITION if self.latitude is None else round(self.latitude * 10_000_000)

    @property
    def lon(self) -> int:
        """Return the longitude in 1e-7 degree, or the mark for "no position"."""
        return NO_POSITION if self.longitude is None else round(self.longitude * 10_000_000)


@dataclass(frozen=True, slots=True)
class ClockSection:
    """The declared drift of the device: 50 ppm for a crystal, 5 for a compensated one."""

    drift_ppm: int = 50


@dataclass(frozen=True, slots=True)
class UpdateSection:
    """Where the releases lie; how often the server is told how this terminal is doing."""

    dir: str = "/var/lib/yika-releases"
    status_s: int = 900
