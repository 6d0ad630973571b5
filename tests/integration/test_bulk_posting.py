# SPDX-License-Identifier: Apache-2.0
"""Many differences at once: PostgreSQL's COPY and SQLite's row by row make the same ledger."""

from __future__ import annotations

import random

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Database
from server.reconciliation.models import ServiceInterval
from server.timebank import orders
from server.timebank.checking import check
from server.timebank.models import Account, Entry, Transfer
from server.timebank.orders import Order
from server.timebank.services import post_differences
from tests.integration.test_timebank import NOW_MS, add_interval, add_person

PEOPLE = 40
CAP = 200


def derive_again(session: Session, draw: random.Random) -> None:
    """Take some intervals back, shorten some, add new ones: as late records would."""
    current = sa.select(ServiceInterval).where(ServiceInterval.current)
    for row in session.scalars(current.order_by(ServiceInterval.id)).all():
        chance = draw.random()
        if chance < 0.3:
            row.current = False
        if chance < 0.15:
            again = add_interval(session, row.person, row.in_seq or 0, draw.randrange(0, 90))
            again.key = row.key
    for person in range(1, PEOPLE + 1):
        for _ in range(draw.randrange(4)):
            add_interval(session, person, draw.randrange(10**9), draw.randrange(0, 120))
    session.flush()


def ledger_of(database: Database, seed: int) -> list[list[tuple[object, ...]]]:
    """Make a ledger by three derivations with gifts between them; return all its rows."""
    draw = random.Random(seed)
    with database.writing() as session:
        for number in range(1, PEOPLE + 1):
            add_person(session, number)
    for turn in range(3):
        with database.writing() as session:
            derive_again(session, draw)
            cap = CAP if turn != 1 else None
            post_differences(session, None if turn else range(1, PEOPLE + 1), NOW_MS, cap=cap)
            rich = sa.select(Account.owner, Account.minutes).where(
                Account.kind == "volunteer", Account.minutes > 0
            )
            # Given away, so that what is taken back leaves some accounts below zero.
            for owner, minutes in session.execute(rich.order_by(Account.owner)).all()[::3]:
                order = Order(f"g{turn}:{owner}", owner, minutes, owner % PEOPLE + 1)
                orders.transfer(session, "gift", order, NOW_MS, "li")
    with database.reading() as session:
        assert check(session).faults == []
        found = [
            [tuple(row) for row in session.execute(sa.select(table).order_by(*table.primary_key))]
            for table in (Account.__table__, Entry.__table__, Transfer.__table__)
        ]
        assert min(row[4] for row in found[0] if row[1] == "volunteer") < 0
        return found


def test_the_ledger_is_the_same_by_copy_and_row_by_row(
    sqlite_database: Database, postgres_url: str
) -> None:
    """Random differences, takings back, caps and debts make equal rows, ids and digests too."""
    postgres = Database(postgres_url)

    assert ledger_of(postgres, 7) == ledger_of(sqlite_database, 7)

    postgres.close()
