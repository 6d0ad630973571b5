# SPDX-License-Identifier: Apache-2.0
"""What the tests of applications share: somebody applies, trains, serves; somebody decides."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.custody import KeyStore
from server.applications import services
from server.applications.policy import Channel
from server.applications.services import Submission, Submitted, Via
from server.people.models import Volunteer
from server.reconciliation.models import ServiceInterval, TrainingRecord
from tests.factories import UTC_S
from tests.unit.server.applications.forms import make_submission

NOW_MS = UTC_S * 1000
DAY_MS = 86_400_000
ONLINE = Via(Channel.ONLINE, "applicant", with_code=False)
TODAY = dt.date(2026, 11, 21)


def apply(
    session: Session, store: KeyStore, given: Submission | None = None, via: Via = ONLINE
) -> Submitted:
    """Hand in an application."""
    return services.submit(session, store, given or make_submission(), via, NOW_MS)


def trained(session: Session, person: int, minutes: int, end_ms: int = NOW_MS - 3 * DAY_MS) -> None:
    """Write a class as it is derived from two taps; the way from taps has its own tests."""
    session.add(
        TrainingRecord(
            person=person, in_terminal=1, in_seq=1, out_terminal=1, out_seq=2,
            start_ms=end_ms - minutes * 60_000, end_ms=end_ms, minutes=minutes, site=1,
            activity=None, service_day=TODAY, made_ms=NOW_MS, current=True,
        )
    )  # fmt: skip
    session.flush()


def served(session: Session, person: int, minutes: int, start_ms: int = NOW_MS - DAY_MS) -> None:
    """Write a service as it is derived from two taps."""
    session.add(
        ServiceInterval(
            person=person, key=f"test:{person}:{start_ms}:{minutes}", start_ms=start_ms,
            end_ms=start_ms + minutes * 60_000, credited_minutes=minutes, grade="A",
            state="credited", rules="", site=1, engine_version=1, activity=None, service_day=TODAY,
            current=True, made_ms=NOW_MS,
        )
    )  # fmt: skip
    session.flush()


def ready(session: Session, store: KeyStore, order: int = 1) -> Submitted:
    """Take somebody in who has done everything that is asked."""
    made = apply(session, store, make_submission(order))
    trained(session, made.volunteer_id, 90)
    served(session, made.volunteer_id, 600)
    return made


def number_of(session: Session, person: int) -> str:
    """Return a person's number."""
    return session.execute(sa.select(Volunteer.number).where(Volunteer.id == person)).scalar_one()
