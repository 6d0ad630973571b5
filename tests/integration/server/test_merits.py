# SPDX-License-Identifier: Apache-2.0
"""Level by hours, credit and points by organisations."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa

from server.db import Database
from server.errors import Refused
from server.reconciliation.corrections import Said
from server.reconciliation.levels import LevelRule, level_of
from server.reconciliation.merits import assign, standing
from server.structure.models import Organisation
from tests.integration.test_timebank import NOW_MS, add_interval, add_person

DAY = dt.date(2026, 11, 22)


def test_s14_level_from_hours_and_what_organisations_gave(database: Database) -> None:
    """300 hours are two stars; points and credit stand with organisation, author and date."""
    with database.writing() as session:
        person = add_person(session, 1)
        for seq in range(30):
            add_interval(session, person, seq, 600)
        team = Organisation(
            code="team", name_zh="大队", name_en="team", region="440303", created_ms=0
        )
        session.add(team)
        session.flush()
        assign(session, person, team.id, "points", 20, Said("wang", "台风值守", NOW_MS))
        assign(session, person, team.id, "points", -5, Said("li", "重复登记", NOW_MS + 1))
        assign(session, person, team.id, "credit", 3, Said("wang", "按时到岗", NOW_MS + 2))
        for kind, value, of in (("gold", 1, team.id), ("points", 0, team.id), ("points", 1, 99)):
            with pytest.raises(Refused):
                assign(session, person, of, kind, value, Said("wang", "台风值守", NOW_MS))

    with database.reading() as session:
        found = standing(session, person, DAY)
    assert (found.level, found.minutes, found.points, found.credit) == (2, 18_000, 15, 3)
    first = found.given[-1]
    assert (first.organisation_zh, first.actor, first.at_ms) == ("大队", "wang", NOW_MS)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.writing() as session:
        session.execute(sa.text("UPDATE merit SET value = 1000"))


def test_s14_a_new_rule_counts_from_its_day() -> None:
    """With a rule of 50 hours from 2027 on, 60 hours are no star before and one after."""
    rules = (LevelRule(dt.date(1970, 1, 1), (100,)), LevelRule(dt.date(2027, 1, 1), (50,)))

    assert level_of(3_600, dt.date(2026, 12, 31), rules) == 0
    assert level_of(3_600, dt.date(2027, 1, 1), rules) == 1
