# SPDX-License-Identifier: Apache-2.0
"""What organisations think of a volunteer beside the hours: level, credit and points."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.people import audit
from server.reconciliation.corrections import REASON_LENGTH_MAX, REASON_LENGTH_MIN, Said
from server.reconciliation.levels import level_of
from server.reconciliation.models import Merit
from server.reconciliation.services import service_minutes
from server.structure.models import Organisation

CREDIT, POINTS = KINDS = ("credit", "points")
# A slip of the finger gives nobody a life's points.
VALUE_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Given:
    """Credit or points: of which organisation, how many (less than 0 takes back), by whom, when."""

    kind: str
    value: int
    organisation_zh: str
    organisation_en: str
    actor: str
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Standing:
    """The level by hours, the sums of credit and points, and every single one, newest first."""

    level: int
    minutes: int
    credit: int
    points: int
    given: tuple[Given, ...]


def assign(
    session: Session, person: int, organisation: int, kind: str, value: int, said: Said
) -> Merit:
    """Give a volunteer credit or points in the name of an organisation.

    Raises:
        Refused: the kind, value or reason does not fit, or the organisation is none or closed.
    """
    if kind not in KINDS or not 0 < abs(value) <= VALUE_MAX:
        raise Refused("merit", "种类或数值不对", f"credit or points, 1 to {VALUE_MAX} or a minus")
    if not REASON_LENGTH_MIN <= len(said.reason) <= REASON_LENGTH_MAX:
        raise Refused("reason", "请写明原因（4 至 200 字）", "say why in 4 to 200 characters")
    found = session.get(Organisation, organisation)
    if found is None or found.closed_ms is not None:
        raise Refused("unknown-organisation", "没有这个组织", f"no organisation {organisation}")
    made = Merit(
        person=person, organisation=organisation, kind=kind, value=value, reason=said.reason,
        actor=said.actor, at_ms=said.now_ms,
    )  # fmt: skip
    session.add(made)
    session.flush()
    audit.record(
        session, said.now_ms, said.actor, "merit.assigned", f"merit:{made.id}",
        kind=kind, value=value, organisation=organisation, reason=said.reason,
    )  # fmt: skip
    return made


def standing(session: Session, person: int, day: dt.date) -> Standing:
    """Return a volunteer's level on a day and what organisations gave."""
    found = session.execute(
        sa.select(Merit, Organisation.name_zh, Organisation.name_en)
        .join(Organisation, Organisation.id == Merit.organisation)
        .where(Merit.person == person)
        .order_by(Merit.id.desc())
    ).all()
    given = tuple(
        Given(row.kind, row.value, zh, en, row.actor, row.reason, row.at_ms)
        for row, zh, en in found
    )
    minutes = service_minutes(session, person)
    sums = {kind: sum(item.value for item in given if item.kind == kind) for kind in KINDS}
    return Standing(level_of(minutes, day), minutes, sums[CREDIT], sums[POINTS], given)
