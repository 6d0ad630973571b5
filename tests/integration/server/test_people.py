# SPDX-License-Identifier: Apache-2.0
"""Volunteers, cards and users in a real database."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.errors import BadSeal
from keys.store import FileKeyStore
from server.db import Database
from server.errors import Refused
from server.people import personal, policy, services, sign_in
from server.people.models import (
    CODE,
    PASSWORD,
    Audit,
    Card,
    DirtyPerson,
    SealedPersonKey,
    Volunteer,
)
from server.people.personal import Reader
from server.people.services import CardReport, NewUser, NewVolunteer
from tests.integration.server.rig import NOW_MS, Rig, volunteer

ADULT = dt.date(1990, 5, 17)
CHILD = dt.date(2014, 5, 5)
FOURTEENTH_MS = 1_841_068_800_000  # 2028-05-05 00:00 in Shanghai
ASN = "59490000000000000007"
READER = Reader("li", "certificate", NOW_MS)


def add(session: Session, store: FileKeyStore, **changes: Any) -> tuple[Volunteer, str]:
    """Take in a volunteer with plain values."""
    values: dict[str, Any] = {"name": "王小明", "birth": ADULT} | changes
    return services.add_volunteer(session, store, NewVolunteer(**values), "li", NOW_MS)


def test_personal_data_is_sealed(database: Database, key_store: FileKeyStore) -> None:
    """Name and birth date stand in the database only under the key store's seal."""
    with database.writing() as session:
        added, _ = add(session, key_store)
        sealed = added.sealed_name + added.sealed_birth

        assert "王小明".encode() not in sealed
        assert b"1990" not in sealed
        assert added.masked_name == "王**"
        known = personal.identity(session, key_store, added, READER)
        assert known == personal.Identity("王小明", ADULT)


def test_sealed_data_does_not_open_for_somebody_else(
    sqlite_database: Database, key_store: FileKeyStore
) -> None:
    """A sealed name moved to another volunteer does not open."""
    with sqlite_database.writing() as session:
        first, _ = add(session, key_store)
        second, _ = add(session, key_store)
        second.sealed_name = first.sealed_name

        with pytest.raises(BadSeal):
            personal.identity(session, key_store, second, READER)


def test_reading_a_name_leaves_a_trace(sqlite_database: Database, key_store: FileKeyStore) -> None:
    """Who opened a person's data and why stands in the audit trail, without the data."""
    with sqlite_database.writing() as session:
        added, _ = add(session, key_store)
        personal.identity(session, key_store, added, READER)
        line = session.scalars(sa.select(Audit).where(Audit.action == "volunteer.read")).one()

        assert (line.actor, line.subject) == ("li", f"volunteer:{added.number}")
        assert line.detail == {"fields": ["name", "birth"], "why": "certificate"}
        with pytest.raises(Refused, match="say why"):
            personal.identity(session, key_store, added, Reader("li", " ", NOW_MS))


def test_each_person_has_a_key(sqlite_database: Database, key_store: FileKeyStore) -> None:
    """A person's key opens nothing of another, and does not open in another's place."""
    with sqlite_database.writing() as session:
        first, second = add(session, key_store)[0], add(session, key_store)[0]
        kept = session.get_one(SealedPersonKey, first.id)
        session.get_one(SealedPersonKey, second.id).sealed = kept.sealed

        with pytest.raises(BadSeal):
            personal.identity(session, key_store, second, READER)


def test_numbers_rise_and_are_valid(database: Database, key_store: FileKeyStore) -> None:
    """Volunteers get rising numbers with right check digits."""
    with database.writing() as session:
        numbers = [add(session, key_store)[0].number for _ in range(3)]

    assert [number[:-1] for number in numbers] == ["000000001", "000000002", "000000003"]
    assert all(map(policy.is_volunteer_number, numbers))


def test_number_is_not_reused_after_a_failure(
    sqlite_database: Database, key_store: FileKeyStore
) -> None:
    """A unit of work that is given up leaves no volunteer, and no number is seen twice."""

    class GiveUp(Exception):
        pass

    with pytest.raises(GiveUp), sqlite_database.writing() as session:
        add(session, key_store)
        raise GiveUp
    with sqlite_database.writing() as session:
        add(session, key_store)
    with sqlite_database.reading() as session:
        assert session.scalars(sa.select(Volunteer.number)).all() == ["0000000014"]


def test_serials_taken_at_the_same_time_differ(database: Database) -> None:
    """Card serials taken by several threads at once are all different."""
    taken: list[str] = []

    def take() -> None:
        for _ in range(5):
            with database.writing() as session:
                taken.append(services.next_card_serial(session))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(taken)) == 20
    assert all(map(policy.is_card_serial, taken))


@pytest.mark.parametrize(("birth", "until_ms"), [(ADULT, None), (CHILD, FOURTEENTH_MS)])
def test_only_minors_carry_a_date(
    sqlite_database: Database, key_store: FileKeyStore, birth: dt.date, until_ms: int | None
) -> None:
    """The end of the guardian rule is kept for minors and for nobody else."""
    with sqlite_database.writing() as session:
        assert add(session, key_store, birth=birth)[0].minor_until_ms == until_ms


@pytest.mark.parametrize("name", ["", "  ", "x" * 65])
def test_name_of_a_bad_length_is_refused(
    sqlite_database: Database, key_store: FileKeyStore, name: str
) -> None:
    """A name has 1 to 64 characters."""
    with sqlite_database.writing() as session, pytest.raises(Refused):
        add(session, key_store, name=name)


def test_guardian_must_be_a_volunteer(sqlite_database: Database, key_store: FileKeyStore) -> None:
    """A guardian is named by a volunteer number that exists, and is somebody else."""
    with sqlite_database.writing() as session:
        child, _ = add(session, key_store, birth=CHILD)
        adult, _ = add(session, key_store)
        services.link_guardian(session, child.number, adult.number, "li", NOW_MS)

        assert child.guardian_id == adult.id
        with pytest.raises(Refused, match="own guardian"):
            services.link_guardian(session, child.number, child.number, "li", NOW_MS)
        with pytest.raises(Refused, match="no volunteer"):
            services.link_guardian(session, child.number, "0000000099", "li", NOW_MS)


def test_code_signs_in_until_a_password_is_set(database: Database, key_store: FileKeyStore) -> None:
    """The code, in any case, signs in; once a password is set only that does."""
    with database.writing() as session:
        added, code = add(session, key_store)
        number = added.number

        assert sign_in.sign_in_volunteer(session, number, f" {code.lower()} ") is added
        assert added.secret_kind == CODE
        sign_in.set_volunteer_password(session, added.id, "a new password", NOW_MS)
        assert added.secret_kind == PASSWORD
        assert sign_in.sign_in_volunteer(session, number, code) is None
        assert sign_in.sign_in_volunteer(session, number, "a new password") is added


def test_unknown_number_and_wrong_secret_are_one_answer(
    sqlite_database: Database, key_store: FileKeyStore
) -> None:
    """Neither an unknown number nor a wrong secret signs in, and both hash once."""
    with sqlite_database.writing() as session:
        added, code = add(session, key_store)

        assert sign_in.sign_in_volunteer(session, added.number, code + "X") is None
        assert sign_in.sign_in_volunteer(session, "0000000099", code) is None


def test_renewed_code_voids_the_old_secret(
    sqlite_database: Database, key_store: FileKeyStore
) -> None:
    """A new code replaces code or password."""
    with sqlite_database.writing() as session:
        added, old = add(session, key_store)
        new = sign_in.renew_code(session, added.number, "li", NOW_MS)

        assert sign_in.sign_in_volunteer(session, added.number, old) is None
        assert sign_in.sign_in_volunteer(session, added.number, new) is added
        with pytest.raises(Refused):
            sign_in.renew_code(session, "0000000099", "li", NOW_MS)


@pytest.fixture
def people(sqlite_database: Database) -> Database:
    """A database with two volunteers."""
    with sqlite_database.writing() as session:
        session.add_all([volunteer("0000000014"), volunteer("0000000022")])
    return sqlite_database


def test_card_belongs_to_one_volunteer(people: Database) -> None:
    """Registering a card again to its owner changes nothing, to another is refused."""
    with people.writing() as session:
        first = services.register_card(session, "0000000014", ASN, 1, "li", NOW_MS)
        again = services.register_card(session, "0000000014", ASN, 1, "li", NOW_MS)

        assert again is first
        with pytest.raises(Refused, match="somebody else"):
            services.register_card(session, "0000000022", ASN, 1, "li", NOW_MS)
        with pytest.raises(Refused, match="20 digits"):
            services.register_card(session, "0000000014", "123", 1, "li", NOW_MS)


def test_report_and_restore_follow_each_other(people: Database) -> None:
    """A reported card is listed from the reported time; a found one is active again."""
    with people.writing() as session:
        services.register_card(session, "0000000014", ASN, 1, "li", NOW_MS)
        reported = services.report_card(
            session, CardReport(ASN, NOW_MS - 1000, "bus"), "li", NOW_MS
        )
        assert (reported.state, reported.revoked_ms) == ("lost", NOW_MS - 1000)
        restored = services.restore_card(session, ASN, "li", NOW_MS)
        assert (restored.state, restored.revoked_ms) == ("active", None)
        with pytest.raises(Refused, match="not lost"):
            services.restore_card(session, ASN, "li", NOW_MS)
        actions = session.scalars(
            sa.select(Audit.action).where(Audit.subject == f"card:{ASN}").order_by(Audit.id)
        ).all()
    assert actions == ["card.registered", "card.lost", "card.restored"]


@pytest.mark.parametrize(
    "report",
    [
        CardReport(ASN, NOW_MS + 1, "tomorrow"),
        CardReport(ASN, NOW_MS, "x", "melted"),
        CardReport("59490000000000000099", NOW_MS, "x"),
    ],
)
def test_report_that_cannot_be_is_refused(people: Database, report: CardReport) -> None:
    """A report from the future, of an unknown state or card, is refused."""
    with people.writing() as session:
        services.register_card(session, "0000000014", ASN, 1, "li", NOW_MS)
        with pytest.raises(Refused):
            services.report_card(session, report, "li", NOW_MS)


def test_guardian_brings_the_wards_into_the_queue(people: Database) -> None:
    """What may change a guardian's taps may change the hours of those they guard."""
    with people.writing() as session:
        services.link_guardian(session, "0000000022", "0000000014", "li", NOW_MS)
        session.execute(sa.delete(DirtyPerson))
        services.register_card(session, "0000000014", ASN, 1, "li", NOW_MS)

        ids = session.scalars(sa.select(Volunteer.id).order_by(Volunteer.number)).all()
        queued = session.scalars(sa.select(DirtyPerson.volunteer_id)).all()
    assert sorted(queued) == sorted(ids)


def test_user_signs_in_with_name_and_password(sqlite_database: Database) -> None:
    """A user signs in with name and password; roles and names are checked."""
    with sqlite_database.writing() as session:
        new = NewUser("li", "staff")
        added = services.add_user(session, new, "a good password", "console", NOW_MS)

        assert sign_in.sign_in_user(session, "li", "a good password") is added
        assert sign_in.sign_in_user(session, "li", "a bad password") is None
        assert sign_in.sign_in_user(session, "nobody", "a good password") is None
        assert services.require_staff(session, "li") is added
        with pytest.raises(Refused, match="already"):
            services.add_user(session, new, "a good password", "console", NOW_MS)
        with pytest.raises(Refused, match="role"):
            services.add_user(session, NewUser("x", "king"), "a good password", "li", NOW_MS)


def test_leader_is_no_staff(sqlite_database: Database) -> None:
    """A site leader may not order or approve."""
    with sqlite_database.writing() as session:
        services.add_user(session, NewUser("zhao", "leader", 1), "a good password", "li", NOW_MS)

        with pytest.raises(Refused):
            services.require_staff(session, "zhao")


def test_audit_holds_no_name(rig: Rig, key_store: FileKeyStore) -> None:
    """No line of the audit trail carries a name or a birth date."""
    with rig.database.writing() as session:
        add(session, key_store, name="欧阳娜娜")
    with rig.database.reading() as session:
        lines = session.scalars(sa.select(Audit)).all()
        text = " ".join(f"{line.subject} {line.actor} {line.detail}" for line in lines)

    assert "volunteer:" in text
    assert "欧阳" not in text
    assert "1990" not in text


def test_registering_a_card_queues_its_owner(people: Database) -> None:
    """Taps that came before the registration are derived after it."""
    with people.writing() as session:
        services.register_card(session, "0000000014", ASN, 1, "li", NOW_MS)
        owner = session.scalars(sa.select(Card.volunteer_id)).one()

        assert session.scalars(sa.select(DirtyPerson.volunteer_id)).all() == [owner]
