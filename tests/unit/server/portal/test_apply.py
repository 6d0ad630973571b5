# SPDX-License-Identifier: Apache-2.0
"""The application on the pages: step by step, kept as a draft, by oneself and by staff."""

from __future__ import annotations

import io
import re

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from server.applications import settings
from server.applications.models import Application, ApplicationDraft
from server.applications.policy import TRY_WINDOW_MS, Agreement
from server.applications.settings import By, NewText
from server.people.policy import is_preliminary_number
from server.portal.views import apply as apply_pages
from tests.unit.server.applications.forms import ALL_ACCEPTED, mainland_id, make_jpeg
from tests.unit.server.portal import scene as town
from tests.unit.server.portal.conftest import TOKEN, Visitor

ONE_TIME = re.compile(r"[A-Z0-9]{5}-[A-Z0-9]{5}")
CODE = re.compile(r"(?:[A-Z0-9]{5}-){3}[A-Z0-9]{5}")
PERSON = {
    "name": "王小明", "document_kind": "mainland_id", "document_number": mainland_id(),
    "birth": "",
}  # fmt: skip
CONTACT = {
    "mobile": "13800138000", "address": "深圳市福田区莲花路 1 号", "emergency_name": "王大明",
    "emergency_mobile": "13900139000", "guardian_number": "",
}  # fmt: skip
CARD = {"carrier": "debit", "branch_code": "0755001"}


def post(visitor: Visitor, path: str, fields: dict[str, str]) -> TestResponse:
    """Send the form of a page, whatever its fields are called."""
    token = TOKEN.search(visitor.get(path).text)
    return visitor.client.post(path, data=fields | {"csrf_token": token[1] if token else ""})


def upload(visitor: Visitor, photo: bytes) -> TestResponse:
    """Send the photo's form."""
    token = TOKEN.search(visitor.get("/apply/photo").text)
    data = {"csrf_token": token[1] if token else "", "photo": (io.BytesIO(photo), "me.jpg")}
    return visitor.client.post("/apply/photo", data=data, content_type="multipart/form-data")


def fill_in(visitor: Visitor, photo: bytes = make_jpeg()) -> None:
    """Go through all steps up to the last."""
    assert visitor.send("/apply").location == "/apply/person"
    assert post(visitor, "/apply/person", PERSON).location == "/apply/contact"
    assert post(visitor, "/apply/contact", CONTACT).location == "/apply/photo"
    assert upload(visitor, photo).location == "/apply/card"
    assert visitor.send("/apply/card", **CARD).location == "/apply/review"


def submit(visitor: Visitor) -> TestResponse:
    """Accept everything and send."""
    return visitor.send("/apply/review", **{kind: str(one) for kind, one in ALL_ACCEPTED.items()})


def test_s47_anybody_applies_online_and_is_given_a_number_and_a_code(visitor: Visitor) -> None:
    """Five forms without a script; number and code are shown once, and they sign in."""
    fill_in(visitor)
    answer = submit(visitor)

    assert answer.status_code == 200
    number = re.search(r"Y\d{9}", answer.text)[0]
    code = ONE_TIME.search(answer.text)[0]
    assert is_preliminary_number(number)
    assert visitor.send("/sign-in", number=number.lower(), secret=code).location == "/password"
    visitor.send("/password", new="三月的深圳有点热", again="三月的深圳有点热")
    page = visitor.get("/me/application").text
    assert "培训 0.00／2.00 学时" in page


def test_s43_a_new_version_is_prompted_for_on_ones_first_page(visitor: Visitor) -> None:
    """After a new version the hours page asks; accepted on the application's page, it does not."""
    fill_in(visitor)
    answer = submit(visitor)
    number, code = re.search(r"Y\d{9}", answer.text)[0], ONE_TIME.search(answer.text)[0]
    visitor.send("/sign-in", number=number, secret=code)
    visitor.send("/password", new="三月的深圳有点热", again="三月的深圳有点热")
    assert "条款有新版本" not in visitor.get("/me").text
    text = NewText(Agreement.CHARTER, "章程二", "Charter 2", "第二版", "Second version")
    with visitor.scene.database.writing() as session:
        settings.add_text(session, text, By("user:admin", town.NOW_MS))

    assert "条款有新版本" in visitor.get("/me").text
    visitor.send("/me/application", act="accept", charter="2")
    assert "条款有新版本" not in visitor.get("/me").text


def test_s47_staff_take_an_application_down_under_their_name(visitor: Visitor) -> None:
    """The same steps by staff who are signed in: channel staff, entered by them."""
    visitor.come_as("staff")
    fill_in(visitor)
    submit(visitor)

    with visitor.scene.database.reading() as session:
        row = session.scalars(sa.select(Application).order_by(Application.id.desc())).first()
        assert (row.channel, row.entered_by) == ("staff", "user:staff")
        assert session.scalars(sa.select(ApplicationDraft)).all() == []


def test_a_draft_goes_on_in_another_browser_by_its_code(visitor: Visitor) -> None:
    """What was typed is kept sealed; the code opens it elsewhere, another code does not."""
    fill_in(visitor)
    code = CODE.search(visitor.get("/apply/card").text)[0]
    with visitor.scene.database.reading() as session:
        kept = session.scalars(sa.select(ApplicationDraft)).one()
        assert "王小明".encode() not in kept.sealed

    other = Visitor(visitor.client.application.test_client(), visitor.scene)
    assert other.send("/apply", code="BCDFG-HJKMN-BCDFG-HJKMN").status_code == 404
    assert other.get("/apply/review").location == "/apply"
    assert other.send("/apply", code=code.lower()).location == "/apply/person"
    assert 'value="王小明"' in other.get("/apply/person").text


@pytest.mark.parametrize(
    ("step", "typed", "says"),
    [
        ("person", PERSON | {"document_number": "110105194912310021"}, "末位校验码"),
        ("person", PERSON | {"document_number": "1"}, "须为 18 位，现为 1 位"),
        ("contact", CONTACT | {"mobile": "12"}, "手机号须为 11 位"),
    ],
)
def test_a_wrong_field_is_named_where_it_stands(
    visitor: Visitor, step: str, typed: dict[str, str], says: str
) -> None:
    """422, the field's own words beside it, and what was typed is still there."""
    visitor.send("/apply")
    post(visitor, "/apply/person", PERSON)

    answer = post(visitor, f"/apply/{step}", typed)

    assert answer.status_code == 422
    assert says in answer.text
    assert 'aria-invalid="true"' in answer.text


def test_s49_photo_that_does_not_fit_is_refused_on_its_page(visitor: Visitor) -> None:
    """A landscape photo is refused with its size; a good one is shown as it is kept."""
    visitor.send("/apply")
    answer = upload(visitor, make_jpeg(413, 295))
    assert answer.status_code == 422
    assert "竖幅" in answer.text
    assert visitor.get("/apply/photo.jpg").status_code == 404

    upload(visitor, make_jpeg())
    shown = visitor.get("/apply/photo.jpg")
    assert (shown.status_code, shown.content_type) == (200, "image/jpeg")


def test_a_known_document_is_told_without_adding_anybody(visitor: Visitor) -> None:
    """The second application of a document ends with 409 and a masked number."""
    fill_in(visitor)
    submit(visitor)
    fill_in(visitor)

    answer = submit(visitor)

    assert answer.status_code == 409
    assert "Y0*****" in answer.text


def test_s55_staff_see_what_is_missing_and_decide(visitor: Visitor) -> None:
    """An approval too early is 422 with the conditions; a rejection with a reason is recorded."""
    fill_in(visitor)
    submit(visitor)
    visitor.come_as("staff")
    assert "王**" in visitor.get("/applications").text
    assert "Y0" in visitor.get(f"/applications?find={mainland_id()[-4:]}").text
    assert visitor.get("/applications/2/photo.jpg").content_type == "image/jpeg"
    assert visitor.get("/applications/99").status_code == 404

    early = visitor.send("/applications/2", decision="approve")
    assert early.status_code == 422
    assert "预服务 0／600 分钟" in early.text
    assert visitor.send("/applications/2", decision="reject", reason="").status_code == 422
    assert visitor.send("/applications/2", decision="reject", reason="资料不全").status_code == 302
    assert "已驳回" in visitor.get("/applications/2").text


def test_volunteers_are_imported_after_a_preview_and_undone(visitor: Visitor) -> None:
    """Upload, look, confirm; the same file is refused; undo takes all of it back."""
    visitor.come_as("admin")
    text = f"姓名,身份证号,小时\n李雷,{mainland_id(order=7)},12.5\n#total,1,750\n"

    def preview() -> TestResponse:
        token = TOKEN.search(visitor.get("/applications/import").text)[1]
        data = {"csrf_token": token, "file": (io.BytesIO(text.encode("gb18030")), "旧.csv")}
        return visitor.client.post("/applications/import", data=data)

    seen = preview()
    assert seen.status_code == 200
    code = re.search(r'name="code" value="([^"]+)"', seen.text)[1]
    done = visitor.send("/applications/import", code=code, reason="迁移")
    assert done.location == "/applications/import"
    again = preview()
    assert again.status_code == 422
    assert "已登记" in again.text
    undone = visitor.send("/applications/import", undo="1", reason="文件不对")
    assert undone.location == "/applications/import"
    assert "已撤销" in visitor.get("/applications/import").text


def test_s37_the_call_centre_looks_up_and_reports_a_loss_without_the_whole_document(
    visitor: Visitor,
) -> None:
    """An application shows the end of the document only; a card is reported lost from there."""
    ids = visitor.scene.ids
    visitor.come_as("call_centre")

    page = visitor.get(f"/applications/{ids['application']}").text
    assert f"***{mainland_id(order=9)[-4:]}" in page
    assert mainland_id(order=9) not in page
    assert 'value="approve"' not in page
    lost = f"/volunteers/{ids['li']}/cards/{ids['card-li']}/lost"
    assert visitor.send(lost, reason="电话挂失").status_code == 302


def test_an_address_begins_so_often_and_then_waits(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beginning and guessing codes are tries; beyond their number the page says when to return."""
    monkeypatch.setattr(apply_pages, "VISITOR_TRIES_MAX", 2)
    assert visitor.send("/apply").status_code == 302
    assert visitor.send("/apply", code="AAAAA-AAAAA-AAAAA-AAAAA").status_code == 404
    refused = visitor.send("/apply")

    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= TRY_WINDOW_MS // 1000
    assert visitor.get("/apply").status_code == 200
    visitor.come_as("staff")
    assert visitor.send("/apply").status_code == 302
