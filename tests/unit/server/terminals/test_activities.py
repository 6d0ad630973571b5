# SPDX-License-Identifier: Apache-2.0
"""Activities asked for, decided by somebody else, repeated, called off; what terminals hear."""

from __future__ import annotations

import dataclasses
import json

import pytest
import sqlalchemy as sa

from server.errors import Refused
from server.structure.rights import Reach
from server.terminals import activities
from server.terminals.activities import DAY_MS, Wish, state_now
from server.terminals.models import ActivityApplication, Site, Terminal
from server.terminals.services import NewActivity, add_activity
from server.terminals.site_content import content
from tests.unit.server.structure.conftest import HOUR_MS, NOW_MS, Country, country

__all__ = ["country"]
START_MS = NOW_MS + 20 * HOUR_MS
REASON = "台风停办，改期另行通知"


def wish(country: Country, **changes: object) -> Wish:
    """A morning in the park next day."""
    plain = Wish(
        country.park, "GUIDE", "公园导览", "Park guide", START_MS, START_MS + 3 * HOUR_MS,
        capacity=20,
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def heard(country: Country, now_ms: int = NOW_MS) -> list[str]:
    """Return the codes that a terminal of the park is told."""
    terminal = country.session.scalar(sa.select(Terminal))
    if terminal is None:
        terminal = Terminal(
            name="gate", site_id=country.park, state="active", created_by="li", config_version=1,
            created_ms=NOW_MS,
        )  # fmt: skip
        country.session.add(terminal)
        country.session.flush()
    document = json.loads(content(country.session, terminal, 1, now_ms))
    return [each["code"] for each in document["activities"]]


def test_terminals_hear_of_an_activity_once_it_is_approved(country: Country) -> None:
    """An application is no activity; approved by somebody else it is, and the version steps."""
    session = country.session
    asked = activities.apply(session, wish(country), "user:li", NOW_MS)
    before = session.get_one(Site, country.park).config_version
    assert heard(country) == []

    made = activities.approve(session, asked.id, "wang", NOW_MS)

    assert [(each.code, each.capacity) for each in made] == [("GUIDE", 20)]
    assert heard(country) == ["GUIDE"]
    assert session.get_one(Site, country.park).config_version > before


@pytest.mark.parametrize("actor", ["li", "user:li"])
def test_nobody_decides_on_an_own_application(country: Country, actor: str) -> None:
    """Whether at the console or on the page, the applicant is the same person."""
    asked = activities.apply(country.session, wish(country), "user:li", NOW_MS)

    with pytest.raises(Refused, match="own"):
        activities.approve(country.session, asked.id, actor, NOW_MS)
    with pytest.raises(Refused, match="own"):
        activities.refuse(country.session, asked.id, REASON, actor, NOW_MS)


def test_database_itself_refuses_one_person_for_both(country: Country) -> None:
    """A row approved by its applicant cannot be stored."""
    asked = activities.apply(country.session, wish(country), "li", NOW_MS)

    with pytest.raises(sa.exc.IntegrityError), country.session.begin_nested():
        country.session.execute(
            sa.update(ActivityApplication)
            .where(ActivityApplication.id == asked.id)
            .values(state="approved", decided_by="li")
        )


def test_repeated_activity_becomes_one_of_each_time(country: Country) -> None:
    """Four Saturdays are four activities of one family, a week apart, each with its own code."""
    asked = activities.apply(country.session, wish(country, every_days=7, times=4), "li", NOW_MS)

    made = activities.approve(country.session, asked.id, "wang", NOW_MS)

    assert [each.code for each in made] == ["GUIDE", "GUIDE02", "GUIDE03", "GUIDE04"]
    assert {each.family for each in made} == {"GUIDE"}
    assert [(each.start_ms - START_MS) // DAY_MS for each in made] == [0, 7, 14, 21]


def test_application_nobody_decided_in_time_has_expired(country: Country) -> None:
    """After its first time is over it can only be asked for again."""
    asked = activities.apply(country.session, wish(country), "li", NOW_MS)
    later_ms = START_MS + 4 * HOUR_MS

    assert state_now(asked, later_ms) == "expired"
    with pytest.raises(Refused, match="expired"):
        activities.approve(country.session, asked.id, "wang", later_ms)
    everywhere = Reach(everywhere=True)
    assert activities.listing(country.session, everywhere, later_ms, waiting=True) == []


def test_cancelling_calls_off_what_has_not_begun(country: Country) -> None:
    """Times that have begun stay with the people who tapped; the others leave the terminals."""
    session = country.session
    asked = activities.apply(session, wish(country, every_days=7, times=3), "li", NOW_MS)
    activities.approve(session, asked.id, "wang", NOW_MS)
    now_ms = START_MS + HOUR_MS

    activities.cancel(session, asked.id, REASON, "li", now_ms)

    assert heard(country, now_ms) == ["GUIDE"]
    assert asked.reason == REASON
    with pytest.raises(Refused, match="over"):
        activities.cancel(session, asked.id, REASON, "li", now_ms)


def test_activity_that_has_begun_for_the_last_time_is_not_called_off(country: Country) -> None:
    """There is nothing left to cancel."""
    asked = activities.apply(country.session, wish(country), "li", NOW_MS)
    activities.approve(country.session, asked.id, "wang", NOW_MS)

    with pytest.raises(Refused, match="begun"):
        activities.cancel(country.session, asked.id, REASON, "li", START_MS + 1)


def test_activities_planned_before_stand_as_approved(country: Country) -> None:
    """What was planned at the console is told to terminals; a week after its end no more."""
    new = NewActivity(country.park, "OLD", "旧", "old", NOW_MS, NOW_MS + HOUR_MS)
    add_activity(country.session, new, "test", NOW_MS)

    assert heard(country) == ["OLD"]
    assert heard(country, NOW_MS + 9 * DAY_MS) == []


def test_refusal_is_told_with_its_reason(country: Country) -> None:
    """A refused application keeps the reason, and is decided once."""
    asked = activities.apply(country.session, wish(country), "li", NOW_MS)
    with pytest.raises(Refused, match="reason"):
        activities.refuse(country.session, asked.id, "no", "wang", NOW_MS)

    activities.refuse(country.session, asked.id, REASON, "wang", NOW_MS)

    assert (asked.state, asked.reason) == ("refused", REASON)
    with pytest.raises(Refused, match="decided"):
        activities.approve(country.session, asked.id, "wang", NOW_MS)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"code": "guide"}, "activity-code"),
        ({"code": "A" * 13}, "activity-code"),
        ({"name_zh": " "}, "name-length"),
        ({"end_ms": START_MS}, "activity-time"),
        ({"end_ms": START_MS + 8 * DAY_MS}, "activity-time"),
        ({"start_ms": NOW_MS - HOUR_MS, "end_ms": NOW_MS}, "activity-past"),
        ({"start_ms": NOW_MS + 400 * DAY_MS, "end_ms": NOW_MS + 401 * DAY_MS}, "activity-past"),
        ({"times": 0}, "repeat"),
        ({"times": 2}, "repeat"),
        ({"times": 61, "every_days": 7}, "repeat"),
        ({"times": 2, "every_days": 1, "end_ms": START_MS + 2 * DAY_MS}, "overlap"),
        ({"capacity": 0}, "capacity"),
        ({"planned_min": -1}, "planned"),
    ],
)
def test_unfit_wish_is_refused(country: Country, changes: dict[str, object], code: str) -> None:
    """Code, names, time, repetition, capacity and plan are checked when it is filed."""
    with pytest.raises(Refused) as refused:
        activities.apply(country.session, wish(country, **changes), "li", NOW_MS)

    assert refused.value.code == code


def test_taken_code_is_found_at_the_decision(country: Country) -> None:
    """Two applications may want one code; the second to be approved is refused."""
    first, second = (
        activities.apply(country.session, wish(country), "li", NOW_MS) for _ in range(2)
    )
    activities.approve(country.session, first.id, "wang", NOW_MS)

    with pytest.raises(Refused, match="taken"):
        activities.approve(country.session, second.id, "wang", NOW_MS)


def test_lists_are_narrowed_by_reach(country: Country) -> None:
    """Who reaches another region sees none of these applications."""
    activities.apply(country.session, wish(country), "li", NOW_MS)

    for within, count in ((Reach(regions=frozenset({"440300"})), 1), (Reach(), 0)):
        assert len(activities.listing(country.session, within, NOW_MS)) == count
        assert len(activities.listing(country.session, within, NOW_MS, waiting=True)) == count
    far = Reach(regions=frozenset({"370000"}))
    assert activities.listing(country.session, far, NOW_MS) == []
