# SPDX-License-Identifier: Apache-2.0
"""The pages about cards: worklists, search, one order, many at once, a person's history."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from server.issuing import bulk, search
from server.issuing.models import BulkAction, CardOrder
from server.people.models import Audit
from tests.unit.server.portal.conftest import Visitor
from tests.unit.server.portal.scene import NOW_MS


@pytest.fixture
def staff(visitor: Visitor) -> Visitor:
    """Somebody of the staff."""
    visitor.come_as("staff")
    return visitor


def test_worklist_shows_what_is_to_be_done(staff: Visitor) -> None:
    """The order of Zhang stands on the first list, masked, with a way to its page."""
    order_no = staff.scene.codes["card-order"]
    text = staff.get("/cards").text

    assert f"/cards/orders/{order_no}" in text
    assert "张**" in text
    assert staff.scene.numbers["zhang"] not in text
    assert staff.get("/cards?list=collect").status_code == 200
    assert staff.get("/cards?list=nothing").status_code == 404


@pytest.mark.parametrize("query", ["张小梅", "zhangxiaomei", "zxm", "{number}", "{order}"])
def test_search_finds_the_person(staff: Visitor, query: str) -> None:
    """By name, pinyin, initials, number and order; the trail says that somebody searched."""
    scene = staff.scene
    with scene.database.writing() as session:
        search.index_new(session, scene.runtime.store, NOW_MS)
    wanted = query.format(number=scene.numbers["zhang"], order=scene.codes["card-order"])
    text = staff.send("/cards/find", query=wanted).text

    assert f"/volunteers/{scene.ids['zhang']}/history" in text
    with scene.database.reading() as session:
        said = session.scalars(sa.select(Audit.detail).where(Audit.action == "cards.searched"))
        assert [line["found"] for line in said] == [1]


def test_staff_say_what_happened_with_a_reason(staff: Visitor) -> None:
    """Without a reason nothing happens; with one the order is called off and says why."""
    address = f"/cards/orders/{staff.scene.codes['card-order']}"
    assert staff.send(address, event="cancelled", reason=" ").status_code == 422
    assert staff.send(address, event="cancelled", reason="本人撤回").status_code == 302
    text = staff.get(address).text

    assert "本人撤回" in text
    assert staff.send(address, event="cut_closed", reason="x").status_code == 403
    assert staff.get("/cards/orders/000000009999").status_code == 404


def test_bulk_action_is_previewed_begun_and_called_off(staff: Visitor) -> None:
    """Preview, reason, five minutes, undo: and the order is as it was."""
    order_no = staff.scene.codes["card-order"]
    shown = staff.send("/cards/bulk", action="cancelled", order=order_no)
    assert shown.status_code == 200
    assert order_no in shown.text
    begun = staff.send("/cards/bulk", action="cancelled", order=order_no, reason="重复", begin="1")
    assert begun.status_code == 302
    database = staff.scene.database
    with database.reading() as session:
        number = session.scalars(sa.select(BulkAction.id)).one()
    assert staff.send("/cards/bulk", undo=str(number)).status_code == 302
    with database.writing() as session:
        assert bulk.run(session, NOW_MS + bulk.UNDO_MS) == 0
        assert session.scalars(sa.select(CardOrder.state)).one() == "ordered"
    assert staff.send("/cards/bulk", action="melted", order=order_no).status_code == 422


def test_history_shows_everything_on_one_page(staff: Visitor) -> None:
    """Order and steps, card, functions, hours and ledger; masked; the viewing is recorded."""
    scene = staff.scene
    text = staff.get(f"/volunteers/{scene.ids['zhang']}/history").text

    assert scene.codes["card-order"] in text
    assert scene.numbers["zhang"] not in text
    for part in ("orders", "functions", "hours", "ledger", "messages"):
        assert f'id="{part}"' in text
    assert staff.get("/volunteers/999/history").status_code == 404
    with scene.database.reading() as session:
        viewed = sa.select(Audit.actor).where(Audit.action == "volunteer.history-viewed")
        assert session.scalars(viewed).all() == ["user:staff"]


def test_audit_trail_is_for_who_may_read_it(visitor: Visitor) -> None:
    """An administrator sees the trail on the person's page."""
    visitor.come_as("admin")

    assert 'id="trail"' in visitor.get(f"/volunteers/{visitor.scene.ids['zhang']}/history").text


def test_volunteer_turns_functions_on_and_off(visitor: Visitor) -> None:
    """Everything is off at first; a choice is noted and can be taken back."""
    visitor.come_as("zhang")
    assert 'name="on" value="0"' not in visitor.get("/me/functions").text
    assert visitor.send("/me/functions", function="transit", on="1").status_code == 302
    assert visitor.get("/me/functions").text.count('name="on" value="0"') == 1
    assert visitor.send("/me/functions", function="transit", on="0").status_code == 302
    assert visitor.send("/me/functions", function="lottery", on="1").status_code == 422
    assert 'name="on" value="0"' not in visitor.get("/me/functions").text
