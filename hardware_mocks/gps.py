# SPDX-License-Identifier: Apache-2.0
"""A GPS receiver: RMC and GGA each second, with the lies that true receivers tell."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from pathlib import Path

from hardware_mocks.serial_end import SerialEnd


@dataclass(frozen=True, slots=True)
class Sky:
    """What the receiver believes: when, where, how well."""

    moment: dt.datetime
    lat: float = 22.5431
    lon: float = 114.0579
    satellites: int = 8
    hdop: float = 1.1
    valid: bool = True

    def later(self, seconds: float) -> Sky:
        """Return the same sky a moment later."""
        return replace(self, moment=self.moment + dt.timedelta(seconds=seconds))


# What receivers say after a cold start, or when ten bits of week have run over.
COLD_START = dt.datetime(1980, 1, 6, 0, 0, 12, tzinfo=dt.UTC)
ROLLED_OVER = dt.datetime(2013, 4, 7, 3, 2, 1, tzinfo=dt.UTC)


def sentence(body: str) -> bytes:
    r"""Return a sentence with its checksum and line end.

    >>> sentence("GPTXT,01,01,02,ok")
    b'$GPTXT,01,01,02,ok*49\r\n'
    """
    checksum = 0
    for byte in body.encode("ascii"):
        checksum ^= byte
    return f"${body}*{checksum:02X}\r\n".encode("ascii")


def rmc(sky: Sky) -> bytes:
    """Return the recommended minimum: status, position, date and time."""
    clock, day = f"{sky.moment:%H%M%S}.00", f"{sky.moment:%d%m%y}"
    where = f"{_degrees(sky.lat, 2, 'NS')},{_degrees(sky.lon, 3, 'EW')}"
    return sentence(f"GNRMC,{clock},{'A' if sky.valid else 'V'},{where},0.0,0.0,{day},,,A")


def gga(sky: Sky) -> bytes:
    """Return the fix data: quality, satellites, dilution."""
    clock = f"{sky.moment:%H%M%S}.00"
    where = f"{_degrees(sky.lat, 2, 'NS')},{_degrees(sky.lon, 3, 'EW')}"
    quality = 1 if sky.valid else 0
    return sentence(
        f"GNGGA,{clock},{where},{quality},{sky.satellites:02},{sky.hdop:.1f},12.0,M,-2.0,M,,"
    )


def second(sky: Sky) -> bytes:
    """Return what a receiver says in one second."""
    return gga(sky) + sentence("GPGSV,1,1,01,05,40,083,46") + rmc(sky)


class GpsReceiver(SerialEnd):
    """A receiver on a cable; a test says when a second has passed."""

    def __init__(self, link: Path, sky: Sky) -> None:
        super().__init__(link)
        self.sky = sky

    def tick(self, seconds: int = 1) -> None:
        """Let seconds pass and say what there is to say."""
        for _ in range(seconds):
            self.sky = self.sky.later(1)
            self.send(second(self.sky))


def _degrees(value: float, width: int, letters: str) -> str:
    whole, part = divmod(abs(value), 1)
    return f"{int(whole):0{width}}{part * 60:08.5f},{letters[value < 0]}"
