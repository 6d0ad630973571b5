# SPDX-License-Identifier: Apache-2.0
"""Activities on the pages: a leader applies, somebody else decides, everybody within reach sees."""

from __future__ import annotations

import sqlalchemy as sa

from server.terminals.models import Activity, ActivityApplication
from tests.unit.server.portal.conftest import Visitor


def wish(visitor: Visitor, **changes: str) -> dict[str, str]:
    """A form as a leader of the care home fills it in."""
    plain = {
        "site": str(visitor.scene.ids["care"]), "code": "chess", "name_zh": "陪老人下棋",
        "name_en": "Chess", "start": "2026-11-28T09:00", "end": "2026-11-28T11:30",
        "times": "2", "every_days": "7", "capacity": "8", "minors": "1",
    }  # fmt: skip
    return plain | changes


def states(visitor: Visitor) -> dict[str, str]:
    """Return the state of each application by its code."""
    with visitor.scene.database.reading() as session:
        rows = session.execute(sa.select(ActivityApplication.code, ActivityApplication.state))
        return {row[0]: row[1] for row in rows}


def test_leader_applies_and_staff_approve(visitor: Visitor) -> None:
    """From the form to two activities of the site, times in its zone."""
    visitor.come_as("leader")
    filed = visitor.send("/activities/apply", **wish(visitor))
    assert filed.status_code == 302
    assert "等待审批" in visitor.get(filed.location).text
    visitor.come_as("staff")
    assert "陪老人下棋" in visitor.get("/activities").text

    assert visitor.send(filed.location, decision="approve").status_code == 302

    with visitor.scene.database.reading() as session:
        rows = session.scalars(
            sa.select(Activity).where(Activity.code.in_(["CHESS", "CHESS02"])).order_by(Activity.id)
        ).all()
        assert [row.capacity for row in rows] == [8, 8]
        assert rows[0].start_ms == 1_795_827_600_000  # 09:00 in Shenzhen
    assert "CHESS02" in visitor.get(filed.location).text


def test_form_comes_back_with_what_is_wrong(visitor: Visitor) -> None:
    """Wrong times, numbers, sites and rules are told at the form, which keeps what was typed."""
    visitor.come_as("leader")
    for changes, says in (
        ({"start": "soon"}, "2026-11-21 17:30"),
        ({"capacity": "many"}, "整数"),
        ({"site": str(visitor.scene.ids["library"])}, "请选择服务点"),
        ({"end": "2026-11-28T08:00"}, "活动结束须晚于开始"),
        ({"code": "棋"}, "活动代码"),
    ):
        answer = visitor.send("/activities/apply", **wish(visitor, **changes))
        assert answer.status_code == 422, changes
        assert says in answer.text
        assert "陪老人下棋" in answer.text


def test_applicant_decides_nothing_but_may_call_off(visitor: Visitor) -> None:
    """A leader sees no button to approve, is refused without it, and may take the wish back."""
    visitor.come_as("leader")
    address = f"/activities/{visitor.scene.ids['dance']}"
    page = visitor.get(address).text
    assert 'value="approve"' not in page
    assert 'value="cancel"' in page
    assert visitor.send(address, decision="approve").status_code == 403

    assert visitor.send(address, decision="cancel", reason="no").status_code == 422
    assert visitor.send(address, decision="cancel", reason="改期，另行申请").status_code == 302

    assert states(visitor)["DANCE"] == "cancelled"


def test_refusal_needs_a_reason_that_the_applicant_reads(visitor: Visitor) -> None:
    """The reason stands on the page of the application."""
    address = f"/activities/{visitor.scene.ids['dance']}"
    visitor.come_as("region_manager")
    assert visitor.send(address, decision="refuse").status_code == 422
    assert visitor.send(address, decision="refuse", reason="与消防演练冲突").status_code == 302

    visitor.come_as("leader")
    assert "与消防演练冲突" in visitor.get(address).text
    assert states(visitor)["DANCE"] == "refused"


def test_administrator_does_not_approve_an_own_wish(visitor: Visitor) -> None:
    """Who may do both still needs somebody else."""
    visitor.come_as("admin")
    filed = visitor.send("/activities/apply", **wish(visitor, code="ADMIN1"))

    answer = visitor.send(filed.location, decision="approve")

    assert answer.status_code == 422
    assert "不能审批自己的申请" in answer.text


def test_earlier_application_serves_as_template(visitor: Visitor) -> None:
    """Everything but the times is filled in."""
    visitor.come_as("leader")

    page = visitor.get(f"/activities/apply?from={visitor.scene.ids['dance']}").text

    assert 'value="DANCE"' in page
    assert 'value="12"' in page


def test_leader_of_another_site_sees_nothing_of_it(visitor: Visitor) -> None:
    """The list is empty and the address refused."""
    visitor.come_as("librarian")

    assert "陪老人跳舞" not in visitor.get("/activities").text
    assert visitor.get(f"/activities/{visitor.scene.ids['dance']}").status_code == 403
    assert visitor.get("/activities/999").status_code == 404
