# SPDX-License-Identifier: Apache-2.0
"""Names and time zones of sites and activities, read once for a page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.portal.names import Name
from server.terminals.models import Activity, Site

DEFAULT_ZONE_QUARTERS = 32  # Asia/Shanghai, where no site says otherwise


@dataclass(frozen=True, slots=True)
class Places:
    """Sites and activities by their ids."""

    sites: dict[int, Site]
    activities: dict[int, Activity]

    @classmethod
    def read(
        cls, session: Session, sites: Iterable[int | None], activities: Iterable[int | None]
    ) -> Places:
        """Read the sites and activities with these ids; unknown ids are simply absent."""
        sites_named = sa.select(Site).where(Site.id.in_(_known(sites)))
        activities_named = sa.select(Activity).where(Activity.id.in_(_known(activities)))
        return cls(
            {row.id: row for row in session.scalars(sites_named)},
            {row.id: row for row in session.scalars(activities_named)},
        )

    def site(self, number: int | None) -> Name | None:
        """Return the name of a site."""
        found = self.sites.get(number or 0)
        return Name(found.name_zh, found.name_en) if found else None

    def activity(self, number: int | None) -> Name | None:
        """Return the name of an activity."""
        found = self.activities.get(number or 0)
        return Name(found.name_zh, found.name_en) if found else None

    def zone(self, number: int | None) -> int:
        """Return the zone of a site in quarter hours."""
        found = self.sites.get(number or 0)
        return found.tz_q if found else DEFAULT_ZONE_QUARTERS


def _known(numbers: Iterable[int | None]) -> list[int]:
    return sorted({number for number in numbers if number})
