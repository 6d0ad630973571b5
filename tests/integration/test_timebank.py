# SPDX-License-Identifier: Apache-2.0
"""The ledger on real databases: posting, reversing, and what the database itself refuses."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Database
from server.people.models import Volunteer
from server.reconciliation.models import ServiceInterval
from server.timebank.checking import check
from server.timebank.models import Account, Entry, Transfer
from server.timebank.services import balance, post_differences

NOW_MS = 1_795_222_800_000


def add_person(session: Session, number: int) -> int:
    """Add a volunteer and return the id."""
    person = Volunteer(
        number=f"{number:010d}",
        sealed_name=b"",
        sealed_birth=b"",
        masked_name="*",
        created_ms=0,
        secret_hash="",
        secret_kind="code",
    )
    session.add(person)
    session.flush()
    return person.id


def add_interval(session: Session, person: int, seq: int, minutes: int) -> ServiceInterval:
    """Make a current interval of a person."""
    interval = ServiceInterval(
        person=person,
        key=f"in:1:{seq}",
        in_terminal=1,
        in_seq=seq,
        start_ms=NOW_MS,
        end_ms=NOW_MS + 60_000 * minutes,
        credited_minutes=minutes,
        grade="A",
        state="credited",
        rules="1",
        service_day=dt.date(2026, 11, 21),
        engine_version=1,
        made_ms=NOW_MS,
        current=True,
    )
    session.add(interval)
    session.flush()
    return interval


def test_posting_twice_posts_once(database: Database) -> None:
    """The second posting of the same intervals finds nothing to do."""
    with database.writing() as session:
        person = add_person(session, 1)
        add_interval(session, person, 5, 157)
        first = post_differences(session, [person], NOW_MS)
        second = post_differences(session, None, NOW_MS)

    with database.reading() as session:
        assert (first.posted, second.posted) == (1, 0)
        assert balance(session, person) == 157
        assert check(session).sound


def test_a_changed_interval_is_reversed_and_posted_anew(database: Database) -> None:
    """A late event changes 157 to 120 minutes: three transfers, none edited, balance 120."""
    with database.writing() as session:
        person = add_person(session, 1)
        old = add_interval(session, person, 5, 157)
        post_differences(session, [person], NOW_MS)
        old.current = False
        add_interval(session, person, 5, 120)
        summary = post_differences(session, [person], NOW_MS + 1)

    with database.reading() as session:
        kinds = session.scalars(sa.select(Transfer.kind).order_by(Transfer.id)).all()
        found = check(session)
        assert (summary.posted, summary.reversed) == (2, 1)
        assert kinds == ["service", "reversal", "service"]
        assert balance(session, person) == 120
        assert (found.sound, found.ledger_sum) == (True, 0)


def test_check_names_minutes_that_are_not_posted(database: Database) -> None:
    """An interval without its transfer is a fault of the ledger, named by its key."""
    with database.writing() as session:
        add_interval(session, add_person(session, 1), 5, 30)

    with database.reading() as session:
        assert check(session).faults == ["interval in:1:5: 30 minutes not posted"]


@pytest.mark.parametrize("table", ["transfer", "entry"])
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
def test_the_database_refuses_changes(database: Database, table: str, verb: str) -> None:
    """Neither transfers nor entries can be updated or deleted, whoever asks."""
    with database.writing() as session:
        person = add_person(session, 1)
        add_interval(session, person, 5, 30)
        post_differences(session, [person], NOW_MS)
    column = {"transfer": "actor = 'x'", "entry": "minutes = 1"}[table]
    statement = f"UPDATE {table} SET {column}" if verb == "UPDATE" else f"DELETE FROM {table}"

    with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.writing() as session:
        session.execute(sa.text(statement))


@pytest.mark.parametrize(
    ("sides", "words"),
    [((30, -20), "sum to zero"), ((30,), "sum to zero"), ((), "sum to zero")],
    ids=["unbalanced", "one-sided", "without entries"],
)
def test_the_database_refuses_an_unbalanced_transfer(
    database: Database, sides: tuple[int, ...], words: str
) -> None:
    """A transfer whose entries do not sum to zero cannot be inserted, whoever asks."""
    with pytest.raises(sa.exc.DBAPIError, match=words), database.writing() as session:
        person, accounts = _accounts(session)
        session.add_all(
            Entry(transfer_id=1, account_id=account, minutes=side)
            for account, side in zip(accounts, sides, strict=False)
        )
        session.flush()
        session.execute(sa.insert(Transfer), [_transfer(person)])


def test_the_database_refuses_an_entry_after_the_transfer(database: Database) -> None:
    """Once a transfer is there it takes no further entry."""
    with pytest.raises(sa.exc.DBAPIError, match="further entry"), database.writing() as session:
        person, accounts = _accounts(session)
        both = [Entry(transfer_id=1, account_id=accounts[i], minutes=(5, -5)[i]) for i in (0, 1)]
        session.add_all(both)
        session.flush()
        session.execute(sa.insert(Transfer), [_transfer(person)])
        session.add(Entry(transfer_id=1, account_id=accounts[2], minutes=1))
        session.flush()


def test_the_database_refuses_entries_without_a_transfer(database: Database) -> None:
    """Entries whose transfer never comes fail at commit."""
    with pytest.raises(sa.exc.IntegrityError), database.writing() as session:
        _, accounts = _accounts(session)
        session.add(Entry(transfer_id=1, account_id=accounts[0], minutes=5))


def _accounts(session: Session) -> tuple[int, list[int]]:
    person = add_person(session, 1)
    rows = [Account(kind="treasury", owner=owner) for owner in (0, 1, 2)]
    session.add_all(rows)
    session.flush()
    return person, [row.id for row in rows]


def _transfer(person: int) -> dict[str, Any]:
    return {
        "id": 1, "kind": "service", "person": person, "ref": "in:1:1",
        "interval_id": None, "reverses": None, "at_ms": NOW_MS, "actor": "test", "uid": "one",
        "digest": bytes(32),
    }  # fmt: skip
