# SPDX-License-Identifier: Apache-2.0
"""Membership of the Youth League: what somebody is today follows from dates, never from a flag.

A member who reaches the age limit is an alumnus from that day on; no row is changed for it.
"""

from __future__ import annotations

import datetime as dt
import enum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.custody import KeyStore
from server.applications import settings
from server.applications.models import LeagueMembership
from server.applications.policy import Rules, is_old_enough
from server.applications.settings import By
from server.errors import Refused
from server.people import audit, personal
from server.people.models import Volunteer
from server.people.services import find_volunteer


class League(enum.StrEnum):
    """What somebody is to the Youth League."""

    NONE = "none"
    MEMBER = "league_member"
    ALUMNUS = "league_alumni"


def standing(
    joined: dt.date | None, left: dt.date | None, birth: dt.date, day: dt.date, rules: Rules
) -> League:
    """Return what somebody is on a day.

    >>> standing(dt.date(2016, 5, 4), None, dt.date(2000, 6, 1), dt.date(2028, 5, 31), Rules())
    <League.MEMBER: 'league_member'>
    >>> standing(dt.date(2016, 5, 4), None, dt.date(2000, 6, 1), dt.date(2028, 6, 1), Rules())
    <League.ALUMNUS: 'league_alumni'>
    """
    if joined is None or day < joined:
        return League.NONE
    if is_old_enough(birth, rules.league_age_max, day, rules):
        return League.ALUMNUS
    return League.ALUMNUS if left is not None and day >= left else League.MEMBER


def league_of(session: Session, store: KeyStore, volunteer_id: int, day: dt.date) -> League:
    """Return what a volunteer is to the League on a day."""
    row = _newest(session, volunteer_id)
    if row is None:
        return League.NONE
    volunteer = session.get_one(Volunteer, volunteer_id)
    birth = personal.opened_identity(personal.key_of(session, store, volunteer), volunteer).birth
    return standing(row.joined, row.left, birth, day, settings.current_rules(session))


def join_league(session: Session, number: str, joined: dt.date, by: By) -> LeagueMembership:
    """Note that a volunteer joined the League.

    Raises:
        Refused: unknown number, or a member already.
    """
    volunteer = find_volunteer(session, number)
    before = _newest(session, volunteer.id)
    if before is not None and before.left is None:
        raise Refused("league-member", "已是团员", "a member of the League already")
    row = LeagueMembership(
        volunteer_id=volunteer.id, joined=joined, left=None, actor=by.actor, at_ms=by.now_ms
    )
    session.add(row)
    session.flush()
    audit.record(
        session, by.now_ms, by.actor, "league.joined", f"volunteer:{number}",
        joined=joined.isoformat(),
    )  # fmt: skip
    return row


def leave_league(session: Session, number: str, left: dt.date, by: By) -> None:
    """Note that a volunteer left the League; that they were in it stays.

    Raises:
        Refused: unknown number, no member, or the day lies before joining.
    """
    row = _newest(session, find_volunteer(session, number).id)
    if row is None or row.left is not None or left < row.joined:
        raise Refused("no-league-member", "不是团员，或日期不对", "no member, or the day is wrong")
    row.left = left
    audit.record(
        session, by.now_ms, by.actor, "league.left", f"volunteer:{number}", left=left.isoformat()
    )


def _newest(session: Session, volunteer_id: int) -> LeagueMembership | None:
    return session.scalar(
        sa.select(LeagueMembership)
        .where(LeagueMembership.volunteer_id == volunteer_id)
        .order_by(LeagueMembership.id.desc())
        .limit(1)
    )
