# SPDX-License-Identifier: Apache-2.0
"""From applicant to volunteer: what blocks an approval, and what it does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from keys.custody import KeyStore
from server.applications import services, settings
from server.applications.models import Application
from server.applications.policy import Carrier, Channel, State
from server.applications.services import By, Choice, Unmet
from server.db import Database
from server.errors import Refused
from server.people import policy
from server.people import services as people
from server.people.models import Audit, Volunteer
from server.people.personal import Reader, identity
from server.people.services import CardReport
from server.privacy.erasing import Erasure, erase
from server.reconciliation.services import service_minutes
from tests.integration.server.applications.desk import (
    DAY_MS,
    NOW_MS,
    apply,
    number_of,
    ready,
    served,
    trained,
)
from tests.unit.server.applications.forms import make_submission

BOSS = "user:wang"
BY = By(BOSS, NOW_MS)
READER = Reader(BOSS, "test", NOW_MS)
CONCURRENT = 50


def figure(found: tuple[services.Condition, ...], code: str) -> tuple[bool, int, int]:
    """Return one condition: met, have, need."""
    return next((one.met, one.have, one.need) for one in found if one.code == code)


def test_s55_an_approval_lists_what_is_unmet(database: Database, key_store: KeyStore) -> None:
    """Nothing done yet: training and pre-service are named with their figures, nothing changes."""
    with database.writing() as session:
        made = apply(session, key_store)

    with pytest.raises(Unmet) as blocked, database.writing() as session:
        services.approve(session, key_store, made.application_id, BOSS, NOW_MS)

    assert [one.code for one in blocked.value.unmet] == ["training", "pre-service"]
    assert "0.00／2.00" in blocked.value.zh
    assert "0 of 600 minutes" in blocked.value.en
    with database.reading() as session:
        assert number_of(session, made.volunteer_id) == made.number


def test_s55_an_approval_is_decided_with_a_reason_and_audited(
    database: Database, key_store: KeyStore
) -> None:
    """The row and the audit trail say who decided, when and why; the person is told."""
    with database.writing() as session:
        made = ready(session, key_store)
        number = services.approve(
            session, key_store, made.application_id, BOSS, NOW_MS, "资料齐全"
        )  # fmt: skip

    with database.reading() as session:
        row = session.get_one(Application, made.application_id)
        assert (row.state, row.decided_by, row.reason) == ("approved", BOSS, "资料齐全")
        line = session.scalars(sa.select(Audit).where(Audit.action == "application.approved")).one()
        assert line.detail == {"number": number, "reason": "资料齐全"}
        with pytest.raises(Refused, match="approved"):
            services.approve(session, key_store, made.application_id, BOSS, NOW_MS)


def test_s55_who_entered_an_application_may_not_approve_it_unless_the_rule_is_off(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """Maker and checker are two people by rule; the rule can be set."""
    via = services.Via(Channel.STAFF, BOSS, with_code=False)
    with sqlite_database.writing() as session:
        made = apply(session, key_store, via=via)
        trained(session, made.volunteer_id, 90)
        served(session, made.volunteer_id, 600)
        with pytest.raises(Refused) as refused:
            services.approve(session, key_store, made.application_id, BOSS, NOW_MS)
        assert refused.value.code == "two-persons"
        settings.set_rules(session, {"two_persons": 0}, BY)
        assert services.approve(session, key_store, made.application_id, BOSS, NOW_MS)


def test_s56_the_official_number_has_ten_digits_and_the_person_stays_the_same(
    database: Database, key_store: KeyStore
) -> None:
    """Number, sealed fields and photo open under the new number; the old one finds the person."""
    with database.writing() as session:
        made = ready(session, key_store)
        number = services.approve(session, key_store, made.application_id, BOSS, NOW_MS)

    assert policy.is_volunteer_number(number)
    with database.writing() as session:
        person = session.get_one(Volunteer, made.volunteer_id)
        assert person.number == number
        assert identity(session, key_store, person, READER).name == "王小明"
        assert services.mobile(session, key_store, person.id, READER) == "13800138000"
        photo = services.photo(session, key_store, made.application_id, READER)
        assert photo.startswith(b"\xff\xd8\xff")
        found = sa.select(Application.volunteer_id).where(
            Application.preliminary_number == made.number
        )
        assert session.scalar(found) == person.id
        assert service_minutes(session, person.id) == 600


@pytest.mark.slow
def test_s56_fifty_approvals_at_once_give_fifty_numbers(
    postgres_url: str, key_store: KeyStore
) -> None:
    """Fifty threads approve fifty people on PostgreSQL: every number is given once."""
    database = Database(postgres_url)
    with database.writing() as session:
        made = [ready(session, key_store, order) for order in range(1, CONCURRENT + 1)]

    def approve(application_id: int) -> str:
        with database.writing() as session:
            return services.approve(session, key_store, application_id, BOSS, NOW_MS)

    with ThreadPoolExecutor(CONCURRENT) as threads:
        numbers = list(threads.map(approve, [one.application_id for one in made]))

    assert len(set(numbers)) == CONCURRENT
    assert all(policy.is_volunteer_number(number) for number in numbers)
    with database.reading() as session:
        assert set(session.scalars(sa.select(Volunteer.number))) == set(numbers)
    database.close()


def test_s56_one_application_approved_twice_at_once_gives_one_number(
    postgres_url: str, key_store: KeyStore
) -> None:
    """Two people press the button at the same moment: one of them hears that it is done."""
    database = Database(postgres_url)
    with database.writing() as session:
        made = ready(session, key_store)

    def approve(actor: str) -> str:
        try:
            with database.writing() as session:
                return services.approve(session, key_store, made.application_id, actor, NOW_MS)
        except Refused as refused:
            return refused.code

    with ThreadPoolExecutor(2) as threads:
        answers = sorted(threads.map(approve, [BOSS, "user:li"]))

    assert answers == ["0000000014", "application-decided"]
    database.close()


def test_s56_a_number_is_never_given_again_after_its_owner_has_left(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """Erased people keep their number; the next one gets another, under another number."""
    with sqlite_database.writing() as session:
        for name, role in (("li", "staff"), ("wang", "admin")):
            people.add_user(session, people.NewUser(name, role), "long enough", "test", NOW_MS)
        first = ready(session, key_store, 1)
        number = services.approve(session, key_store, first.application_id, BOSS, NOW_MS)
        erase(session, Erasure(number, "本人申请", "li", "wang"), NOW_MS)
        second = ready(session, key_store, 2)
        assert services.approve(session, key_store, second.application_id, BOSS, NOW_MS) != number


@pytest.mark.parametrize(("minutes", "hundredths"), [(89, 197), (90, 200)])
def test_s53_several_classes_add_up(
    sqlite_database: Database, key_store: KeyStore, minutes: int, hundredths: int
) -> None:
    """Two classes count together; one minute short of ninety is not two class-hours."""
    with sqlite_database.writing() as session:
        made = apply(session, key_store)
        trained(session, made.volunteer_id, 45, NOW_MS - 3 * DAY_MS)
        trained(session, made.volunteer_id, minutes - 45, NOW_MS - 2 * DAY_MS)
        found = services.conditions(session, made.volunteer_id, NOW_MS)

    assert figure(found, "training") == (hundredths == 200, hundredths, 200)


@pytest.mark.parametrize(("minutes", "met"), [(599, False), (600, True)])
def test_s54_pre_service_is_counted_from_services(
    sqlite_database: Database, key_store: KeyStore, minutes: int, met: bool
) -> None:
    """Services of several days add up to ten hours or one minute less."""
    with sqlite_database.writing() as session:
        made = apply(session, key_store)
        trained(session, made.volunteer_id, 90)
        served(session, made.volunteer_id, 300, NOW_MS - 2 * DAY_MS)
        served(session, made.volunteer_id, minutes - 300, NOW_MS - DAY_MS)
        found = services.conditions(session, made.volunteer_id, NOW_MS)

    assert figure(found, "pre-service") == (met, minutes, 600)


def test_s54_service_before_the_training_counts_only_where_the_rule_says_so(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """By default pre-service begins with the end of the training; a setting counts all of it."""
    with sqlite_database.writing() as session:
        made = apply(session, key_store)
        served(session, made.volunteer_id, 400, NOW_MS - 5 * DAY_MS)
        trained(session, made.volunteer_id, 90)
        served(session, made.volunteer_id, 200, NOW_MS - DAY_MS)
        after = services.conditions(session, made.volunteer_id, NOW_MS)
        settings.set_rules(session, {"pre_service_before_training": 1}, BY)
        both = services.conditions(session, made.volunteer_id, NOW_MS)

    assert figure(after, "pre-service") == (False, 200, 600)
    assert figure(both, "pre-service") == (True, 600, 600)


def test_states_follow_what_was_done(sqlite_database: Database, key_store: KeyStore) -> None:
    """Submitted, in training, ready: an open application moves with its conditions."""
    with sqlite_database.writing() as session:
        made = apply(session, key_store)

        def state() -> str:
            services.refresh(session, None, NOW_MS)
            return session.get_one(Application, made.application_id).state

        assert state() == State.SUBMITTED
        trained(session, made.volunteer_id, 45)
        assert state() == State.TRAINING
        trained(session, made.volunteer_id, 45, NOW_MS - 2 * DAY_MS)
        served(session, made.volunteer_id, 600)
        assert state() == State.READY
        services.withdraw(session, made.application_id, By("volunteer", NOW_MS, "另有安排"))
        assert services.refresh(session, None, NOW_MS) == 0


def test_s50_the_choice_of_carrier_is_frozen_once_it_is_ordered(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """Until a card is ordered the choice is free; then it stands and is offered no more."""
    with sqlite_database.writing() as session:
        made = ready(session, key_store)
        services.approve(session, key_store, made.application_id, BOSS, NOW_MS)
        choice = Choice(Carrier.CREDIT, "")
        services.choose(session, key_store, made.volunteer_id, choice, BY)
        [offered] = services.orderable(session, 0, 10)
        assert (offered.carrier, offered.number) == (
            "credit",
            number_of(session, offered.volunteer_id),
        )
        assert services.freeze(session, [made.volunteer_id], NOW_MS) == 1
        assert services.freeze(session, [made.volunteer_id], NOW_MS) == 0
        assert services.orderable(session, 0, 10) == []
        with pytest.raises(Refused) as refused:
            services.choose(session, key_store, made.volunteer_id, choice, BY)
    assert refused.value.code == "choice-frozen"


def test_s15_after_a_loss_the_new_card_carries_the_same_record(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """Old serial on the hotlist, new serial on the same number, all hours still there."""
    with sqlite_database.writing() as session:
        made = ready(session, key_store)
        number = services.approve(session, key_store, made.application_id, BOSS, NOW_MS)
        old = people.next_card_serial(session)
        people.register_card(session, number, old, 1, BOSS, NOW_MS)
        people.report_card(session, CardReport(old, NOW_MS, "lost"), BOSS, NOW_MS)
        new = people.next_card_serial(session)
        card = people.register_card(session, number, new, 1, BOSS, NOW_MS)

        assert card.volunteer_id == made.volunteer_id
        assert people.find_card(session, old).state == "lost"
        assert service_minutes(session, made.volunteer_id) == 600


def test_rules_are_kept_within_their_limits_and_their_history_stays(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """A figure beyond its limits or of an unknown name is refused; the newest one counts."""
    with sqlite_database.writing() as session:
        for wrong in ({"age_min": 3}, {"nonsense": 1}):
            with pytest.raises(Refused):
                settings.set_rules(session, wrong, BY)
        settings.set_rules(session, {"age_min": 12}, BY)
        assert settings.set_rules(session, {"age_min": 11}, BY).age_min == 11
        assert settings.current_rules(session).pre_service_minutes == 600


def test_rejecting_needs_a_reason(sqlite_database: Database, key_store: KeyStore) -> None:
    """Without a reason nothing is rejected."""
    with sqlite_database.writing() as session:
        made = apply(session, key_store, make_submission())
        with pytest.raises(Refused, match="say why"):
            services.reject(session, made.application_id, BOSS, NOW_MS, "  ")
