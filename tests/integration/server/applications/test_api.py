# SPDX-License-Identifier: Apache-2.0
"""Applications through the API: the same checks, the same record, with the channel it came by."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from server.applications import views
from server.applications.models import Application
from server.exchange import accounts
from server.exchange.accounts import NewAccount
from server.exchange.policy import Scope
from server.people import services as people
from tests.integration.server.applications.desk import NOW_MS, apply, ready
from tests.integration.server.rig import Rig
from tests.unit.server.applications.forms import (
    ALL_ACCEPTED,
    mainland_id,
    make_jpeg,
    make_submission,
)

BODY: dict[str, Any] = {
    "name": "王小明",
    "document_number": mainland_id(),
    "mobile": "13800138000",
    "address": "深圳市福田区莲花路 1 号",
    "emergency_name": "王大明",
    "emergency_mobile": "13900139000",
    "photo": base64.b64encode(make_jpeg()).decode(),
    "accepted": {str(kind): version for kind, version in ALL_ACCEPTED.items()},
}


@pytest.fixture
def client(sqlite_rig: Rig, tmp_path: Path) -> FlaskClient:
    """A program with an account that has all three scopes."""
    with sqlite_rig.database.writing() as session:
        people.add_user(session, people.NewUser("wang", "staff"), "long enough", "t", NOW_MS)
        scopes = [Scope.APPLICATIONS_WRITE, Scope.APPLICATIONS_READ, Scope.APPLICATIONS_DECIDE]
        _, token = accounts.create(session, NewAccount("app", scopes), "wang", NOW_MS)
    made = sqlite_rig.app(tmp_path).test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return made


@pytest.mark.parametrize("channel", ["app", "terminal", "call", "online"])
def test_s37_the_same_use_case_is_reached_by_every_channel(
    client: FlaskClient, sqlite_rig: Rig, channel: str
) -> None:
    """One record whatever the channel, which stands in it with the account that used it."""
    answer = client.post("/api/v1/applications", json=BODY | {"channel": channel})

    assert answer.status_code == 201
    assert answer.json["number"].startswith("Y")
    with sqlite_rig.database.reading() as session:
        row = session.scalars(sa.select(Application)).one()
        assert (row.channel, row.entered_by) == (channel, "account:app")


def test_a_repeated_request_with_its_key_gets_the_same_answer(client: FlaskClient) -> None:
    """The same key and body: the same number; another body under the key: 422; no key: 409."""
    first = client.post("/api/v1/applications", json=BODY, headers={"Idempotency-Key": "a1"})
    again = client.post("/api/v1/applications", json=BODY, headers={"Idempotency-Key": "a1"})
    other = client.post(
        "/api/v1/applications", json=BODY | {"name": "李雷"}, headers={"Idempotency-Key": "a1"}
    )
    known = client.post("/api/v1/applications", json=BODY)

    assert (first.json, first.status_code) == (again.json, again.status_code)
    assert other.status_code == 422
    assert (known.status_code, known.json["number"][:3]) == (409, "Y0*")


def test_s45_a_child_without_a_guardian_is_422(client: FlaskClient) -> None:
    """The fault names the field; nothing is stored."""
    child = BODY | {"document_number": mainland_id("20140101")}

    answer = client.post("/api/v1/applications", json=child)

    assert answer.status_code == 422
    assert [one["field"] for one in answer.json["faults"]] == ["guardian_number"]
    assert client.get("/api/v1/applications").json["items"] == []


def test_applications_are_listed_and_decided(client: FlaskClient, sqlite_rig: Rig) -> None:
    """Masked in lists; one's own or an early approval is 409; a ready one gives the number."""
    made = client.post("/api/v1/applications", json=BODY).json
    with sqlite_rig.database.writing() as session:
        bare = apply(session, sqlite_rig.store, make_submission(3))
        good = ready(session, sqlite_rig.store, 2)

    items = client.get("/api/v1/applications?limit=1").json
    assert items["items"][0]["masked_name"] == "王**"
    assert items["next"] == good.application_id
    shown = client.get(f"/api/v1/applications/{made['id']}").json
    assert not all(one["met"] for one in shown["conditions"])
    address = "/api/v1/applications/{}/decision"
    own = client.post(address.format(made["id"]), json={"decision": "approve"})
    assert (own.status_code, own.json["type"]) == (409, "urn:yika:problem:two-persons")
    early = client.post(address.format(bare.application_id), json={"decision": "approve"})
    assert [one["code"] for one in early.json["unmet"]] == ["training", "pre-service"]
    done = client.post(address.format(good.application_id), json={"decision": "approve"})
    assert (done.status_code, len(done.json["number"])) == (200, 10)
    assert client.get("/api/v1/applications/999").status_code == 404


def test_a_photo_that_is_no_base64_and_a_body_too_large_are_refused(client: FlaskClient) -> None:
    """422 and 413 with a problem document, before anything is decoded."""
    broken = client.post("/api/v1/applications", json=BODY | {"photo": "%%%"})
    assert broken.json["faults"][0]["code"] == "photo-base64"
    large = client.post("/api/v1/applications", json=BODY | {"photo": "A" * 12_000_000})
    assert large.status_code == 413


def test_an_address_that_hands_in_too_many_is_429(
    client: FlaskClient, sqlite_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused ones count too; the answer says how long to wait, and another address goes on."""
    monkeypatch.setattr(views, "PROGRAM_TRIES_MAX", 1)
    first = client.post("/api/v1/applications", json=BODY | {"name": ""})
    second = client.post("/api/v1/applications", json=BODY)
    elsewhere = client.post(
        "/api/v1/applications", json=BODY, environ_overrides={"REMOTE_ADDR": "192.0.2.7"}
    )

    assert [one.status_code for one in (first, second, elsewhere)] == [422, 429, 201]
    assert second.json["type"] == "urn:yika:problem:too-many-applications"
    assert 0 < int(second.headers["Retry-After"]) <= 900
