# SPDX-License-Identifier: Apache-2.0
"""What follows an application: training lists, the League, one's own copy, erasure."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa

from keys.custody import KeyStore
from server.applications import services, settings
from server.applications.league import League, join_league, league_of, leave_league
from server.applications.models import Application, ApplicationPhoto, LeagueMembership
from server.applications.settings import By
from server.applications.trained import trained_people
from server.db import Database
from server.errors import Refused
from server.people import services as people
from server.people.models import Volunteer
from server.people.personal import Reader
from server.privacy.dossier import dossier
from server.privacy.erasing import Erasure, erase
from server.reconciliation.models import TrainingRecord
from tests.integration.server.applications.desk import DAY_MS, NOW_MS, apply, ready, trained
from tests.unit.server.applications.forms import mainland_id, make_submission

BY = By("user:li", NOW_MS)
YEAR_MS = 365 * DAY_MS


def test_s12_people_trained_in_a_course_are_found_exactly(
    database: Database, key_store: KeyStore
) -> None:
    """Enough hours of that course within the year: others, shorter and older ones are not."""
    with database.writing() as session:
        made = [apply(session, key_store, make_submission(n)) for n in (1, 2, 3, 4)]
        enough, short, old, other = (one.volunteer_id for one in made)
        trained(session, enough, 60, NOW_MS - 10 * DAY_MS)
        trained(session, enough, 60, NOW_MS - 9 * DAY_MS)
        trained(session, short, 119)
        trained(session, old, 240, NOW_MS - YEAR_MS - DAY_MS)
        trained(session, other, 240)
        session.execute(
            sa.update(TrainingRecord).where(TrainingRecord.person != other).values(activity=3)
        )

        found = trained_people(session, 3, 120, NOW_MS - YEAR_MS)
        everywhere = trained_people(session, None, 120, NOW_MS - YEAR_MS)

    assert [(one.number, one.minutes) for one in found] == [(made[0].number, 120)]
    assert [one.number for one in everywhere] == [made[0].number, made[3].number]


def test_s16_league_members_become_alumni_at_the_age_limit_without_a_change(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """Member until the day before the birthday, alumnus from then on; the row stays as it is."""
    with sqlite_database.writing() as session:
        born = make_submission(document_number=mainland_id("20000601"))
        person = apply(session, key_store, born)
        number = person.number
        assert _on(session, key_store, person.volunteer_id, 2026, 1, 1) is League.NONE
        join_league(session, number, dt.date(2016, 5, 4), BY)
        with pytest.raises(Refused):
            join_league(session, number, dt.date(2017, 5, 4), BY)
        assert _on(session, key_store, person.volunteer_id, 2016, 5, 3) is League.NONE
        assert _on(session, key_store, person.volunteer_id, 2028, 5, 31) is League.MEMBER
        assert _on(session, key_store, person.volunteer_id, 2028, 6, 1) is League.ALUMNUS
        settings.set_rules(session, {"league_age_max": 30}, BY)
        assert _on(session, key_store, person.volunteer_id, 2028, 6, 1) is League.MEMBER
        leave_league(session, number, dt.date(2027, 1, 1), BY)
        assert _on(session, key_store, person.volunteer_id, 2027, 1, 1) is League.ALUMNUS
        [row] = session.scalars(sa.select(LeagueMembership))
        assert (row.joined, row.left) == (dt.date(2016, 5, 4), dt.date(2027, 1, 1))


def _on(session: object, store: KeyStore, person: int, *day: int) -> League:
    return league_of(session, store, person, dt.date(*day))  # type: ignore[arg-type]


def test_ones_own_copy_holds_the_application(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """Document, mobile, address and what was accepted stand in the copy a person may ask for."""
    with sqlite_database.writing() as session:
        made = apply(session, key_store)
        copy = dossier(session, key_store, made.number, Reader("user:li", "本人申请", NOW_MS))

    [application] = copy["applications"]
    assert application["document"] == mainland_id()
    assert application["emergency"] == ["王大明", "13900139000"]
    assert {one["what"] for one in copy["accepted"]} >= {"charter", "conduct", "service"}


def test_erasure_leaves_nothing_by_which_somebody_is_found(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """Fingerprints, sealed fields and photos go; the same document may apply as somebody new."""
    with sqlite_database.writing() as session:
        for name, role in (("li", "staff"), ("wang", "admin")):
            people.add_user(session, people.NewUser(name, role), "long enough", "test", NOW_MS)
        made = ready(session, key_store)
        number = services.approve(session, key_store, made.application_id, "user:wang", NOW_MS)
        erase(session, Erasure(number, "本人申请", "li", "wang"), NOW_MS)

    with sqlite_database.writing() as session:
        row = session.get_one(Application, made.application_id)
        assert (row.document_fingerprint, row.sealed_mobile, row.document_tail) == (None, b"", "")
        assert session.scalar(sa.select(sa.func.count()).select_from(ApplicationPhoto)) == 0
        again = apply(session, key_store)
        assert again.volunteer_id != made.volunteer_id
        assert session.get_one(Volunteer, made.volunteer_id).number == number
