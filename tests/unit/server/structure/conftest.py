# SPDX-License-Identifier: Apache-2.0
"""A small country: regions of the shipped table, two organisations one below the other, users."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy.orm import Session

from server.db import Database
from server.people.models import User, Volunteer
from server.people.policy import volunteer_number
from server.structure import organisations, regions
from server.structure.organisations import NewOrganisation
from server.terminals import places
from server.terminals.services import NewSite, add_site

NOW_MS = 1_795_222_800_000
HOUR_MS = 3_600_000


@dataclass
class Country:
    """The open unit of work and the ids of what stands in it."""

    session: Session
    city: int
    district: int
    far: int
    park: int
    pier: int


@pytest.fixture
def country(sqlite_url: str) -> Iterator[Country]:
    """Shenzhen with Futian below it, Qingdao far away; a park in Futian, a pier in Qingdao."""
    database = Database(sqlite_url)
    with database.writing() as session:
        regions.load(session, regions.SHIPPED.read_bytes(), "test", NOW_MS)
        made = {
            new.code: organisations.add(session, new, "test", NOW_MS).id
            for new in (
                NewOrganisation("SZ", "深圳市义工联合会", "Shenzhen federation", "440300"),
                NewOrganisation("SZ-FT", "福田区义工联", "Futian federation", "440304", "SZ"),
                NewOrganisation("QD", "青岛市志愿者协会", "Qingdao association", "370200"),
            )
        }
        park = add_site(session, NewSite("莲花山公园", "Lianhuashan Park"), "test", NOW_MS)
        pier = add_site(session, NewSite("栈桥", "Zhanqiao Pier"), "test", NOW_MS)
        places.put(session, park.id, "440304008", "SZ-FT", ("test", NOW_MS))
        places.put(session, pier.id, "", "QD", ("test", NOW_MS))
        for name in ("wang", "li", "zhao"):
            session.add(User(name=name, secret_hash="-", role="staff"))
        session.flush()
        yield Country(session, made["SZ"], made["SZ-FT"], made["QD"], park.id, pier.id)
    database.close()


def take_in(session: Session, sequence: int) -> Volunteer:
    """Add a volunteer about whom nothing else matters."""
    person = Volunteer(
        number=volunteer_number(sequence), sealed_name=b"-", sealed_birth=b"-", masked_name="王*",
        created_ms=NOW_MS, secret_hash="-", secret_kind="code",
    )  # fmt: skip
    session.add(person)
    session.flush()
    return person
