# SPDX-License-Identifier: Apache-2.0
"""Events move orders as the table says, once each, and the holder's card with them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from server.errors import Refused
from server.issuing import checking, policy, services
from server.issuing.models import CardOrder, CardStep
from server.issuing.services import CardEvent
from server.people import services as people
from server.people.models import Card
from tests.unit.server.issuing.people import DAY_MS, OTHER_BANK, Town


def test_straight_way_of_a_bank_card(town: Town) -> None:
    """A bank card goes from the order to its holder by steps that each name their cause."""
    with town.database.writing() as session:
        order = town.bring(session, town.order(session, town.volunteer(session)), "active")
        steps = session.scalars(sa.select(CardStep).order_by(CardStep.id)).all()

        assert order.state == "active"
        assert [step.event for step in steps] == [
            "ordered", "exported", "produced", "audited", "arrived", "announced", "collected",
            "activated",
        ]  # fmt: skip
        assert all(step.cause_ref for step in steps)
        assert session.scalars(sa.select(Card.asn)).one() == order.asn


def test_event_heard_twice_is_applied_once(town: Town) -> None:
    """The same event by the same cause answers that it was applied before."""
    with town.database.writing() as session:
        order = town.bring(session, town.order(session, town.volunteer(session)), "exported")
        told = CardEvent(order.order_no, "produced", town.now_ms, "file:A:7", "bank")

        assert services.apply(session, told, town.now_ms).code == "applied"
        assert services.apply(session, told, town.now_ms).code == "repeated"


def test_what_does_not_fit_is_a_code(town: Town) -> None:
    """Unknown orders, foreign partners, wrong sources and states are results, not exceptions."""
    with town.database.writing() as session:
        order = town.order(session, town.volunteer(session))

        def told(event: str, source: str = "bank", **changed: object) -> str:
            values: dict[str, object] = {
                "order_no": order.order_no, "event": event, "at_ms": town.now_ms,
                "cause_ref": "file:A:1", "source": source,
            }  # fmt: skip
            happened = CardEvent(**(values | changed))  # type: ignore[arg-type]
            return services.apply(session, happened, town.now_ms).code

        assert told("produced", order_no="999999999999") == "unknown-order"
        assert told("produced", partner=OTHER_BANK) == "foreign-partner"
        assert told("collected") == "not-following"
        assert told("produced") == "not-following"
        assert told("melted") == "unknown-event"
        assert told("cancelled") == "wrong-source"
        assert told("produced", at_ms=town.now_ms + 3 * DAY_MS) == "future-dated"
        assert order.state == "ordered"


def test_rejected_record_comes_back_for_correction(town: Town) -> None:
    """A rejected record waits to be corrected, and goes out again after that."""
    with town.database.writing() as session:
        order = town.bring(session, town.order(session, town.volunteer(session)), "exported")

        assert town.tell(session, order, "rejected", reject_code="PHOTO").state == "correction"
        assert (order.reject_code, order.batch_ref, order.due_make_ms) == ("PHOTO", None, None)
        assert town.tell(session, order, "corrected", "staff").state == "ordered"
        assert [line.order_no for line in services.ready_for_export(session, "BOC", 10)] == [
            order.order_no
        ]


def test_loss_stays_known_from_its_first_report(town: Town) -> None:
    """The card of a lost order is on the hotlist since the loss, also after its replacement."""
    with town.database.writing() as session:
        old = town.bring(session, town.order(session, town.volunteer(session)), "active")
        lost_ms = town.now_ms
        assert town.tell(session, old, "lost", "staff").ok
        town.now_ms += 5 * DAY_MS
        wish = {"reason": "LOST", "branch": old.branch_code, "id_checked": True}
        assert town.tell(session, old, "reissue_requested", **wish).ok
        new = session.scalars(sa.select(type(old)).where(type(old).replaces_id == old.id)).one()
        town.bring(session, new, "active")

        assert old.state == "replaced"
        card = session.scalars(sa.select(Card).where(Card.asn == old.asn)).one()
        assert (card.state, card.revoked_ms) == ("replaced", lost_ms)
        assert session.scalars(sa.select(Card.state).where(Card.asn == new.asn)).one() == "active"


def test_suspended_card_works_again_after_it_is_resumed(town: Town) -> None:
    """Suspension puts the card on the hotlist, resumption takes it off."""
    with town.database.writing() as session:
        order = town.bring(session, town.order(session, town.volunteer(session)), "active")
        state = sa.select(Card.state)

        assert town.tell(session, order, "suspended", "staff").ok
        assert session.scalars(state).one() == "blocked"
        assert town.tell(session, order, "resumed", "staff").ok
        session.flush()
        assert session.scalars(state).one() == "active"


def test_every_state_is_reached_and_every_final_one_is_an_end() -> None:
    """The table leads into every state but the first, and nowhere out of a final one."""
    assert set(policy.TRANSITIONS.values()) == set(policy.STATES)
    assert not [state for state, _ in policy.TRANSITIONS if state in policy.FINAL]
    assert set(policy.EVENT_SOURCES) == set(policy.EVENTS)
    assert {row.event for row in policy.rows()} == set(policy.EVENTS)


def test_found_card_is_restored_with_its_order(town: Town) -> None:
    """Taken off the hotlist at the console, a lost card's order is active again at once."""
    with town.database.writing() as session:
        order = town.bring(session, town.order(session, town.volunteer(session)), "active")
        assert order.asn is not None
        town.tell(session, order, "lost", "staff")
        card = people.restore_card(session, order.asn, "li", town.now_ms)

        assert (card.state, order.state) == ("active", "active")
        assert session.scalars(sa.select(CardStep.event).order_by(CardStep.id)).all()[-1] == "found"
        assert checking.violations(session) == []


def test_lost_card_stays_lost_while_another_is_made(town: Town) -> None:
    """With its replacement ordered it is refused; once that is called off it serves again."""
    with town.database.writing() as session:
        order = town.bring(session, town.order(session, town.volunteer(session)), "active")
        assert order.asn is not None
        town.tell(session, order, "lost", "staff")
        wish = {"reason": "LOST", "branch": order.branch_code, "id_checked": True}
        assert town.tell(session, order, "reissue_requested", "staff", **wish).ok
        asn, order_id = order.asn, order.id
    with pytest.raises(Refused, match="replacement"), town.database.writing() as session:
        people.restore_card(session, asn, "li", town.now_ms)
    with town.database.writing() as session:
        assert session.scalars(sa.select(Card.state)).one() == "lost"
        assert checking.violations(session) == []
        new = session.scalars(sa.select(CardOrder).where(CardOrder.replaces_id == order_id)).one()
        assert town.tell(session, new, "cancelled", "staff").ok

        assert people.restore_card(session, asn, "li", town.now_ms).state == "active"
        assert checking.violations(session) == []


def test_damaged_card_is_not_restored(town: Town) -> None:
    """No event leads back from a damaged card; the hotlist keeps it."""
    with town.database.writing() as session:
        order = town.bring(session, town.order(session, town.volunteer(session)), "active")
        assert order.asn is not None
        town.tell(session, order, "damaged", "staff")
        with pytest.raises(Refused, match="damaged"):
            people.restore_card(session, order.asn, "li", town.now_ms)
