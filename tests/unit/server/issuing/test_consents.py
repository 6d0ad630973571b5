# SPDX-License-Identifier: Apache-2.0
"""Functions a volunteer turns on, vests, and what is left after leaving."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from server.errors import Refused
from server.issuing import consents, services
from server.issuing.models import FunctionConsent, VestOrder
from server.issuing.services import Choice
from server.people.models import Card, Volunteer
from server.people.services import LISTED_STATES
from tests.unit.server.issuing.people import Town


def test_s31_each_function_is_opted_into(town: Town) -> None:
    """Everything is off by default; a choice stands with its instant and channel."""
    with town.database.writing() as session:
        person = town.volunteer(session).id
        assert set(services.consents(session, person).values()) == {False}
        services.set_consent(session, person, Choice("transit", True, "online"), "self", 7)
        services.set_consent(session, person, Choice("health", True, "staff"), "li", 8)
        services.set_consent(session, person, Choice("health", False, "hotline"), "li", 9)

        on = {name for name, granted in services.consents(session, person).items() if granted}
        assert on == {"transit"}
        rows = session.scalars(sa.select(FunctionConsent).order_by(FunctionConsent.id)).all()
        assert [(row.channel, row.at_ms) for row in rows] == [
            ("online", 7), ("staff", 8), ("hotline", 9),
        ]  # fmt: skip
        with pytest.raises(Refused):
            services.set_consent(session, person, Choice("lottery", True, "online"), "self", 9)


def test_s32_card_without_finance_serves(town: Town) -> None:
    """Identity and time keeping are on while finance is off, and the card is on no hotlist."""
    with town.database.writing() as session:
        order = town.bring(session, town.order(session, town.volunteer(session)), "active")
        found = services.functions(session, order.volunteer_id)

        assert not found["finance"]
        assert found["identity"]
        assert found["timekeeping"]
        assert session.scalars(sa.select(Card.state)).one() not in LISTED_STATES


def test_s34_card_and_vest_go_their_own_ways(town: Town) -> None:
    """One production order has two deliverables, each with a state of its own."""
    with town.database.writing() as session:
        order = town.order(session, town.volunteer(session))
        line = services.ready_for_export(session, "BOC", 10)[0]
        town.bring(session, order, "audited")
        assert line.vest
        assert town.tell(session, order, "vest_produced").ok
        vest = session.scalars(sa.select(VestOrder)).one()
        assert (order.state, vest.state) == ("audited", "produced")
        town.bring(session, order, "active")
        assert (order.state, vest.state) == ("active", "produced")
        assert town.tell(session, order, "vest_collected").ok
        assert town.tell(session, order, "vest_arrived").code == "not-following"


def test_s68_leaving_ends_everything_but_finance_and_transit(town: Town) -> None:
    """Cards are refused, functions off, orders closed; two functions and the history stay."""
    with town.database.writing() as session:
        order = town.bring(session, town.order(session, town.volunteer(session)), "active")
        person = order.volunteer_id
        for name in ("finance", "transit", "travel", "offers"):
            services.set_consent(session, person, Choice(name, True, "online"), "self", 1)
        services.deregister(session, person, "搬家", "li", town.now_ms)

        on = {name for name, value in services.functions(session, person).items() if value}
        assert on == {"finance", "transit"}
        assert session.scalars(sa.select(Card.state)).one() == "revoked"
        history = services.person_history(session, person)
        assert [one.order.state for one in history.orders] == ["cancelled"]
        assert len(history.orders[0].steps) == 9
        assert session.get_one(Volunteer, person).erased_ms is None
        with pytest.raises(Refused, match="deregistered"):
            services.order(session, services.NewOrder(person, "own"), "li", town.now_ms)
        with pytest.raises(Refused, match="left before"):
            services.deregister(session, person, "again", "li", town.now_ms)


def test_s23_transit_stays_with_the_card(town: Town) -> None:
    """Transit is a choice of its own, on the chip's bit map too, and leaving does not end it."""
    with town.database.writing() as session:
        person = town.volunteer(session).id
        services.set_consent(session, person, Choice("transit", True, "desk"), "li", 1)
        assert int(consents.card_functions(session, person)) == 0x14
        services.deregister(session, person, "搬家", "li", town.now_ms)

        assert int(consents.card_functions(session, person)) == 0x04


def test_order_cannot_be_told_to_leave_by_itself(town: Town) -> None:
    """Steps of the server's own are nobody else's to tell."""
    with town.database.writing() as session:
        order = town.bring(session, town.order(session, town.volunteer(session)), "active")
        for event in ("deregistered", "replaced", "expired", "exported"):
            for source in ("system", "staff", "bank"):
                assert town.tell(session, order, event, source).code == "wrong-source"
