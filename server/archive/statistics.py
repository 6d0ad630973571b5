# SPDX-License-Identifier: Apache-2.0
"""Sums over the archived hours, here or on a cluster: minutes and services by region and month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from server.archive.columns import read
from server.archive.manifest import Manifest
from server.archive.policy import Topic

UNKNOWN_REGION = ""


@dataclass(frozen=True, slots=True, order=True)
class Sum:
    """What was served in a region (its code, empty: not known) in a month."""

    region: str
    month: str
    services: int
    minutes: int


def by_region_and_month(folder: Path, manifest: Manifest, regions: Mapping[int, str]) -> list[Sum]:
    """Sum the credited hours of an archive; `regions` maps sites to codes."""
    found: dict[tuple[str, str], list[int]] = {}
    for file in manifest.files(Topic.INTERVALS):
        table = read(folder / file).select(["site", "credited_minutes", "state"])
        credited = np.array(table.column("state").to_pylist()) == "credited"
        sites = table.column("site").to_pylist()
        minutes = table.column("credited_minutes").to_numpy()
        for row in np.flatnonzero(credited).tolist():
            region = regions.get(sites[row], UNKNOWN_REGION)
            cell = found.setdefault((region, _month(file)), [0, 0])
            cell[0] += 1
            cell[1] += int(minutes[row])
    return sorted(Sum(*key, *cell) for key, cell in found.items())


def on_cluster(
    session: Any, folder: Path, manifest: Manifest, regions: Mapping[int, str]
) -> list[Sum]:
    """Sum the same with Spark's own SQL; the small register of sites is sent to every worker."""
    files = [str(folder / file) for file in manifest.files(Topic.INTERVALS)]
    if not files:
        return []
    session.read.parquet(*files).createOrReplaceTempView("yika_intervals")
    sites = [(site, region) for site, region in sorted(regions.items())]
    frame = session.createDataFrame(sites or [(0, UNKNOWN_REGION)], "site long, region string")
    frame.createOrReplaceTempView("yika_sites")
    rows = session.sql(_SQL).collect()
    return sorted(
        Sum(row["region"], row["month"], int(row["services"]), int(row["minutes"])) for row in rows
    )


_SQL = (
    "SELECT /*+ BROADCAST(yika_sites) */ coalesce(region, '') region, "
    "date_format(service_day, 'yyyy-MM') month, count(*) services, sum(credited_minutes) minutes "
    "FROM yika_intervals LEFT JOIN yika_sites USING (site) WHERE state = 'credited' GROUP BY 1, 2"
)


def _month(file: str) -> str:
    """Return the month of a file of an archive.

    >>> _month("intervals/2026-05/s0000.parquet")
    '2026-05'
    """
    return file.split("/")[1]
