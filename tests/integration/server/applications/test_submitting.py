# SPDX-License-Identifier: Apache-2.0
"""An application becomes one record of one person, whatever way it came."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
import sqlalchemy as sa

from keys.custody import KeyStore
from server.applications import services, settings
from server.applications.documents import Document, DocumentKind
from server.applications.models import Acceptance, Application
from server.applications.policy import Agreement, Carrier, Channel
from server.applications.services import By, Choice, Duplicate, Faulty, Via
from server.applications.settings import NewText
from server.db import Database
from server.errors import Refused
from server.issuing.models import BankBranch
from server.outbox.models import OutboxMessage
from server.people import policy
from server.people.models import Audit, SealedPersonKey, Volunteer
from server.people.personal import Reader, identity
from server.structure import organisations
from server.structure.models import Membership, Organisation
from tests.integration.server.applications.desk import DAY_MS, NOW_MS, ONLINE, apply
from tests.unit.server.applications.forms import (
    ALL_ACCEPTED,
    mainland_id,
    make_form,
    make_jpeg,
    make_submission,
)

READER = Reader("user:li", "test", NOW_MS)
BY = By("user:li", NOW_MS)


def codes_of(database: Database, store: KeyStore, given: services.Submission) -> set[str]:
    """Return what is wrong with an application."""
    with pytest.raises(Faulty) as refused, database.writing() as session:
        apply(session, store, given)
    return {fault.code for fault in refused.value.faults}


def test_s52_a_preliminary_number_is_given_and_makes_no_card(
    database: Database, key_store: KeyStore
) -> None:
    """It is unique, begins with Y, is no volunteer's number, and is not offered for a card."""
    with database.writing() as session:
        made = [apply(session, key_store, make_submission(n)).number for n in (1, 2, 3)]

    assert len(set(made)) == 3
    assert all(policy.is_preliminary_number(number) for number in made)
    assert not any(policy.is_volunteer_number(number) for number in made)
    with database.reading() as session:
        assert services.orderable(session, 0, 10) == []


def test_s47_both_channels_give_the_same_record_and_the_desk_its_name(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """Online and by staff every column but channel and who is alike; the audit names the staff."""
    staff = Via(Channel.STAFF, "user:li", with_code=False)
    with sqlite_database.writing() as session:
        apply(session, key_store, make_submission(1))
        apply(session, key_store, make_submission(2), staff)

    with sqlite_database.reading() as session:
        online, desk = session.scalars(sa.select(Application).order_by(Application.id))
        alike = (
            "state", "carrier", "branch_code", "document_kind", "organisation_id", "submitted_ms",
        )  # fmt: skip
        assert [getattr(online, name) for name in alike] == [getattr(desk, name) for name in alike]
        assert (online.channel, online.entered_by) == ("online", "applicant")
        assert (desk.channel, desk.entered_by) == ("staff", "user:li")
        line = session.scalars(sa.select(Audit).where(Audit.subject == "application:2")).one()
        assert (line.actor, line.detail["channel"]) == ("user:li", "staff")


def test_s01_a_document_that_is_known_is_refused_with_the_number_masked(
    database: Database, key_store: KeyStore
) -> None:
    """The second registration names the first by a masked number and adds no person."""
    with database.writing() as session:
        first = apply(session, key_store)
    again = replace(make_form(name="王晓明"), document_number=f" {mainland_id().lower()} ")

    with pytest.raises(Duplicate) as refused, database.writing() as session:
        apply(session, key_store, replace(make_submission(), form=again))

    assert refused.value.masked == f"Y0*****{first.number[-3:]}"
    assert mainland_id() not in str(refused.value)
    with database.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Volunteer)) == 1


def test_s01_two_organisations_are_one_person_with_two_memberships(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """Joining a second organisation adds a membership, no person; joining again adds nothing."""
    with sqlite_database.writing() as session:
        for number, code in ((1, "FT"), (2, "NS")):
            session.add(
                Organisation(
                    id=number, code=code, name_zh=code, name_en=code, region="440300",
                    created_ms=NOW_MS,
                )
            )  # fmt: skip
        session.flush()
        made = apply(session, key_store)
        for organisation in (1, 2, 2):
            organisations.join(session, made.volunteer_id, organisation, "user:li", NOW_MS)

    with sqlite_database.reading() as session:
        rows = session.execute(sa.select(Membership.volunteer_id, Membership.organisation_id))
        assert sorted(map(tuple, rows)) == [(made.volunteer_id, 1), (made.volunteer_id, 2)]


def test_a_namesake_born_on_the_same_day_is_a_warning_for_staff(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """Same name and birth date with another document: taken, with a warning that masks."""
    with sqlite_database.writing() as session:
        first = apply(session, key_store, make_submission(1))
        second = apply(session, key_store, make_submission(2))

    assert first.warnings == ()
    assert [one.code for one in second.warnings] == ["namesake"]
    assert first.number not in second.warnings[0].zh


def test_s48_what_identifies_somebody_is_sealed_and_opens_for_a_reason(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """No column holds document, mobile or address; opened, they are what was typed, and noted."""
    with sqlite_database.writing() as session:
        made = apply(session, key_store)
    with sqlite_database.writing() as session:
        row = session.scalars(sa.select(Application)).one()
        kept = b"".join(value for value in vars(row).values() if isinstance(value, bytes))
        fields = ("name", "document_number", "mobile", "emergency_mobile", "photo_sha256", "number")
        opened = services.bank_record(session, key_store, made.volunteer_id, fields, READER)
        assert services.mobile(session, key_store, made.volunteer_id, READER) == "13800138000"
        read = sa.select(Audit).where(Audit.action == "volunteer.read").order_by(Audit.id)
        details = [line.detail for line in session.scalars(read)]

    assert b"13800138000" not in kept
    assert opened == {
        "number": made.number,
        "name": "王小明",
        "document_number": mainland_id(),
        "mobile": "13800138000",
        "emergency_mobile": "13900139000",
        "photo_sha256": opened["photo_sha256"],
    }
    assert len(bytes.fromhex(opened["photo_sha256"])) == 32
    assert details[0]["fields"] == ["name", "document_number", "mobile", "emergency_mobile"]
    assert details[0]["why"] == "test"


def test_a_partner_is_given_no_field_that_is_not_on_the_list(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """A field that no partner may have is refused by name."""
    with sqlite_database.writing() as session:
        made = apply(session, key_store)
        with pytest.raises(Refused, match="secret_hash"):
            services.bank_record(session, key_store, made.volunteer_id, ["secret_hash"], READER)


@pytest.mark.parametrize("kind", list(Agreement))
def test_s43_each_acceptance_is_asked_for_by_itself(
    sqlite_database: Database, key_store: KeyStore, kind: Agreement
) -> None:
    """Charter, code of conduct, service agreement and the declarations: each missing is named."""
    accepted = {one: version for one, version in ALL_ACCEPTED.items() if one is not kind}

    assert codes_of(
        sqlite_database, key_store, replace(make_submission(), accepted=accepted)
    ) == {"not-accepted"}  # fmt: skip


def test_s41_s42_s46_declarations_are_kept_with_version_time_and_channel(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """Free will, regulations, fitness and ability stand with the version of their words."""
    with sqlite_database.writing() as session:
        apply(session, key_store)

    with sqlite_database.reading() as session:
        rows = session.scalars(sa.select(Acceptance)).all()
        kept = {row.kind: (row.version, row.at_ms, row.channel) for row in rows}
    assert kept == dict.fromkeys(Agreement, (1, NOW_MS, "online"))


def test_s43_a_new_version_asks_everybody_again(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """A second version is missing until accepted; the old acceptance stays beside the new one."""
    with sqlite_database.writing() as session:
        made = apply(session, key_store)
        assert services.missing_agreements(session, made.volunteer_id) == ()
        text = NewText(Agreement.CHARTER, "章程二", "Charter 2", "第二版", "Second version")
        settings.add_text(session, text, BY)
        assert services.missing_agreements(session, made.volunteer_id) == (Agreement.CHARTER,)
        unmet = services.conditions(session, made.volunteer_id, NOW_MS)
        assert not next(one for one in unmet if one.code == "agreements").met
        with pytest.raises(Refused, match="another version"):
            services.accept(session, made.volunteer_id, {Agreement.CHARTER: 1}, "online", BY)
        assert services.accept(session, made.volunteer_id, {Agreement.CHARTER: 2}, "online", BY)
        assert services.missing_agreements(session, made.volunteer_id) == ()
        versions = sa.select(Acceptance.version).where(Acceptance.kind == "charter")
        assert sorted(session.scalars(versions)) == [1, 2]


def test_s43_acceptances_cannot_be_changed(database: Database, key_store: KeyStore) -> None:
    """The database itself refuses to alter or remove what somebody accepted."""
    with database.writing() as session:
        apply(session, key_store)

    for statement in ("UPDATE acceptance SET version = 9", "DELETE FROM acceptance"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.writing() as session:
            session.execute(sa.text(statement))


def test_s45_a_child_is_linked_to_a_guardian_of_age(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """An unknown guardian and a child as guardian are refused; one of age is linked."""
    child = replace(make_submission(2, document_number=mainland_id("20140101", 2)))
    with sqlite_database.writing() as session:
        parent = apply(session, key_store, make_submission(1))

    missing = replace(child, form=replace(child.form, guardian_number="0000000022"))
    assert codes_of(sqlite_database, key_store, child) == {"guardian-missing"}
    assert codes_of(sqlite_database, key_store, missing) == {"guardian-unknown"}
    linked = replace(child, form=replace(child.form, guardian_number=parent.number))
    with sqlite_database.writing() as session:
        made = apply(session, key_store, linked)
        assert session.get_one(Volunteer, made.volunteer_id).guardian_id == parent.volunteer_id
        found = {one.code for one in services.conditions(session, made.volunteer_id, NOW_MS)}
    assert "guardian" in found
    sibling = make_form(3, document_number=mainland_id("20140101", 3), guardian_number=made.number)
    assert codes_of(
        sqlite_database, key_store, replace(make_submission(), form=sibling)
    ) == {"guardian-unknown"}  # fmt: skip


def branches(database: Database) -> None:
    """Let the bank list two branches, the first of which closes today."""
    today = dt.date(2026, 11, 21)
    first = {"partner": "boc", "code": "0755001", "name": "福田支行", "until_day": today}
    second = {"partner": "boc", "code": "0755002", "name": "南山支行", "until_day": None}
    with database.writing() as session:
        for values in (first, second):
            session.add(BankBranch(from_day=today - dt.timedelta(days=30), **values))


def test_s51_the_branch_is_one_of_the_banks_list_and_open_on_the_day(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """None, an unknown and a future branch are refused; once it closes another must be chosen."""
    branches(sqlite_database)
    assert codes_of(sqlite_database, key_store, make_submission()) == {"branch"}
    assert codes_of(sqlite_database, key_store, make_submission(branch_code="9")) == {"branch"}
    with sqlite_database.writing() as session:
        made = apply(session, key_store, make_submission(branch_code="0755001"))

        def is_met(now_ms: int) -> bool:
            found = services.conditions(session, made.volunteer_id, now_ms)
            return next(one.met for one in found if one.code == "branch")

        tomorrow = By("volunteer:self", NOW_MS + DAY_MS)
        assert is_met(NOW_MS)
        assert not is_met(NOW_MS + DAY_MS)
        with pytest.raises(Faulty):
            choice = Choice(Carrier.DEBIT, "0755001")
            services.choose(session, key_store, made.volunteer_id, choice, tomorrow)
        choice = Choice(Carrier.CREDIT, "0755002")
        services.choose(session, key_store, made.volunteer_id, choice, tomorrow)
        assert is_met(NOW_MS + DAY_MS)


def test_s15_a_volunteer_is_found_again_by_number_and_document(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """Both together open the record; a wrong one of them says only that they do not belong."""
    right = Document(DocumentKind.MAINLAND_ID, mainland_id(order=1))
    other = Document(DocumentKind.MAINLAND_ID, mainland_id(order=2))
    with sqlite_database.writing() as session:
        made = apply(session, key_store)
        found = services.recognise(session, key_store, made.number, right, BY)
        assert found.id == made.volunteer_id
        for number, document in ((made.number, other), ("0000000014", right)):
            with pytest.raises(Refused) as refused:
                services.recognise(session, key_store, number, document, BY)
            assert refused.value.code == "not-recognised"


def test_a_rejected_person_may_apply_again_and_stays_the_same_person(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """After a rejection the same document makes a second application of the same volunteer."""
    with sqlite_database.writing() as session:
        first = apply(session, key_store)
        services.reject(session, first.application_id, "user:li", NOW_MS, "照片不合格")
        second = apply(session, key_store)

    assert second.volunteer_id == first.volunteer_id
    assert second.application_id != first.application_id
    assert second.number == first.number


def test_an_applicant_hears_by_message_once(sqlite_database: Database, key_store: KeyStore) -> None:
    """The number is sent once; the message waits in the outbox with the application."""
    with sqlite_database.writing() as session:
        made = apply(session, key_store)

    with sqlite_database.reading() as session:
        message = session.scalars(sa.select(OutboxMessage)).one()
        assert message.kind == "application.received"
        assert message.params == {"number": made.number}


def test_an_applicant_is_sealed_like_a_volunteer(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """Name and birth date open under the preliminary number; the birth date is the document's."""
    with sqlite_database.writing() as session:
        made = apply(session, key_store, via=ONLINE)
        person = session.get_one(Volunteer, made.volunteer_id)
        known = identity(session, key_store, person, READER)
        assert session.get(SealedPersonKey, person.id) is not None

    assert (known.name, known.birth) == ("王小明", dt.date(1990, 5, 17))


def test_a_photo_that_does_not_fit_is_named_with_the_other_faults(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """Form and photo are judged together."""
    given = replace(make_submission(mobile="1"), photo=make_jpeg(413, 295))

    assert codes_of(sqlite_database, key_store, given) == {"mobile", "photo-landscape"}
