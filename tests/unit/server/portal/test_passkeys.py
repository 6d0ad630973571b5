# SPDX-License-Identifier: Apache-2.0
"""Passkeys on the pages: register, sign in, remove; the header of the pages with the script."""

from __future__ import annotations

import dataclasses
import html
import re

import pytest
import sqlalchemy as sa

from server.app import build_app
from server.config import HttpSection
from server.people.models import Passkey
from server.portal.models import PortalSession
from server.portal.policy import FAILURES_PER_SUBJECT_MAX
from tests.unit.server.people.authenticator import Authenticator
from tests.unit.server.portal.conftest import Visitor

ORIGIN = "http://localhost"


def options_of(visitor: Visitor, address: str) -> str:
    """Return what a page gives to the browser."""
    found = re.search(r'data-options="([^"]+)"', visitor.get(address).text)
    assert found is not None
    return html.unescape(found[1])


def register(visitor: Visitor, device: Authenticator) -> None:
    """Add a device's passkey to whoever is signed in."""
    answer = device.create(options_of(visitor, "/passkeys"), ORIGIN)
    assert visitor.send("/passkeys", name="my phone", answer=answer).status_code == 302


def come_in(visitor: Visitor, device: Authenticator, door: str) -> int:
    """Open the page, answer with a device and return how the server answered.

    The page is opened once: each opening is another challenge in another browser.
    """
    page = visitor.get(door).text
    options = html.unescape(re.findall(r'data-options="([^"]+)"', page)[0])
    token = re.findall(r'csrf_token" value="([^"]+)"', page)[0]
    answer = visitor.client.post(
        door, data={"csrf_token": token, "answer": device.get(options, ORIGIN)}
    )
    return answer.status_code


@pytest.mark.parametrize(
    ("who", "door", "home"),
    [("zhang", "/sign-in/passkey", "/me"), ("staff", "/sign-in/desk/passkey", "/terminals")],
)
def test_passkey_opens_the_own_pages(visitor: Visitor, who: str, door: str, home: str) -> None:
    """Registered once, it signs in without a number, a name or a password."""
    visitor.come_as(who)
    device = Authenticator()
    register(visitor, device)
    visitor.leave()

    assert come_in(visitor, device, door) == 302
    assert visitor.get(home).status_code == 200
    with visitor.scene.database.reading() as session:
        assert session.scalars(sa.select(PortalSession.way)).all() == ["passkey"]


def test_passkey_at_the_wrong_door_is_refused(visitor: Visitor) -> None:
    """A volunteer's passkey opens no desk; the page says to use the password."""
    visitor.come_as("zhang")
    device = Authenticator()
    register(visitor, device)
    visitor.leave()

    assert come_in(visitor, device, "/sign-in/desk/passkey") == 401


def test_removed_passkey_does_not_sign_in(visitor: Visitor) -> None:
    """Its owner removes it by a button; the list is empty then."""
    visitor.come_as("zhang")
    device = Authenticator()
    register(visitor, device)
    with visitor.scene.database.reading() as session:
        number = session.scalars(sa.select(Passkey.id)).one()
    assert visitor.send("/passkeys", remove=str(number)).status_code == 302
    assert "还没有" in visitor.get("/passkeys").text
    visitor.leave()

    assert come_in(visitor, device, "/sign-in/passkey") == 401


def test_passkey_of_a_user_without_a_role_opens_nothing(visitor: Visitor) -> None:
    """Who lost every role has a passkey and no door."""
    visitor.come_as("auditor")
    device = Authenticator()
    register(visitor, device)
    visitor.leave()
    with visitor.scene.database.writing() as session:
        session.execute(sa.text("UPDATE role_grant SET revoked_ms = 1, revoked_by = 'test'"))

    assert come_in(visitor, device, "/sign-in/desk/passkey") == 401


def test_tries_with_one_passkey_are_limited(visitor: Visitor) -> None:
    """A stranger who keeps answering for somebody's passkey has to wait like one who guesses."""
    visitor.come_as("zhang")
    device, thief = Authenticator(), Authenticator()
    register(visitor, device)
    visitor.leave()
    thief.credential_id = device.credential_id

    seen = [
        come_in(visitor, thief, "/sign-in/passkey") for _ in range(FAILURES_PER_SUBJECT_MAX + 1)
    ]

    assert seen == [401] * FAILURES_PER_SUBJECT_MAX + [429]


@pytest.mark.parametrize("answer", ["", "{", "[]", '{"id": 1}', "x" * 20_000])
def test_nonsense_is_refused(visitor: Visitor, answer: str) -> None:
    """Whatever is sent instead of an answer gets the same page again."""
    assert visitor.send("/sign-in/passkey", answer=answer).status_code == 401


def test_pages_of_passkeys_alone_allow_our_script(visitor: Visitor) -> None:
    """The script comes from this server; no page allows one that stands in the page."""
    policies = {
        address: visitor.get(address).headers["Content-Security-Policy"]
        for address in ("/sign-in", "/sign-in/passkey", "/sign-in/desk/passkey")
    }

    assert "script-src" not in policies.pop("/sign-in")
    assert all(policy.endswith("; script-src 'self'") for policy in policies.values())


def test_passkeys_belong_to_the_configured_domain(visitor: Visitor) -> None:
    """Under a name outside the domain the page leads to the password."""
    http = HttpSection(passkey_domain="yika.example.org")
    runtime = visitor.scene.runtime
    config = dataclasses.replace(runtime.config, http=http)
    client = build_app(dataclasses.replace(runtime, config=config)).test_client()

    outside = client.get("/sign-in/passkey", base_url="http://yika.example.net")
    inside = client.get("/sign-in/passkey", base_url="http://futian.yika.example.org")

    assert outside.location == "/sign-in"
    assert "&#34;rpId&#34;: &#34;yika.example.org&#34;" in inside.text
