# SPDX-License-Identifier: Apache-2.0
"""A new card in the place of an old one: who gets it, where, and at which price."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.issuing import branches, dates, dues
from server.issuing.branches import Branch
from server.issuing.models import CardOrder, VestOrder
from server.issuing.policy import BANK as BANK_CARD
from server.issuing.policy import CREDIT, LOST
from server.issuing.reissue_policy import ANNUAL, FEES_FEN, Request, reissue
from server.people.models import Card, Volunteer
from tests.unit.server.issuing.people import BANK, BRANCH, DAY_MS, OTHER_BRANCH, Town


def newest(session: Session) -> CardOrder:
    """Return the order made last."""
    return session.scalars(sa.select(CardOrder).order_by(CardOrder.id.desc()).limit(1)).one()


def test_s26_carrier_is_stored_and_nothing_has_a_price(town: Town) -> None:
    """The order says debit or credit; card, management and years cost nothing."""
    with town.database.writing() as session:
        debit = town.order(session, town.volunteer(session))
        credit = town.order(session, town.volunteer(session), carrier="credit")

        assert (debit.carrier, credit.carrier) == ("debit", "credit")
        assert set(FEES_FEN.values()) == {0}
        assert ANNUAL in FEES_FEN


def test_s33_first_card_expiry_and_vest_are_free(town: Town) -> None:
    """First card and the one after expiry cost nothing; the red vest comes once in a life."""
    with town.database.writing() as session:
        person = town.volunteer(session)
        first = town.bring(session, town.order(session, person), "active")
        assert first.valid_to is not None
        town.now_ms = dates.end_of(first.valid_to) + DAY_MS
        dues.run(session, town.now_ms)
        assert first.state == "expired"
        second = town.order(session, person, reason="EXPIRY")

        assert (first.price_fen, second.price_fen) == (0, 0)
        assert (second.carrier, second.branch_code) == ("debit", BRANCH)
        vests = session.scalars(sa.select(VestOrder)).all()
        assert [(vest.order_id, vest.price_fen) for vest in vests] == [(first.id, 0)]


def test_card_is_renewed_only_shortly_before_it_expires(town: Town) -> None:
    """A card that is good for years more is not made anew for nothing."""
    with town.database.writing() as session:
        person = town.volunteer(session)
        first = town.bring(session, town.order(session, person), "active")
        with pytest.raises(Refused, match="not expire soon"):
            town.order(session, person, reason="EXPIRY")
        assert first.valid_to is not None
        town.now_ms = dates.end_of(first.valid_to) - 90 * DAY_MS

        assert town.order(session, person, reason="EXPIRY").replaces_id == first.id
        assert first.state == "active"


def test_second_first_card_is_refused(town: Town) -> None:
    """Nobody has two first cards, nor a second one under way."""
    with town.database.writing() as session:
        person = town.volunteer(session)
        order = town.order(session, person)
        with pytest.raises(Refused, match="under way"):
            town.order(session, person)
        town.bring(session, order, "active")
        with pytest.raises(Refused, match="not first"):
            town.order(session, person)


def test_s63_credit_card_that_was_cut_is_never_made_again(town: Town) -> None:
    """Cut and closed, a credit card is refused by every way; a debit card is not."""
    with town.database.writing() as session:
        old = town.bring(
            session, town.order(session, town.volunteer(session), carrier="credit"), "arrived"
        )
        assert town.tell(session, old, "cut_closed").ok
        for source in ("hotline", "bank", "staff"):
            wish = {"branch": BRANCH, "id_checked": True}
            answer = town.tell(session, old, "reissue_requested", source, **wish)
            assert answer.code == "credit-cut-closed"
        with pytest.raises(Refused, match="never made again"):
            town.order(session, session.get_one(Volunteer, old.volunteer_id), reason="LOST")
        assert newest(session).id == old.id


@pytest.mark.parametrize("how", ["lost", "damaged", "cut_closed"])
def test_s64_debit_is_reissued_at_the_original_branch_with_a_document(town: Town, how: str) -> None:
    """Lost, damaged or cut: in person, at the branch first chosen, the document seen."""
    reason = {"damaged": "DAMAGED"}.get(how, "LOST")
    with town.database.writing() as session:
        old = town.order(session, town.volunteer(session))
        town.bring(session, old, "announced" if how == "cut_closed" else "active")
        assert town.tell(session, old, how).ok

        def ask(branch: str, id_checked: bool) -> str:
            wish = {"reason": reason, "branch": branch, "id_checked": id_checked}
            return town.tell(session, old, "reissue_requested", **wish).code

        assert ask(OTHER_BRANCH, id_checked=True) == "other-branch"
        assert ask(BRANCH, id_checked=False) == "id-not-checked"
        assert ask(BRANCH, id_checked=True) == "applied"
        assert ask(BRANCH, id_checked=True) == "under-way"
        new = newest(session)
        assert (new.replaces_id, new.reason, new.price_fen) == (old.id, reason, 0)


def test_reissue_goes_to_another_branch_once_the_first_has_closed(town: Town) -> None:
    """Where the branch first chosen has closed, the one asked for counts."""
    with town.database.writing() as session:
        old = town.bring(session, town.order(session, town.volunteer(session)), "active")
        assert town.tell(session, old, "lost").ok
        today = dates.local_day(town.now_ms)
        opened = dt.date(2020, 1, 1)
        closing = Branch(BANK, BRANCH, "福田支行", opened, dates.months_after(today, -1))
        branches.load(session, [closing], "li", town.now_ms)
        wish = {"branch": OTHER_BRANCH, "id_checked": True}

        assert town.tell(session, old, "reissue_requested", **wish).code == "applied"
        assert newest(session).branch_code == OTHER_BRANCH


def test_s65_credit_is_lost_and_reissued_by_the_hotline(town: Town) -> None:
    """Two events of the hotline's file report the loss and order the new card."""
    with town.database.writing() as session:
        old = town.bring(
            session, town.order(session, town.volunteer(session), carrier="credit"), "active"
        )
        assert town.tell(session, old, "lost", "hotline").state == "lost"
        assert session.scalars(sa.select(Card.state)).one() == "lost"
        at_branch = {"branch": BRANCH, "id_checked": True}

        assert town.tell(session, old, "reissue_requested", "bank", **at_branch).code == (
            "hotline-only"
        )
        assert town.tell(session, old, "reissue_requested", "hotline").code == "applied"
        assert (newest(session).reason, newest(session).carrier) == ("LOST", "credit")


def test_wish_heard_twice_orders_one_card(town: Town) -> None:
    """The same line of the same file again answers that it was applied before."""
    with town.database.writing() as session:
        old = town.bring(
            session, town.order(session, town.volunteer(session), carrier="credit"), "active"
        )
        town.tell(session, old, "lost", "hotline")
        town.tell(session, old, "reissue_requested", "hotline")
        town.causes -= 1

        assert town.tell(session, old, "reissue_requested", "hotline").code == "repeated"


def test_rules_know_every_combination() -> None:
    """No combination of facts is without an answer, and a refusal says why in both languages."""
    for kind in ("own", "bank"):
        for carrier in ("debit", CREDIT):
            for reason in ("FIRST", "EXPIRY", "DAMAGED", LOST):
                for state in ("", "active", "lost", "damaged", "expired", "cut_closed", "ordered"):
                    said = reissue(
                        Request(kind, carrier, reason, state, "hotline", id_checked=True)
                    )
                    assert said.allowed == (not said.code)
                    assert said.allowed or (said.zh and said.en)
    assert reissue(Request(BANK_CARD, CREDIT, "GIFT", "", "bank")).code == "reason"
