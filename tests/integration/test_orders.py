# SPDX-License-Identifier: Apache-2.0
"""Orders of people: gifts, holds, reversals, caps, expiry; what other ledgers got wrong."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Database
from server.errors import Refused
from server.people.models import Audit
from server.timebank import orders
from server.timebank.checking import check
from server.timebank.models import Account, Transfer
from server.timebank.moves import Move, Side, move
from server.timebank.orders import Order
from server.timebank.policy import ACCOUNT_KINDS, ROUTES, TRANSFER_KINDS
from server.timebank.services import balance, post_differences
from tests.integration.test_timebank import NOW_MS, add_interval, add_person

HOUR_MS = 3_600_000
SPENDERS = 50


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """Give a unit of work with volunteers 1, 2, 3; the first has 100 minutes."""
    with database.writing() as opened:
        for number in (1, 2, 3):
            add_person(opened, number)
        orders.transfer(opened, "award", Order("first", 0, 100, 1), NOW_MS, "test")
        yield opened
        assert check(opened).faults == []


def refused(code: str) -> pytest.RaisesExc[Refused]:
    """Expect a refusal with this code."""
    return pytest.RaisesExc(Refused, check=lambda error: error.code == code)


def test_a_gift_moves_minutes(session: Session) -> None:
    """A gift of 30 of 100 minutes leaves 70 and brings 30."""
    orders.transfer(session, "gift", Order("g", 1, 30, 2), NOW_MS, "li")

    assert (balance(session, 1), balance(session, 2)) == (70, 30)


def test_the_same_order_again_changes_nothing(session: Session) -> None:
    """An order given twice is one transfer; with other content its uid is refused."""
    first = orders.transfer(session, "gift", Order("g", 1, 30, 2), NOW_MS, "li")

    assert orders.transfer(session, "gift", Order("g", 1, 30, 2), NOW_MS + 9, "li") == first
    with refused("uid-reused"):
        orders.transfer(session, "gift", Order("g", 1, 31, 2), NOW_MS, "li")
    assert balance(session, 2) == 30


def test_nobody_gives_what_is_not_there(session: Session) -> None:
    """A gift above the balance is refused (TimeOverflow only flags it afterwards)."""
    with refused("limit"):
        orders.transfer(session, "gift", Order("g", 1, 101, 2), NOW_MS, "li")

    assert balance(session, 1) == 100


def test_what_is_held_cannot_be_given(session: Session) -> None:
    """Minutes on hold are not there to spend: no overspending by transfers under way (Blnk 181)."""
    orders.hold(session, Order("h", 1, 80), NOW_MS + HOUR_MS, NOW_MS, "li")

    with refused("limit"):
        orders.transfer(session, "gift", Order("g", 1, 21, 2), NOW_MS, "li")
    with refused("limit"):
        orders.hold(session, Order("h2", 1, 21), NOW_MS + HOUR_MS, NOW_MS, "li")
    assert balance(session, 1) == 20


def test_a_hold_ends_once(session: Session) -> None:
    """A hold is posted, voided or lapsed, one of them and once; a voided one is never committed.

    (Blnk 182 committed a rejected transfer, 55 lost one under way.)
    """
    held = orders.hold(session, Order("h", 1, 80), NOW_MS + HOUR_MS, NOW_MS, "li")
    orders.release(session, "v", held, NOW_MS, "li")

    with refused("hold-settled"):
        orders.post(session, "p", held, Order("p", 1, 80, 2), NOW_MS, "li")
    assert orders.lapse(session, NOW_MS + 2 * HOUR_MS, "clock") == []
    assert (balance(session, 1), balance(session, 2)) == (100, 0)


def test_a_hold_is_posted_in_part(session: Session) -> None:
    """What is not posted goes back; the parent stands in the transfer (Blnk 158)."""
    held = orders.hold(session, Order("h", 1, 80), NOW_MS + HOUR_MS, NOW_MS, "li")
    posted = orders.post(session, "p", held, Order("p", 1, 50, 2), NOW_MS, "li")

    assert orders.post(session, "p", held, Order("p", 1, 50, 2), NOW_MS, "li") == posted
    assert session.get_one(Transfer, posted).resolves == held
    assert (balance(session, 1), balance(session, 2)) == (50, 50)


def test_a_hold_lapses_at_its_instant(session: Session) -> None:
    """At its end a hold can no longer be posted, and the minutes go back."""
    held = orders.hold(session, Order("h", 1, 80), NOW_MS + HOUR_MS, NOW_MS, "li")

    assert orders.lapse(session, NOW_MS + HOUR_MS - 1, "clock") == []
    with refused("hold-lapsed"):
        orders.post(session, "p", held, Order("p", 1, 80, 2), NOW_MS + HOUR_MS, "li")
    assert len(orders.lapse(session, NOW_MS + HOUR_MS, "clock")) == 1
    assert balance(session, 1) == 100


def test_a_reversal_happens_once(session: Session) -> None:
    """A transfer is taken back once, whatever the uid of the second try (Blnk 152)."""
    given = orders.transfer(session, "gift", Order("g", 1, 30, 2), NOW_MS, "li")
    undone = orders.reverse(session, "r", given, NOW_MS, "li")

    assert orders.reverse(session, "r", given, NOW_MS, "li") == undone
    with refused("reversed"):
        orders.reverse(session, "r2", given, NOW_MS, "li")
    with refused("not-reversible"):
        orders.reverse(session, "r3", undone, NOW_MS, "li")
    assert (balance(session, 1), balance(session, 2)) == (100, 0)


def test_hours_are_corrected_where_they_come_from(session: Session) -> None:
    """Nobody reverses the minutes of an interval by hand; a correction of it does."""
    add_interval(session, 1, 5, 60)
    post_differences(session, [1], NOW_MS)
    earned = session.scalars(sa.select(Transfer.id).where(Transfer.kind == "service")).one()

    with refused("derived"):
        orders.reverse(session, "r", earned, NOW_MS, "li")
    assert session.scalar(sa.select(sa.func.count()).where(Transfer.uid == "r")) == 0


def test_a_correction_of_minutes_given_away_leaves_a_debt(session: Session) -> None:
    """A correction counts even if the minutes are gone; nothing is given until they are back."""
    interval = add_interval(session, 2, 5, 60)
    post_differences(session, [2], NOW_MS)
    orders.transfer(session, "gift", Order("g", 2, 50, 3), NOW_MS, "li")
    interval.current = False
    session.flush()
    post_differences(session, [2], NOW_MS + 1)

    assert balance(session, 2) == -50
    with refused("limit"):
        orders.transfer(session, "gift", Order("g2", 2, 1, 3), NOW_MS, "li")
    add_interval(session, 2, 6, 80)
    post_differences(session, [2], NOW_MS + 2)
    assert session.execute(
        sa.select(Account.minutes, Account.floor).where(
            Account.kind == "volunteer", Account.owner == 2
        )
    ).one() == (30, 0)


def test_linked_transfers_come_all_or_none(session: Session) -> None:
    """If one of several linked transfers is refused, none is made."""
    ok = Move("a", "gift", 1, {Side("volunteer", 1): -50, Side("volunteer", 2): 50})
    not_ok = Move("b", "gift", 1, {Side("volunteer", 1): -60, Side("volunteer", 3): 60})
    with pytest.raises(Refused), session.begin_nested():
        move(session, [ok, not_ok], NOW_MS, "li")

    assert session.scalar(sa.select(sa.func.count()).where(Transfer.uid.in_(("a", "b")))) == 0
    assert balance(session, 1) == 100


def test_a_cap_limits_gifts(session: Session) -> None:
    """Where a deployment caps what one may hold, a gift beyond it is refused."""
    orders.transfer(session, "gift", Order("g", 1, 40, 2, cap=40), NOW_MS, "li")

    with refused("cap"):
        orders.transfer(session, "gift", Order("g2", 1, 1, 2, cap=40), NOW_MS, "li")
    assert balance(session, 2) == 40


def test_a_cap_limits_what_a_hold_gives(session: Session) -> None:
    """Beyond the cap a hold is posted only with a reason, which the audit trail keeps."""
    held = orders.hold(session, Order("h", 1, 80), NOW_MS + HOUR_MS, NOW_MS, "li")
    with refused("cap"):
        orders.post(session, "p", held, Order("p", 1, 41, 2, cap=40), NOW_MS, "li")
    allowed = Order("p", 1, 41, 2, cap=40, beyond_cap="昨日上限有误")
    orders.post(session, "p", held, allowed, NOW_MS, "li")

    line = session.scalars(sa.select(Audit).where(Audit.action == "ledger.beyond-cap")).one()
    assert (line.subject, line.detail["reason"]) == ("volunteer:2", "昨日上限有误")
    assert balance(session, 2) == 41


def test_old_minutes_expire_once_and_the_oldest_are_spent_first(session: Session) -> None:
    """Of 100 old minutes 30 were given: 70 expire, later ones stay."""
    orders.transfer(session, "gift", Order("g", 1, 30, 2), NOW_MS + 1, "li")
    orders.transfer(session, "award", Order("new", 0, 25, 1), NOW_MS + 10, "li")

    assert orders.expire(session, 1, NOW_MS + 5, NOW_MS + 20, "clock") == 70
    assert orders.expire(session, 1, NOW_MS + 5, NOW_MS + 21, "clock") == 0
    assert balance(session, 1) == 25


@pytest.mark.parametrize("minutes", [0, -5, 120_001])
def test_an_order_has_minutes(session: Session, minutes: int) -> None:
    """Nothing, less than nothing and a slip of the finger are refused."""
    with refused("minutes"):
        orders.transfer(session, "gift", Order("g", 1, minutes, 2), NOW_MS, "li")
    assert balance(session, 2) == 0


def test_no_way_leads_to_money() -> None:
    """Every transfer goes between accounts of time; no kind of account stands for money."""
    assert set(ACCOUNT_KINDS) == {"volunteer", "held", "treasury", "opening"}
    assert {end for route in ROUTES.values() for end in route} == set(ACCOUNT_KINDS)
    assert set(TRANSFER_KINDS) == {*ROUTES, "reversal"}


def test_the_database_knows_no_other_account(session: Session) -> None:
    """An account for money cannot be written, whoever asks."""
    with pytest.raises(sa.exc.IntegrityError), session.begin_nested():
        session.execute(sa.insert(Account).values(kind="cash", owner=1, region=""))


def test_the_database_refuses_a_balance_below_its_floor(session: Session) -> None:
    """No statement brings an account below its floor, whoever asks."""
    statement = sa.update(Account).where(Account.kind == "volunteer", Account.owner == 1)
    with pytest.raises(sa.exc.IntegrityError), session.begin_nested():
        session.execute(statement.values(minutes=-1))


def test_of_fifty_spends_at_once_only_those_covered_succeed(database: Database) -> None:
    """Fifty threads spend 3 of 100 minutes each: 33 succeed (credits spent twice elsewhere)."""
    with database.writing() as session:
        for number in (1, 2):
            add_person(session, number)
        orders.transfer(session, "award", Order("first", 0, 100, 1), NOW_MS, "test")

    def spend(number: int) -> bool:
        order = Order(f"spend:{number}", 1, 3, 2)
        try:
            orders.settle(
                database, lambda session: orders.transfer(session, "gift", order, NOW_MS, "li")
            )
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        done = list(pool.map(spend, range(SPENDERS)))

    with database.reading() as session:
        assert (sum(done), balance(session, 1), balance(session, 2)) == (33, 1, 99)
        assert check(session).faults == []
