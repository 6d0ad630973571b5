# SPDX-License-Identifier: Apache-2.0
"""Cookies, form tokens and headers of the pages."""

from __future__ import annotations

import dataclasses
import re

import pytest

from server.app import build_app
from server.config import HttpSection
from tests.unit.server.portal.conftest import Visitor
from tests.unit.server.portal.scene import Scene

FORMS = ["/sign-in", "/sign-in/desk", "/password", "/volunteers"]


def test_session_cookie_is_out_of_reach_of_scripts_and_other_sites(visitor: Visitor) -> None:
    """The cookie is HttpOnly and SameSite=Lax."""
    cookie = visitor.come_as("zhang").headers["Set-Cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_session_cookie_is_secure_where_https_is_configured(scene: Scene) -> None:
    """With secure cookies configured the browser never sends it in the clear."""
    http = HttpSection(secure_cookies=True)
    runtime = dataclasses.replace(
        scene.runtime, config=dataclasses.replace(scene.runtime.config, http=http)
    )

    answer = build_app(runtime).test_client().get("/sign-in", base_url="https://localhost")

    assert "Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("address", FORMS)
def test_form_without_token_is_refused(visitor: Visitor, address: str) -> None:
    """No form is taken without the token of its page; the answer says what to do."""
    visitor.come_as("staff")

    answer = visitor.client.post(address, data={"number": "1", "new": "x"})

    assert answer.status_code == 400
    assert "页面已失效" in answer.text
    assert "This form is too old" in answer.text


def test_token_of_another_session_is_refused(visitor: Visitor) -> None:
    """A token taken from one browser does not work in another."""
    other = Visitor(visitor.client.application.test_client(), visitor.scene)
    stolen = re.search(r'csrf_token" value="([^"]+)"', other.get("/sign-in").text)
    assert stolen is not None
    visitor.get("/sign-in")

    answer = visitor.client.post("/sign-in", data={"csrf_token": stolen[1]})

    assert answer.status_code == 400


def test_every_form_of_every_page_carries_a_token(visitor: Visitor) -> None:
    """Whatever page is shown, each POST form in it has a token."""
    ids = visitor.scene.ids
    visitor.come_as("admin")
    for address in (
        "/", "/password", "/terminals", "/volunteers", f"/volunteers/{ids['li']}",
        f"/volunteers/{ids['li']}/cards/{ids['card-li']}/lost", f"/sites/{ids['care']}",
        f"/sites/{ids['care']}/exceptions/{ids['exception-wang']}",
    ):  # fmt: skip
        forms = re.findall(r'<form[^>]*method="post".*?</form>', visitor.get(address).text, re.S)

        assert forms
        assert all('name="csrf_token"' in form for form in forms)


def test_sign_out_needs_a_form(visitor: Visitor) -> None:
    """A link or picture on another site cannot sign anybody out."""
    visitor.come_as("zhang")

    assert visitor.get("/sign-out").status_code == 405
    assert visitor.get("/me").status_code == 200


@pytest.mark.parametrize("path", ["/", "/sign-in", "/nowhere", "/api/v1/openapi.json"])
def test_security_headers_are_on_every_answer(visitor: Visitor, path: str) -> None:
    """Nothing runs, nothing is framed, nothing leaks to other sites."""
    headers = visitor.get(path).headers

    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "script" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"


def test_transport_is_strict_over_https_only(visitor: Visitor) -> None:
    """HSTS goes out over https and never over plain http, where browsers ignore it."""
    https = visitor.client.get("/", base_url="https://localhost")

    assert "Strict-Transport-Security" in https.headers
    assert "Strict-Transport-Security" not in visitor.get("/").headers


def test_pages_need_nothing_that_the_policy_forbids(visitor: Visitor) -> None:
    """No inline script, no inline style, nothing from another host."""
    visitor.come_as("zhang")
    for address in ("/", "/me", "/password", "/nowhere"):
        text = visitor.get(address).text

        assert "<script" not in text
        assert " style=" not in text
        assert not re.search(r'\son[a-z]+="', text)
        assert not re.search(r'(src|href)="(https?:)?//', text)


def test_too_large_a_form_is_refused_with_a_page(visitor: Visitor) -> None:
    """A form of a hundred kilobytes is not read."""
    answer = visitor.client.post("/sign-in", data={"number": "1" * 100_000})

    assert answer.status_code == 413
    assert "内容过大" in answer.text
