# SPDX-License-Identifier: Apache-2.0
"""One card has one waiting update: two people at once, and databases that hold two already."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from card.updates import Wanted
from server.db import Database
from server.errors import Refused
from server.schema import upgrade
from server.updates import services
from server.updates.models import CardUpdate
from server.updates.services import Bench
from tests.factories import CARD_ASN
from tests.integration.postgres import PostgresCluster
from tests.integration.server.rig import NOW_MS, Rig

ASN = CARD_ASN.hex()
JOIN_S = 30


def change(rig: Rig, session: Session) -> Any:
    """Queue a change."""
    return services.queue(session, Bench(rig.store, NOW_MS), ASN, Wanted(level=3), ("li", "x"))


def reading(rig: Rig, session: Session) -> Any:
    """Queue a reading of the card's log."""
    return services.queue_log(session, Bench(rig.store, NOW_MS), ASN, [7], ("li", "x"))


Queue = Callable[[Rig, Session], Any]


@pytest.mark.parametrize("first", [change, reading])
@pytest.mark.parametrize("second", [change, reading])
def test_two_at_once_leave_one_waiting(rig: Rig, first: Queue, second: Queue) -> None:
    """Whoever comes second replaces it, leaves it, or is told: the card's next tap finds one."""
    told: list[object] = []

    def other() -> None:
        try:
            with rig.database.writing() as session:
                told.append(second(rig, session))
        except Refused as error:
            told.append(error.code)

    thread = threading.Thread(target=other)
    with rig.database.writing() as session:
        first(rig, session)
        session.flush()
        thread.start()
        thread.join(0.5)  # it waits for us, or for our lock
    thread.join(JOIN_S)

    assert not thread.is_alive()
    assert len(told) == 1
    with rig.database.writing() as session:
        states = session.scalars(sa.select(CardUpdate.state).where(CardUpdate.asn == ASN)).all()
        assert states.count("waiting") == 1
        begun = services.begin(session, Bench(rig.store, NOW_MS), ASN, 1)
    assert begun.command is not None


@pytest.fixture(params=["sqlite", "postgresql"])
def before(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Database]:
    """A database in which two updates can wait for one card."""
    cluster: PostgresCluster | None = None
    url = f"sqlite:///{tmp_path}/old.db"
    if request.param == "postgresql":
        cluster = request.getfixturevalue("postgres_cluster")
        url = cluster.create_database("yika_doubles")
    database = Database(url)
    upgrade(database, "0034")
    yield database
    database.close()
    if cluster is not None:
        cluster.drop_database("yika_doubles")


def test_doubles_are_resolved(before: Database) -> None:
    """The newest stays, a change before a reading; the others count as replaced since then."""
    rows = [
        (1, "a", "level", "waiting"), (2, "a", "level", "waiting"), (3, "a", "log", "waiting"),
        (4, "b", "log", "waiting"), (5, "b", "log", "waiting"), (6, "c", "block", "waiting"),
        (7, "c", "level", "done"), (8, "d", "log", "waiting"), (9, "d", "level", "waiting"),
    ]  # fmt: skip
    with before.writing() as session:
        for number, asn, fields, state in rows:
            session.add(
                CardUpdate(
                    id=number, reference=f"{number:032}", asn=asn * 20, wanted=b"", fields=fields,
                    state=state, reason="", created_by="li", created_ms=1_000 + number,
                )
            )  # fmt: skip
    upgrade(before)

    with before.reading() as session:
        found = {
            row.id: (row.state, row.ended_ms) for row in session.scalars(sa.select(CardUpdate))
        }
    assert [number for number, (state, _) in found.items() if state == "waiting"] == [2, 5, 6, 9]
    assert found[1] == ("replaced", 1_003)
    assert found[3] == ("replaced", 1_003)
    assert found[7] == ("done", None)
    assert found[8] == ("replaced", 1_009)
