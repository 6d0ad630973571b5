# SPDX-License-Identifier: Apache-2.0
"""An outage is settled on its page by two people, with a preview and a window to call it off."""

from __future__ import annotations

import sqlalchemy as sa

from server.people.models import Audit
from server.reconciliation import outages
from server.reconciliation.corrections import Signer
from server.reconciliation.models import Correction, Notification, OutageSettlement
from server.reconciliation.outages import UNDO_MS
from tests.unit.server.portal.conftest import Visitor
from tests.unit.server.portal.scene import Scene

SPAN = {"rule": "52", "from": "2026-11-20T08:00", "until": "2026-11-20T12:00"}
ASKED = "?rule=52&from=2026-11-20T08:00&until=2026-11-20T12:00"
REASON = "上午终端停电"


def page_of(scene: Scene) -> str:
    """Return the address of the page of the care home."""
    return f"/sites/{scene.ids['care']}/outages"


def propose(visitor: Visitor) -> dict[str, str]:
    """Let the leader propose; return what names the settlement in a form."""
    visitor.come_as("leader")
    assert visitor.send(page_of(visitor.scene), reason=REASON, **SPAN).status_code == 302
    with visitor.scene.database.reading() as session:
        return {"number": str(session.scalars(sa.select(OutageSettlement.id)).one())}


def take_effect(scene: Scene, after_ms: int) -> int:
    """Let the worker look at the clock so much later; return how many entries it settled."""
    signer = Signer(scene.runtime.identity, 1)
    with scene.database.writing() as session:
        return outages.run(session, scene.clock.now_ms + after_ms, signer)


def test_the_preview_names_people_times_and_minutes(visitor: Visitor, scene: Scene) -> None:
    """Wang's two hours are listed masked; what lies outside span or site is not."""
    visitor.come_as("leader")
    text = visitor.get(page_of(scene) + ASKED).text

    for part in ("王", "09:00 – 11:00", "2:00", "1 人"):
        assert part in text
    assert "王子轩" not in text
    other = visitor.get(page_of(scene) + ASKED.replace("11-20", "11-19"))
    assert "这里没有可以一起处理的异常" in other.text


def test_two_people_settle_after_the_window(visitor: Visitor, scene: Scene) -> None:
    """The leader proposes, cannot approve; staff approve; five minutes later it stands signed."""
    named = propose(visitor)
    refused = visitor.send(page_of(scene), act="approve", **named)
    assert (refused.status_code, "须由另一人批准" in refused.text) == (422, True)
    visitor.leave()
    visitor.come_as("org_manager")
    assert visitor.send(page_of(scene), act="approve", **named).status_code == 302

    assert take_effect(scene, UNDO_MS - 1) == 0
    assert take_effect(scene, UNDO_MS) == 1
    assert take_effect(scene, UNDO_MS + 1) == 0
    with scene.database.reading() as session:
        made = session.scalars(sa.select(Correction)).one()
        told = sa.select(Notification.id).where(Notification.person == scene.ids["wang"])
        assert (made.leader, made.approved_by) == ("user:leader", "user:org_manager")
        assert (made.minutes, made.reason, made.signature is not None) == (120, REASON, True)
        assert len(session.scalars(told).all()) == 1
        acts = sa.select(Audit.action).where(Audit.subject == f"outage:{named['number']}")
        assert list(session.scalars(acts.order_by(Audit.id))) == [
            "outage.proposed", "outage.approved", "outage.settled",
        ]  # fmt: skip


def test_an_approved_settlement_is_called_off(visitor: Visitor, scene: Scene) -> None:
    """Within five minutes it is undone; nothing is settled, the entry can be proposed again."""
    named = propose(visitor)
    waiting = visitor.get(page_of(scene) + ASKED).text
    assert "这里没有可以一起处理的异常" in waiting
    visitor.leave()
    visitor.come_as("org_manager")
    visitor.send(page_of(scene), act="approve", **named)
    assert visitor.send(page_of(scene), act="undo", **named).status_code == 302

    assert take_effect(scene, UNDO_MS) == 0
    assert visitor.send(page_of(scene), act="undo", **named).status_code == 422
    assert "09:00 – 11:00" in visitor.get(page_of(scene) + ASKED).text


def test_a_settlement_belongs_to_its_site(visitor: Visitor, scene: Scene) -> None:
    """Neither the page of another site nor a made-up act or number decides on it."""
    named = propose(visitor)
    visitor.leave()
    visitor.come_as("librarian")
    own = f"/sites/{scene.ids['library']}/outages"

    assert visitor.send(own, act="approve", **named).status_code == 422
    assert visitor.send(own, act="burn", **named).status_code == 400
    assert visitor.get(page_of(scene)).status_code == 403


def test_bad_spans_rules_and_reasons_are_refused(visitor: Visitor, scene: Scene) -> None:
    """No times, an end before its start, a rule that is not a leader's, no reason: 422."""
    visitor.come_as("leader")
    for change in (
        {"from": "soon"},
        {"until": "2026-11-20T07:00"},
        {"until": "2027-11-20T07:00"},
        {"rule": "29"},
        {"rule": "²"},
        {"reason": "断"},
    ):
        answer = visitor.send(page_of(scene), **({"reason": REASON} | SPAN | change))
        assert answer.status_code == 422, change
