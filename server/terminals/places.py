# SPDX-License-Identifier: Apache-2.0
"""Where sites stand among organisations and regions, and which of them a right reaches."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.people import audit
from server.structure import organisations, regions
from server.structure.models import Organisation
from server.structure.policy import stem
from server.structure.rights import NOWHERE, Place, Reach
from server.terminals.models import Site
from server.terminals.services import find_site


def place_of_site(session: Session, site_id: int) -> Place:
    """Return the place of a site: itself, its organisations, its region or that of the nearest.

    A site that does not exist stands nowhere.
    """
    site = session.get(Site, site_id)
    if site is None:
        return NOWHERE
    above = organisations.place_of(session, site.organisation_id, site.region)
    return Place((site.id,), above.organisations, above.regions)


def site_in_reach(session: Session, within: Reach) -> sa.ColumnElement[bool]:
    """Return the condition that a site is in reach, for narrowing a list."""
    if within.everywhere:
        return sa.true()
    found = [sa.false(), Site.id.in_(sorted(within.sites))]
    if within.organisations:
        below = organisations.with_below(session, within.organisations)
        found.append(Site.organisation_id.in_(below))
    for code in within.regions:
        own = Site.region.startswith(stem(code), autoescape=True)
        there = sa.select(Organisation.id).where(
            Organisation.region.startswith(stem(code), autoescape=True)
        )
        found.append(sa.or_(own, sa.and_(Site.region == "", Site.organisation_id.in_(there))))
    return sa.or_(*found)


def sites_in_reach(session: Session, within: Reach) -> list[Site]:
    """Return the sites in reach, in the order of their numbers."""
    statement = sa.select(Site).where(site_in_reach(session, within)).order_by(Site.id)
    return list(session.scalars(statement))


def put(
    session: Session, site_id: int, region: str, organisation: str | None, by: tuple[str, int]
) -> Site:
    """Put a site below a region ("" for none) and an organisation by its code (None for none).

    Raises:
        Refused: site, region or organisation unknown.
    """
    actor, now_ms = by
    site = find_site(session, site_id)
    if region:
        regions.find(session, region)
    owner = organisations.by_code(session, organisation) if organisation else None
    site.region = region
    site.organisation_id = owner.id if owner else None
    audit.record(
        session, now_ms, actor, "site.placed", f"site:{site_id}",
        region=region, organisation=organisation or "",
    )  # fmt: skip
    return site
