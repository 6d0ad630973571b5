# SPDX-License-Identifier: Apache-2.0
"""A new card in the place of a lost one says what the server knows: the record is restored."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import sqlalchemy as sa

from card.layouts import HOLDER_DATA, SERVICE_DATA, Function, HolderData, ServiceData
from server.db import Database
from server.desk.content import Bench, Operator, Shape, card_data
from server.issuing import services
from server.issuing.models import CardOrder
from server.issuing.services import Choice
from server.people.models import Card, Volunteer
from server.timebank.models import TREASURY
from server.timebank.models import VOLUNTEER as OWNER
from server.timebank.moves import Move, Side, move
from tests.factories import make_store
from tests.unit.server.issuing.people import DAY_MS, Town, found_town

MINUTES = 6_120


def test_s15_new_card_carries_the_record_and_the_old_one_is_refused(
    sqlite_database: Database, tmp_path: Path
) -> None:
    """After a loss the new chip's files are byte for byte those the server's state gives."""
    town = found_town(sqlite_database, tmp_path)
    (tmp_path / "all").mkdir()
    town.store = make_store(tmp_path / "all" / "keys.yks")
    with town.database.writing() as session:
        person = town.volunteer(session)
        sides = {Side(TREASURY): -MINUTES, Side(OWNER, person.id): MINUTES}
        move(session, [Move("test:1", "award", person.id, sides)], town.now_ms, "test")
        services.set_consent(session, person.id, Choice("transit", True, "online"), "self", 1)
        old = town.bring(session, town.order(session, person), "active")
        assert old.asn is not None
        before = contents(town, session.get_one(Volunteer, person.id), old.asn)
        assert town.tell(session, old, "lost").ok
        town.now_ms += 3 * DAY_MS
        wish = {"id_checked": True, "branch": old.branch_code}
        assert town.tell(session, old, "reissue_requested", **wish).ok
        new = session.scalars(sa.select(CardOrder).where(CardOrder.replaces_id == old.id)).one()
        town.bring(session, new, "active")
        assert new.asn is not None
        after = contents(town, person, new.asn)

        assert after[0x16] == before[0x16]
        assert after[0x16] == HOLDER_DATA.build(HolderData(0, "王小明", person.number, 0, ""))
        functions = Function.TRANSIT | Function.INSURANCE
        assert after[0x17] == SERVICE_DATA.build(
            ServiceData(bytes(8), 0, functions, 0, MINUTES, "")
        )
        assert after[0x15][10:20].hex() == new.asn
        assert after[0x15][28:] == before[0x15][28:]
        states = session.execute(sa.select(Card.asn, Card.state)).all()
        assert dict(states) == {old.asn: "replaced", new.asn: "active"}


def contents(town: Town, person: Volunteer, asn: str) -> dict[int, bytes]:
    """Return what the desk would write to a card of somebody, file by short name."""
    session = sa.orm.object_session(person)
    assert session is not None
    bench = Bench(town.store, town.now_ms, Operator("user:li"))
    data = card_data(session, bench, person, Shape(asn, dt.date(2031, 11, 22)))
    return {fid & 0x1F: content for fid, content in data.contents().items()}
