# SPDX-License-Identifier: Apache-2.0
"""The desk over HTTP: who may, the form token, problems instead of surprises."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.unit.server.portal.conftest import (
    Visitor,
    app,
    built_app,
    built_scene,
    scene,
    visitor,
)

__all__ = ["app", "built_app", "built_scene", "scene", "visitor"]

API = "/api/v1/desk"
ATR = "3B6800009C11860000000000"


def token(visitor: Visitor) -> str:
    """Return the form token that the desk's page holds for its script."""
    found = re.search(r'data-csrf="([^"]+)"', visitor.get("/desk").text)
    assert found is not None
    return found[1]


def post(visitor: Visitor, path: str, values: Any, **headers: str) -> Any:
    """Send JSON as the page's script does."""
    given = {"X-CSRFToken": token(visitor)} | headers
    return visitor.client.post(API + path, json=values, headers=given)


def test_a_job_is_carried_by_bytes_alone(visitor: Visitor) -> None:
    """Begin, one answer, the same answer again; whatever the card says is an answer."""
    visitor.come_as("staff")
    job = post(visitor, "/jobs", {"kind": "read"}).get_json()
    begun = post(visitor, f"/jobs/{job['reference']}/sessions", {"atr": ATR}).get_json()
    assert begun["commands"][0].startswith("00A40400")
    answer = {"session": begun["session"], "step": 0, "answers": ["6A82"]}

    first = post(visitor, f"/jobs/{job['reference']}/answer", answer).get_json()
    again = post(visitor, f"/jobs/{job['reference']}/answer", answer).get_json()

    assert first == again
    assert first["step"] == 1
    shown = visitor.get(f"{API}/jobs/{job['reference']}").get_json()
    assert shown["state"] in ("running", "stopped")


def test_without_the_form_token_nothing_changes(visitor: Visitor) -> None:
    """Another site can make the browser send, but not with the token."""
    visitor.come_as("staff")

    refused = visitor.client.post(f"{API}/jobs", json={"kind": "read"})

    assert refused.status_code == 400
    assert refused.content_type == "application/problem+json"


@pytest.mark.parametrize("who", ["", "zhang", "leader"])
def test_only_who_works_at_the_desk_is_answered(visitor: Visitor, who: str) -> None:
    """Visitors get 401, volunteers and leaders 403."""
    if who:
        visitor.come_as(who)

    assert visitor.get(f"{API}/jobs").status_code == (403 if who else 401)


def test_rules_that_say_no_are_problems(visitor: Visitor) -> None:
    """409 with a code and both languages."""
    visitor.come_as("staff")
    answer = post(visitor, "/jobs", {"kind": "issue", "number": visitor.scene.numbers["zhang"]})

    assert answer.status_code == 409
    assert answer.get_json()["type"] == "urn:yika:problem:has-card"
    assert "补换" in answer.get_json()["detail_zh"]


@pytest.mark.parametrize(
    ("path", "values", "status"),
    [
        ("/jobs", {"kind": "dance"}, 409),
        ("/jobs", {"kind": "block", "asn": "12"}, 422),
        ("/jobs/" + "0" * 32 + "/sessions", {"atr": ATR}, 404),
        ("/jobs/x/sessions", {"atr": ATR}, 422),
        ("/boxes/99/next", {}, 404),
        ("/boxes", {"name": "x", "received": 1, "numbers": ["0"]}, 409),
    ],
)
def test_bad_requests(visitor: Visitor, path: str, values: Any, status: int) -> None:
    """Each gets its problem document."""
    visitor.come_as("staff")

    assert post(visitor, path, values).status_code == status


def test_only_desk_pages_may_reach_the_relay(visitor: Visitor) -> None:
    """Their header names the relay's address and the own script; no other page's does."""
    visitor.come_as("staff")
    desk = visitor.get("/desk").headers["Content-Security-Policy"]
    other = visitor.get("/terminals").headers["Content-Security-Policy"]

    assert "connect-src 'self' http://127.0.0.1:18459" in desk
    assert "script-src 'self'" in desk
    assert "unsafe" not in desk
    assert "connect-src" not in other
