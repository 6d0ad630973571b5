# SPDX-License-Identifier: Apache-2.0
"""Check a claim: covered is who was insured and in service, within the city, at that moment.

The proof is a service as derived from taps; its number stands with the claim and on the trail.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.benefits.insurance import is_insured
from server.benefits.models import Claim
from server.benefits.policy import KINDS, pays_fen
from server.errors import Refused
from server.issuing.dates import local_day
from server.people import audit
from server.people.services import find_volunteer
from server.reconciliation.models import ServiceInterval
from server.terminals.models import Site

# Whoever had an accident may not have tapped out: an open service covers the longest shift.
OPEN_COVER_MS = 16 * 3_600_000
CITY = "4403"  # Shenzhen in GB/T 2260; a site's region begins with its city
COST_MAX_FEN = 100_000_000_00  # a hundred million yuan: more is a slip of the hand
TEXTS = {
    "covered": ("在保障范围内", "covered"),
    "not-insured": ("当日不在投保名单", "not insured on that day"),
    "no-service": ("事发时没有服务记录", "no service at that moment"),
    "outside-city": ("服务地点不在市内", "the service was outside the city"),
}


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One accident of one volunteer; two of them are two deductibles.

    `at_ms` is when it happened (ms UTC), `cost_fen` the medical cost.
    """

    number: str
    kind: str
    at_ms: int
    cost_fen: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an occurrence is covered, what it pays, and the service that proves it."""

    code: str
    pays_fen: int
    interval_id: int | None

    @property
    def zh(self) -> str:
        """Return the code in Chinese."""
        return TEXTS[self.code][0]

    @property
    def en(self) -> str:
        """Return the code in English."""
        return TEXTS[self.code][1]


def check(
    session: Session, found: Occurrence, actor: str, now_ms: int, city: str = CITY
) -> Verdict:
    """Check one occurrence and note what was found, covered or not.

    Raises:
        Refused: unknown number or kind, a cost that is none, an instant to come.
    """
    if found.kind not in KINDS or not 0 <= found.cost_fen <= COST_MAX_FEN:
        raise Refused("claim", "理赔类型或金额不对", "the kind or the cost of the claim is none")
    if found.at_ms > now_ms:
        raise Refused("claim-time", "事发时间晚于现在", "the accident lies in the future")
    person = find_volunteer(session, found.number).id
    code, interval = _judged(session, person, found, city)
    pays = pays_fen(found.kind, found.cost_fen) if code == "covered" else 0
    session.add(
        Claim(
            volunteer_id=person, kind=found.kind, at_ms=found.at_ms, cost_fen=found.cost_fen,
            pays_fen=pays, code=code, interval_id=interval, actor=actor, made_ms=now_ms,
        )
    )  # fmt: skip
    audit.record(
        session, now_ms, actor, "claim.checked", f"volunteer:{found.number}",
        kind=found.kind, code=code, service=interval,
    )  # fmt: skip
    return Verdict(code, pays, interval)


def _judged(session: Session, person: int, found: Occurrence, city: str) -> tuple[str, int | None]:
    if not is_insured(session, person, local_day(found.at_ms)):
        return "not-insured", None
    open_end = ServiceInterval.start_ms + OPEN_COVER_MS
    rows = session.execute(
        sa.select(ServiceInterval.id, sa.func.coalesce(Site.region, "").label("region"))
        .outerjoin(Site, Site.id == ServiceInterval.site)
        .where(
            ServiceInterval.person == person,
            ServiceInterval.current,
            ServiceInterval.start_ms <= found.at_ms,
            sa.func.coalesce(ServiceInterval.end_ms, open_end) > found.at_ms,
        )
        .order_by(ServiceInterval.id)
    ).all()
    for row in rows:
        if row.region.startswith(city):
            return "covered", row.id
    return ("outside-city", rows[0].id) if rows else ("no-service", None)
