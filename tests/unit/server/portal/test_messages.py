# SPDX-License-Identifier: Apache-2.0
"""Messages as staff see them, public notices for everybody, and the menu that leads there."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from server.outbox.models import OutboxMessage
from server.outbox.policy import DAY_MS, Channel, State
from server.outbox.services import Message, queue
from server.people.models import Audit
from tests.unit.server.portal.conftest import Visitor
from tests.unit.server.portal.scene import NOW_MS

BRANCH = {"branch": "福田支行", "until": "2026-12-20"}


@pytest.fixture
def town(visitor: Visitor) -> Visitor:
    """A message to Li, who stands in Futian, a failed one to Chen, and a public notice."""
    ids = visitor.scene.ids
    public = Message("card.uncollected", None, "public", BRANCH | {"name": "赵**"}, Channel.PUBLIC)
    with visitor.scene.database.writing() as session:
        queue(session, Message("card.arrived", ids["li"], "to-li", BRANCH), NOW_MS)
        queue(session, Message("card.lost", ids["chen"], "to-chen"), NOW_MS)
        queue(session, public, NOW_MS)
        chen = session.scalars(sa.select(OutboxMessage).filter_by(once="to-chen")).one()
        chen.state, chen.outcome, chen.tries = State.FAILED, "no such number", 6
    return visitor


def number_of(visitor: Visitor, once: str) -> str:
    """Return the number of a message by its cause."""
    with visitor.scene.database.reading() as session:
        found = session.scalars(sa.select(OutboxMessage.id).filter_by(once=once)).one()
    return str(found)


def test_notices_hang_for_everybody_masked_and_for_a_month(town: Visitor) -> None:
    """Without a session the notice is read, in both languages, until its month is over."""
    assert "赵** 的义工证逾期未领" in town.get("/notices").text
    assert "到福田支行，请在" not in town.get("/notices").text
    assert 'href="/notices"' in town.get("/").text
    town.get("/language/en")
    assert "The card of 赵** was not collected" in town.get("/notices").text
    town.scene.clock.now_ms = NOW_MS + 31 * DAY_MS

    assert "No notice hangs now." in town.get("/notices").text


def test_staff_see_messages_by_state(town: Visitor) -> None:
    """Each message stands with its text, state and outcome; a state narrows the list."""
    town.come_as("staff")
    everything, failed = town.get("/messages").text, town.get("/messages?state=failed").text

    assert "您的义工证已到福田支行" in everything
    assert "no such number" in failed
    assert "福田支行" not in failed
    assert town.get("/messages?state=nothing").status_code == 404
    assert town.get(f"/messages?before={'9' * 40}").status_code == 200


def test_failed_message_is_sent_again_and_a_queued_one_called_off(town: Visitor) -> None:
    """Both stand on the audit trail; what is over already is refused with a reason."""
    town.come_as("staff")
    chen, li = number_of(town, "to-chen"), number_of(town, "to-li")
    assert town.send("/messages", message=chen, action="retry").status_code == 302
    assert town.send("/messages", message=li, action="cancel").status_code == 302
    assert town.send("/messages", message=li, action="cancel").status_code == 422
    assert town.send("/messages", message="77777", action="retry").status_code == 404

    with town.scene.database.reading() as session:
        states = dict(session.execute(sa.select(OutboxMessage.once, OutboxMessage.state)).all())
        said = session.scalars(sa.select(Audit.action).where(Audit.action.startswith("message.")))
        assert sorted(said) == ["message.cancelled", "message.retried"]
    ours = {"to-li": "cancelled", "to-chen": "queued", "public": "published"}
    assert {once: states[once] for once in ours} == ours


def test_part_of_the_people_sees_part_of_the_messages(town: Visitor) -> None:
    """Staff of Futian see Li's message only, without counts, and touch no other."""
    town.come_as("futian_staff")
    text = town.get("/messages").text

    assert "福田支行" in text
    assert "no such number" not in text
    assert "逾期未领" not in text
    chen = number_of(town, "to-chen")
    assert town.send("/messages", message=chen, action="retry").status_code == 403


def test_reader_without_the_right_to_act_has_no_buttons(town: Visitor) -> None:
    """An auditor reads and changes nothing."""
    town.come_as("auditor")
    assert 'value="cancel"' not in town.get("/messages").text

    li = number_of(town, "to-li")
    assert town.send("/messages", message=li, action="cancel").status_code == 403


def test_history_of_a_person_tells_the_messages_in_words(town: Visitor) -> None:
    """The person's page says what the message said, not the name of its template."""
    town.come_as("staff")
    text = town.get(f"/volunteers/{town.scene.ids['li']}/history").text

    assert "您的义工证已到福田支行" in text
    assert "card.arrived" not in text


def test_menu_of_staff_is_short_and_names_where_one_is(town: Visitor) -> None:
    """Four words and sign-out in the first row; the second row is that of the page."""
    town.come_as("staff")
    header = town.get("/messages").text.split("<main")[0]
    first, second = re.findall(r"<nav.*?</nav>", header, re.S)

    assert len(re.findall("<a ", first)) == 4
    assert re.findall(r'aria-current="(\w+)">([^<]+)', first) == [("true", "义工")]
    assert re.findall(r'aria-current="(\w+)">([^<]+)', second) == [("page", "消息")]
