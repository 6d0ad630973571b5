# SPDX-License-Identifier: Apache-2.0
"""Places on the Earth as whole metres in space, so that the kernel compares them in integers."""

from __future__ import annotations

import math

EARTH_M = 6_371_000  # mean radius; a chord is never longer than the way on the ground
E7 = 10_000_000
LATITUDE_MAX_E7 = 90 * E7
LONGITUDE_MAX_E7 = 180 * E7


def point_m(lat_e7: int, lon_e7: int) -> tuple[int, int, int]:
    """Return x, y, z of a place given in units of 1e-7 degree.

    >>> point_m(0, 0), point_m(900_000_000, 0)
    ((6371000, 0, 0), (0, 0, 6371000))
    """
    lat, lon = math.radians(lat_e7 / E7), math.radians(lon_e7 / E7)
    around = EARTH_M * math.cos(lat)
    return (
        round(around * math.cos(lon)),
        round(around * math.sin(lon)),
        round(EARTH_M * math.sin(lat)),
    )
