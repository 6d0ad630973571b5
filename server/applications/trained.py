# SPDX-License-Identifier: Apache-2.0
"""Who was trained in what: for finding people with skills and for following new ones."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.people.models import Volunteer
from server.reconciliation.models import TrainingRecord

LISTED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Trained:
    """One volunteer and their minutes of training that count for the search."""

    number: str
    masked_name: str
    minutes: int


def trained_people(
    session: Session, activity: int | None, minutes: int, since_ms: int
) -> list[Trained]:
    """List people with at least so many minutes of training since an instant, by number.

    `activity` narrows it to one course; None counts all of them.
    """
    total = sa.func.sum(TrainingRecord.minutes)
    statement = (
        sa.select(Volunteer.number, Volunteer.masked_name, total)
        .join(Volunteer, Volunteer.id == TrainingRecord.person)
        .where(TrainingRecord.current, TrainingRecord.start_ms >= since_ms)
        .group_by(Volunteer.number, Volunteer.masked_name)
        .having(total >= max(1, minutes))
        .order_by(Volunteer.number)
        .limit(LISTED_MAX)
    )
    if activity is not None:
        statement = statement.where(TrainingRecord.activity == activity)
    return [Trained(number, name, int(sum_)) for number, name, sum_ in session.execute(statement)]
