# SPDX-License-Identifier: Apache-2.0
"""Hours explain themselves, the account is shown, requests are filed and answered."""

from __future__ import annotations

import sqlalchemy as sa

from server.reconciliation.corrections import Said, Signer
from server.reconciliation.models import (
    Correction,
    HoursRequest,
    Notification,
    ServiceInterval,
)
from server.reconciliation.reminders import BEFORE_MS, remind
from server.reconciliation.requests import DUE_MS
from server.timebank.opening import import_sheet, read_sheet
from tests.unit.server.portal.conftest import Visitor
from tests.unit.server.portal.scene import NOW_MS, Scene


def interval_of(scene: Scene, name: str) -> int:
    """Return a current interval of somebody of the town."""
    with scene.database.reading() as session:
        return (
            session.scalars(
                sa.select(ServiceInterval.id)
                .where(ServiceInterval.person == scene.ids[name], ServiceInterval.current)
                .order_by(ServiceInterval.id)
            ).first()
            or 0
        )


def test_a_service_explains_itself(visitor: Visitor, scene: Scene) -> None:
    """The page names rules, version and state; somebody else's service is not found."""
    visitor.come_as("zhang")
    text = visitor.get(f"/me/services/{interval_of(scene, 'zhang')}").text

    assert "这段时间为何这样计" in text
    assert "规则版本" in text
    assert visitor.get(f"/me/services/{interval_of(scene, 'li')}").status_code == 404


def test_the_account_shows_its_lines(visitor: Visitor) -> None:
    """Balance, coins and the transfers behind them are there."""
    visitor.come_as("zhang")
    text = visitor.get("/me/account").text

    for part in ("7:27", "89.4", "服务"):
        assert part in text


def test_a_request_is_filed_and_answered(visitor: Visitor, scene: Scene) -> None:
    """A dispute is filed, the leader refuses it with a reason, the volunteer reads it."""
    visitor.come_as("zhang")
    number = interval_of(scene, "zhang")
    filed = visitor.send("/me/requests", interval=str(number), text="少了一个小时")
    assert filed.status_code == 302
    visitor.come_as("leader")
    with scene.database.reading() as session:
        asked, site = session.execute(sa.select(HoursRequest.id, HoursRequest.site)).one()
    answer = {"number": str(asked), "decision": "refuse", "reason": "当天十二点离开"}
    assert visitor.send(f"/sites/{site}/requests", **answer).status_code == 302
    visitor.come_as("zhang")

    assert "当天十二点离开" in visitor.get("/me/requests").text
    with scene.database.reading() as session:
        assert session.scalars(sa.select(Correction.id)).all() == []


def test_a_request_without_words_is_refused(visitor: Visitor, scene: Scene) -> None:
    """Too short a text comes back with what is missing."""
    visitor.come_as("zhang")
    asked = {"interval": str(interval_of(scene, "zhang")), "text": "短"}
    answered = visitor.send("/me/requests", **asked)

    assert answered.status_code == 422
    assert "请写明情况" in answered.text


def test_a_dispute_names_its_service_on_both_sides(visitor: Visitor, scene: Scene) -> None:
    """The form, the volunteer's list and the leader's page say which service it is about."""
    visitor.come_as("zhang")
    number = interval_of(scene, "zhang")
    about = "2026年10月12日 09:00"
    assert about in visitor.get(f"/me/requests?interval={number}").text
    visitor.send("/me/requests", interval=str(number), text="少了一个小时")
    assert about in visitor.get("/me/requests").text
    visitor.leave()
    visitor.come_as("leader")

    assert about in visitor.get(f"/sites/{scene.ids['care']}/requests").text


def test_somebody_elses_service_is_not_named(visitor: Visitor, scene: Scene) -> None:
    """An address with another person's service shows the plain form."""
    visitor.come_as("zhang")
    text = visitor.get(f"/me/requests?interval={interval_of(scene, 'li')}").text

    assert ("所涉服务" in text, 'name="site"' in text) == (False, True)


def test_minutes_from_before_are_shown_apart(visitor: Visitor, scene: Scene) -> None:
    """Who brought two hours along reads them beside the total (rule 58); nobody else does."""
    sheet = read_sheet(
        f"number,minutes,reference\n{scene.numbers['zhang']},120,A1\n#total,1,120\n".encode()
    )
    visitor.come_as("zhang")
    assert "系统启用前转入" not in visitor.get("/me").text
    with scene.database.writing() as session:
        signer = Signer(scene.runtime.identity, 1)
        import_sheet(session, sheet, "旧系统", Said("wang", "迁移旧系统", NOW_MS, signer))
    text = visitor.get("/me").text

    assert ("系统启用前转入 2:00" in text, "9:27" in text) == (True, True)


def test_reminders_come_before_and_after_and_are_marked_read(
    visitor: Visitor, scene: Scene
) -> None:
    """Both sides are told once when an answer is near and once when it is late, and read it."""
    visitor.come_as("zhang")
    asked = {"interval": str(interval_of(scene, "zhang")), "text": "少了一个小时"}
    assert visitor.send("/me/requests", **asked).status_code == 302
    for later_ms in (DUE_MS - BEFORE_MS, DUE_MS - BEFORE_MS, DUE_MS):
        with scene.database.writing() as session:
            assert remind(session, NOW_MS + later_ms) == 1
    text = visitor.get("/me/requests").text
    assert text.count("您的申请将在三天内得到答复") == 1
    assert text.count("您的申请已逾期") == 1
    with scene.database.reading() as session:
        told = sa.select(Notification.id, Notification.person).order_by(Notification.id)
        rows = session.execute(told.where(Notification.once.is_not(None))).all()
    assert len(rows) == 4
    own = [number for number, person in rows if person is not None]
    others = [number for number, person in rows if person is None]
    assert visitor.send("/me/requests", notice=str(own[0])).status_code == 302
    assert visitor.send("/me/requests", notice=str(others[0])).status_code == 404
    with scene.database.reading() as session:
        read = sa.select(Notification.id).where(Notification.read_ms.is_not(None))
        assert session.scalars(read).all() == own[:1]
