# SPDX-License-Identifier: Apache-2.0
"""Orders, claims, messages and desk jobs in a person's copy of their data, and at its end."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.benefits import claims
from server.benefits import personal_data as benefits_data
from server.benefits.claims import Occurrence
from server.db import Database
from server.desk import personal_data as desk_data
from server.desk import policy
from server.desk.models import DeskBox, DeskBoxLine, DeskEntry, DeskJob, DeskSession, DeskStock
from server.issuing import checking, search, services
from server.issuing import personal_data as issuing_data
from server.issuing.consents import Choice
from server.issuing.models import SearchPrint, VestOrder
from server.outbox.services import Message, queue
from server.people.models import Volunteer
from server.people.personal import Reader
from server.people.services import NewUser, add_user
from server.privacy.dossier import PARTS, dossier
from server.privacy.erasing import Erasure, erase
from tests.unit.server.issuing.people import MONDAY, Town, found_town

ASN = "59490000000000000123"
READER = Reader("li", "asked in person, document seen", MONDAY)


def staff(session: Session) -> None:
    """Add the two who decide on an erasure."""
    for name in ("li", "wang"):
        add_user(session, NewUser(name, "staff"), "a good password", "root", MONDAY)


def end(session: Session, person: Volunteer) -> None:
    """Erase a person's data as it is asked for in order."""
    erase(session, Erasure(person.number, "asked", "li", "wang"), MONDAY + 5)
    session.flush()
    session.expire_all()


def job_in_a_box(session: Session, person: Volunteer) -> DeskJob:
    """Plan a card for a person out of a box; its blank was begun and lies there still."""
    box = DeskBox(name="A", opened_by="li", opened_ms=MONDAY)
    session.add(box)
    session.flush()
    job = DeskJob(
        reference="ab" * 16, kind=policy.ISSUE, state=policy.STOPPED, volunteer_id=person.id,
        asn=ASN, box_id=box.id, sealed=b"what the card will say", reason="for 王小明",
        actor="user:li", created_ms=MONDAY, changed_ms=MONDAY, result={},
    )  # fmt: skip
    session.add(job)
    session.flush()
    session.add_all([
        DeskBoxLine(
            box_id=box.id, position=1, volunteer_id=person.id, state=policy.WAITING, job_id=job.id
        ),
        DeskSession(
            id="cd" * 16, job_id=job.id, actor="user:li", chip="", step=3, sealed=b"answers",
            transcript="", began_ms=MONDAY, expires_ms=MONDAY + 1,
        ),
        DeskEntry(
            asn=ASN, job_id=job.id, at_ms=MONDAY,
            entry={"what": "step", "step": 1, "label": "0015", "writes": 2},
        ),
    ])  # fmt: skip
    session.flush()
    return job


def test_the_copy_lists_orders_consents_claims_vests_messages_and_jobs(
    sqlite_database: Database, tmp_path: Path
) -> None:
    """Each with its kind and dates; the steps of an order stand in their order."""
    town: Town = found_town(sqlite_database, tmp_path)
    with sqlite_database.writing() as session:
        person = town.volunteer(session)
        order_no = town.bring(session, town.order(session, person), "produced").order_no
        choice = Choice("health", granted=True, channel="online")
        services.set_consent(session, person.id, choice, "li", MONDAY)
        accident = Occurrence(person.number, "medical", MONDAY, 100_00)
        claims.check(session, accident, "li", MONDAY)
        job_in_a_box(session, person)
        received = {"number": person.number}
        queue(session, Message("application.received", person.id, "x/1", received), MONDAY)
        found = dossier(session, town.store, person.number, READER)

    assert PARTS["orders"] is issuing_data.orders_of
    assert PARTS["claims"] is benefits_data.claims_of
    assert PARTS["desk_jobs"] is desk_data.jobs_of
    assert [one["order"] for one in found["orders"]] == [order_no]
    events = [step["event"] for step in found["orders"][0]["steps"]]
    assert events == ["ordered", "exported", "produced"]
    assert [one["state"] for one in found["vests"]] == ["ordered"]
    assert [(one["function"], one["granted"]) for one in found["consents"]] == [("health", True)]
    assert [(one["kind"], one["outcome"]) for one in found["claims"]] == [
        ("medical", "not-insured"),
    ]
    assert [one["kind"] for one in found["messages"]] == ["application.received"]
    assert [(one["kind"], one["state"]) for one in found["desk_jobs"]] == [("issue", "stopped")]


def test_erasing_ends_orders_and_takes_the_person_out_of_the_search(
    sqlite_database: Database, tmp_path: Path
) -> None:
    """No card is made for who is gone, no name or pinyin finds them, and the check is clean."""
    town: Town = found_town(sqlite_database, tmp_path)
    with sqlite_database.writing() as session:
        staff(session)
        person = town.volunteer(session)
        order = town.bring(session, town.order(session, person), "arrived")
        search.index_new(session, town.store, MONDAY)
        assert search.find(session, town.store, "wxm") == [person.id]
        end(session, person)

        assert (order.state, session.scalars(sa.select(VestOrder.state)).one()) == (
            "cancelled",
            "cancelled",
        )
        assert session.scalars(sa.select(SearchPrint)).all() == []
        assert search.index_new(session, town.store, MONDAY) == 0
        assert search.find(session, town.store, "wxm") == []
        assert checking.violations(session) == []
        assert dossier(session, town.store, person.number, READER)["orders"][0]["steps"]


def test_erasing_destroys_what_the_desk_had_sealed(
    sqlite_database: Database, tmp_path: Path
) -> None:
    """An open job is given up, its data is gone, the blank counts as spoilt, the box goes on."""
    town: Town = found_town(sqlite_database, tmp_path)
    with sqlite_database.writing() as session:
        staff(session)
        person = town.volunteer(session)
        job = job_in_a_box(session, person)
        end(session, person)

        assert (job.state, job.sealed, job.reason) == (policy.CANCELLED, None, "")
        kept = session.scalars(sa.select(DeskSession)).one()
        assert (kept.over, kept.sealed) == (True, b"")
        assert session.scalars(sa.select(DeskBoxLine.state)).one() == policy.LEFT_OUT
        moved = session.scalars(sa.select(DeskStock)).one()
        assert (moved.what, moved.asn) == (policy.SPOILT, ASN)
        lines = session.scalars(sa.select(DeskEntry.entry).order_by(DeskEntry.id)).all()
        assert [line["what"] for line in lines] == ["step", "spoilt"]
        jobs = dossier(session, town.store, person.number, READER)["desk_jobs"]
        assert [one["state"] for one in jobs] == ["cancelled"]
