# SPDX-License-Identifier: Apache-2.0
"""Load what the rules know of places: sites, regions, activities, parameters."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.reconciliation import arrays
from server.reconciliation.arrays import Array
from server.reconciliation.models import RuleParameter
from server.reconciliation.parameters import SCOPED
from server.reconciliation.sphere import point_m
from server.terminals.models import Activity, Psam, Site, Terminal

NOT_SET = -1


@dataclass(frozen=True)
class Places:
    """Zone of each site, number of each region, site of each PSAM, and the register of sites."""

    zones: dict[int, int]
    regions: dict[str, int]
    by_psam: dict[bytes, int]
    rows: Array

    @classmethod
    def read(cls, session: Session) -> Places:
        """Read them all; a deployment has some thousand sites."""
        found = session.execute(
            sa.select(Site.id, Site.tz_q, Site.region, Site.lat_e7, Site.lon_e7).order_by(Site.id)
        ).all()
        owners = sa.select(Psam.number, Terminal.site_id).join(
            Terminal, Terminal.id == Psam.terminal_id
        )
        regions = _numbered({row.region for row in found})
        rows = arrays.empty(arrays.SITE_DTYPE, len(found))
        for row, site in zip(rows, found, strict=True):
            row["id"], row["region"] = site.id, regions.get(site.region, 0)
            if site.lat_e7 is not None and site.lon_e7 is not None:
                row["x_m"], row["y_m"], row["z_m"] = point_m(site.lat_e7, site.lon_e7)
                row["located"] = 1
        return cls(
            {row.id: row.tz_q for row in found},
            regions,
            {bytes(number): site for number, site in session.execute(owners)},
            rows,
        )


def load_activities(session: Session) -> Array:
    """Return the register of activities."""
    found = session.execute(
        sa.select(
            Activity.id, Activity.start_ms, Activity.end_ms, Activity.site_id, Activity.family
        ).order_by(Activity.id)
    ).all()
    families = _numbered({row.family for row in found})
    rows = arrays.empty(arrays.ACTIVITY_DTYPE, len(found))
    for row, activity in zip(rows, found, strict=True):
        row["id"], row["site"] = activity.id, activity.site_id
        row["start_ms"], row["end_ms"] = activity.start_ms or 0, activity.end_ms or 0
        row["family"] = families.get(activity.family, 0)
    return rows


def load_parameters(session: Session, regions: dict[str, int]) -> Array:
    """Return what activities, sites and regions have of their own.

    A region without a site has a number that no site has.
    """
    found = session.scalars(sa.select(RuleParameter).order_by(RuleParameter.id)).all()
    rows = arrays.empty(arrays.PARAMETER_DTYPE, len(found))
    for row, made in zip(rows, found, strict=True):
        row["id"], row["from_ms"] = made.id, made.from_ms
        row["activity"], row["site"] = made.activity or 0, made.site or 0
        row["region"] = regions.get(made.region, len(regions) + 1) if made.region else 0
        for name in SCOPED:
            row[name] = made.settings.get(name, NOT_SET)
    return rows


def _numbered(names: set[str]) -> dict[str, int]:
    """Return a number from 1 on for every name that is not empty.

    >>> _numbered({"b", "", "a"})
    {'a': 1, 'b': 2}
    """
    return {name: number for number, name in enumerate(sorted(names - {""}), 1)}
