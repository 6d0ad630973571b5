# SPDX-License-Identifier: Apache-2.0
"""Services above the cap of an account: to the treasury, once, whatever order hours come in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from server.db import Database
from server.errors import Refused
from server.reconciliation.models import ServiceInterval
from server.timebank import orders
from server.timebank.checking import check
from server.timebank.models import Account, Transfer
from server.timebank.orders import Order
from server.timebank.policy import overflow
from server.timebank.services import balance, post_differences
from tests.integration.test_timebank import NOW_MS, add_interval, add_person

CAP = 100
changes = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 90)), max_size=6)


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """A unit of work over a database with two people; taken back at the end."""
    with database.writing() as opened:
        add_person(opened, 1)
        add_person(opened, 2)
        yield opened
        opened.rollback()


def treasury(session: Session) -> int:
    """Return what the treasuries hold together."""
    total = sa.select(sa.func.coalesce(sa.func.sum(Account.minutes), 0))
    return int(session.scalar(total.where(Account.kind == "treasury")) or 0)


def set_minutes(session: Session, person: int, seq: int, minutes: int) -> None:
    """Derive an interval anew with other minutes."""
    session.execute(
        sa.update(ServiceInterval)
        .where(ServiceInterval.person == person, ServiceInterval.in_seq == seq)
        .values(current=False)
    )
    if minutes:
        add_interval(session, person, seq, minutes)


def test_what_is_above_goes_to_the_treasury_once(session: Session) -> None:
    """Of 150 minutes 100 are held, 50 go back; a second posting finds nothing; books agree."""
    add_interval(session, 1, 5, 80)
    add_interval(session, 1, 6, 70)
    post_differences(session, None, NOW_MS, cap=CAP)

    assert post_differences(session, None, NOW_MS, cap=CAP).posted == 0
    assert (balance(session, 1), treasury(session)) == (100, -100)
    assert check(session).faults == []
    number = session.scalars(sa.select(Transfer.id).where(Transfer.kind == "expiry")).one()
    with pytest.raises(Refused, match="derived"):
        orders.reverse(session, "r", number, NOW_MS, "li")


def test_a_correction_is_first_taken_from_what_was_above(session: Session) -> None:
    """Who earned 130, spent 60 and loses a minute keeps 40; what was spent makes room again."""
    add_interval(session, 1, 5, 130)
    post_differences(session, None, NOW_MS, cap=CAP)
    orders.transfer(session, "gift", Order("g", 1, 60, 2), NOW_MS, "li")
    set_minutes(session, 1, 5, 129)
    post_differences(session, None, NOW_MS, cap=CAP)
    assert balance(session, 1) == 40

    add_interval(session, 1, 6, 90)
    post_differences(session, None, NOW_MS, cap=CAP)
    assert balance(session, 1) == CAP
    assert check(session).faults == []


def test_whoever_holds_more_than_a_new_cap_keeps_it(session: Session) -> None:
    """A cap set later takes nothing away; what is earned from then on goes to the treasury."""
    add_interval(session, 1, 5, 150)
    post_differences(session, None, NOW_MS)
    add_interval(session, 1, 6, 30)
    post_differences(session, None, NOW_MS, cap=CAP)

    assert balance(session, 1) == 150


@given(steps=st.lists(st.integers(-90, 90), max_size=12))
def test_without_spending_the_lesser_of_earned_and_cap_is_held(steps: list[int]) -> None:
    """Whatever goes up and down, held and above depend on the sum alone."""
    held = above = earned = 0
    for step in steps:
        change = max(step, -earned)
        minutes = overflow(held, change, above, CAP)
        earned, held, above = earned + change, held + change - minutes, above + minutes
        assert (held, above) == (min(earned, CAP), max(0, earned - CAP))


@settings(max_examples=12)
@given(pieces=st.lists(changes, min_size=1, max_size=4))
def test_pieces_and_order_make_no_difference(
    sqlite_template: Path, pieces: list[list[tuple[int, int]]]
) -> None:
    """Posted in pieces with corrections between, the ledger holds what one posting would."""
    database = Database(f"sqlite:///{sqlite_template}")
    with database.writing() as session:
        person = add_person(session, 1)
        for piece in pieces:
            for seq, minutes in piece:
                set_minutes(session, person, seq, minutes)
            post_differences(session, [person], NOW_MS, cap=CAP)
            assert post_differences(session, [person], NOW_MS, cap=CAP).posted == 0
        last = {seq: minutes for piece in pieces for seq, minutes in piece}
        assert balance(session, person) == min(CAP, sum(last.values()))
        assert treasury(session) == -balance(session, person)
        assert check(session).faults == []
        session.rollback()
    database.close()
