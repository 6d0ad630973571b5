# SPDX-License-Identifier: Apache-2.0
"""Sign-in: code, then password; the same answer to every wrong one; limits; sign-out."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from server.people.models import Audit
from server.portal import policy
from server.portal.models import PortalSession, SignInFailure
from server.portal.views.access import local_address
from tests.unit.server.portal import scene as town
from tests.unit.server.portal.conftest import Visitor

NEW = "清晨六点半的渡轮"


def test_code_then_password_then_no_code(visitor: Visitor) -> None:
    """The code lets in once, to set a password; afterwards only the password does."""
    number = visitor.scene.numbers["chen"]
    assert visitor.come_as("chen").location == "/password"

    changed = visitor.send("/password", new=NEW, again=NEW)

    assert changed.location == "/me"
    assert visitor.get("/me").status_code == 200
    visitor.leave()
    assert visitor.come_as("chen").status_code == 401
    assert visitor.send("/sign-in", number=number, secret=NEW).location == "/me"


@pytest.mark.parametrize("typed", [str.lower, lambda code: code.replace("-", "")])
def test_code_is_taken_however_it_is_typed(visitor: Visitor, typed: Callable[[str], str]) -> None:
    """Small letters or a left-out hyphen make no other code."""
    code = typed(visitor.scene.codes["chen"])

    answer = visitor.send("/sign-in", number=visitor.scene.numbers["chen"], secret=code)

    assert answer.location == "/password"


def test_second_sign_in_ends_the_first_session(visitor: Visitor) -> None:
    """Signing in again in the same browser leaves no forgotten session behind."""
    visitor.come_as("zhang")
    visitor.come_as("staff")

    with visitor.scene.database.reading() as session:
        rows = session.scalars(sa.select(PortalSession)).all()
        owners = [(row.volunteer_id, row.user_id is not None) for row in rows]

    assert owners == [(None, True)]


def test_number_may_be_typed_with_spaces(visitor: Visitor) -> None:
    """People type numbers in groups."""
    number = visitor.scene.numbers["zhang"]
    typed = f" {number[:5]} {number[5:]} "

    assert visitor.send("/sign-in", number=typed, secret=town.ZHANG_PASSWORD).location == "/me"


def test_unknown_number_and_wrong_secret_get_the_same_answer(visitor: Visitor) -> None:
    """Nobody learns from the answer whether a number exists."""
    known, unknown = visitor.scene.numbers["zhang"], "0000009990"

    answers = [
        visitor.send("/sign-in", number=number, secret="wrong") for number in (known, unknown)
    ]

    texts = [
        re.sub(r'name="csrf_token" value="[^"]+"', "", answer.text).replace(number, "")
        for answer, number in zip(answers, (known, unknown), strict=True)
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert texts[0] == texts[1]
    assert dict(answers[0].headers) | {"Content-Length": 0, "Set-Cookie": ""} == dict(
        answers[1].headers
    ) | {"Content-Length": 0, "Set-Cookie": ""}


def test_secret_is_never_put_back_into_the_page(visitor: Visitor) -> None:
    """A wrong secret may be a right one mistyped; the page does not repeat it."""
    answer = visitor.send(
        "/sign-in", number=visitor.scene.numbers["zhang"], secret="almost-right-secret"
    )

    assert "almost-right-secret" not in answer.text


def test_sixth_try_at_one_number_has_to_wait(visitor: Visitor) -> None:
    """After five failures even the right password waits, and the answer says how long."""
    number = visitor.scene.numbers["zhang"]
    for _ in range(policy.FAILURES_PER_SUBJECT_MAX):
        assert visitor.send("/sign-in", number=number, secret="wrong").status_code == 401

    answer = visitor.come_as("zhang")

    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) == policy.FAILURE_WINDOW_MS // 1000


def test_wait_ends_after_the_window(visitor: Visitor) -> None:
    """A quarter of an hour later the right password lets in; waiting tries did not prolong it."""
    number = visitor.scene.numbers["zhang"]
    for _ in range(policy.FAILURES_PER_SUBJECT_MAX + 3):
        visitor.send("/sign-in", number=number, secret="wrong")

    visitor.scene.clock.now_ms += policy.FAILURE_WINDOW_MS

    assert visitor.come_as("zhang").location == "/me"


def test_success_forgets_the_failures_of_the_number(visitor: Visitor) -> None:
    """Four mistypings before the right password do not count towards the next day's limit."""
    number = visitor.scene.numbers["zhang"]
    for _ in range(2):
        for _ in range(policy.FAILURES_PER_SUBJECT_MAX - 1):
            visitor.send("/sign-in", number=number, secret="wrong")
        assert visitor.come_as("zhang").location == "/me"
        visitor.leave()


def test_one_address_cannot_try_many_people(visitor: Visitor) -> None:
    """Spreading guesses over people runs into the limit of the address."""
    seen = [
        visitor.send("/sign-in", number=number, secret="wrong").status_code
        for number in visitor.scene.numbers.values()
        for _ in range(policy.FAILURES_PER_SUBJECT_MAX)
    ]
    seen += [
        visitor.send("/sign-in/desk", name="staff", secret="wrong").status_code
        for _ in range(policy.FAILURES_PER_SUBJECT_MAX)
    ]

    assert seen == [401] * policy.FAILURES_PER_ADDRESS_MAX
    assert visitor.come_as("leader").status_code == 429


def test_limits_hold_no_readable_number_or_address(visitor: Visitor) -> None:
    """The table of failures keeps keyed hashes only."""
    number = visitor.scene.numbers["zhang"]
    visitor.send("/sign-in", number=number, secret="wrong")

    with visitor.scene.database.reading() as session:
        keys = list(session.scalars(sa.select(SignInFailure.key)))

    assert [len(key) for key in keys] == [32, 32]
    assert not any(number.encode() in key or b"127.0.0.1" in key for key in keys)


def test_session_table_holds_no_token(visitor: Visitor) -> None:
    """Who reads the session table cannot sign in with it."""
    visitor.come_as("zhang")
    with visitor.client.session_transaction() as cookie:
        token = cookie["token"]

    with visitor.scene.database.reading() as session:
        hashed = session.scalars(sa.select(PortalSession.token_hash)).one()

    assert token.encode() not in hashed
    assert len(hashed) == 32


def test_sign_out_ends_the_session_on_the_server(visitor: Visitor) -> None:
    """A copied cookie is worth nothing after sign-out."""
    visitor.come_as("zhang")
    with visitor.client.session_transaction() as cookie:
        token = cookie["token"]
    visitor.leave()
    with visitor.client.session_transaction() as cookie:
        cookie["token"] = token

    assert visitor.get("/me").status_code == 302


def test_session_ends_by_rest(visitor: Visitor) -> None:
    """Half an hour without a click signs out; clicks in between keep the session."""
    visitor.come_as("zhang")
    for _ in range(3):
        visitor.scene.clock.now_ms += policy.SESSION_IDLE_MS
        assert visitor.get("/me").status_code == 200

    visitor.scene.clock.now_ms += policy.SESSION_IDLE_MS + 1

    assert visitor.get("/me").status_code == 302


def test_session_ends_by_age(visitor: Visitor) -> None:
    """After twelve hours a session ends however busy it was."""
    visitor.come_as("zhang")
    start = visitor.scene.clock.now_ms
    while visitor.scene.clock.now_ms - start <= policy.SESSION_LENGTH_MAX_MS:
        assert visitor.get("/me").status_code == 200
        visitor.scene.clock.now_ms += policy.SESSION_IDLE_MS

    assert visitor.get("/me").status_code == 302


def test_password_change_ends_other_sessions(visitor: Visitor) -> None:
    """Changing the password signs out every other browser, not this one."""
    other = Visitor(visitor.client.application.test_client(), visitor.scene)
    other.come_as("zhang")
    visitor.come_as("zhang")

    answer = visitor.send("/password", current=town.ZHANG_PASSWORD, new=NEW, again=NEW)

    assert answer.location == "/me"
    assert visitor.get("/me").status_code == 200
    assert other.get("/me").status_code == 302


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"current": "wrong", "new": NEW, "again": NEW}, "current"),
        ({"current": town.ZHANG_PASSWORD, "new": "short", "again": "short"}, "new"),
        ({"current": town.ZHANG_PASSWORD, "new": NEW, "again": "other"}, "again"),
        ({"current": town.ZHANG_PASSWORD, "new": "12345678", "again": "12345678"}, "new"),
        ({"current": town.ZHANG_PASSWORD, "new": "aabbaabb", "again": "aabbaabb"}, "new"),
        (dict.fromkeys(("current", "new", "again"), town.ZHANG_PASSWORD), "new"),
        ({"new": NEW, "again": NEW}, "current"),
    ],
)
def test_bad_new_password_is_refused_at_its_field(
    visitor: Visitor, fields: dict[str, str], field: str
) -> None:
    """Each fault is shown at its own field, and the old password stays."""
    visitor.come_as("zhang")

    answer = visitor.send("/password", **fields)

    assert answer.status_code == 422
    assert f'id="{field}-fault"' in answer.text
    visitor.leave()
    assert visitor.come_as("zhang").location == "/me"


def test_code_cannot_be_the_new_password(visitor: Visitor) -> None:
    """The printed code is known to whoever saw the letter."""
    code = visitor.scene.codes["chen"]
    visitor.come_as("chen")

    assert visitor.send("/password", new=code, again=code).status_code == 422


def test_guessing_the_current_password_is_limited(visitor: Visitor) -> None:
    """A browser left open does not let a stranger try passwords without end."""
    visitor.come_as("zhang")
    for _ in range(policy.FAILURES_PER_SUBJECT_MAX):
        visitor.send("/password", current="wrong", new=NEW, again=NEW)

    answer = visitor.send("/password", current=town.ZHANG_PASSWORD, new=NEW, again=NEW)

    assert answer.status_code == 429


@pytest.mark.parametrize(
    ("who", "start"),
    [("leader", "/site"), ("staff", "/terminals"), ("admin", "/terminals")],
)
def test_desk_sign_in_leads_to_the_work(visitor: Visitor, who: str, start: str) -> None:
    """Each role begins on the page of its work."""
    assert visitor.come_as(who).location == start


def test_sign_ins_are_on_the_audit_trail(visitor: Visitor) -> None:
    """Each session begins with an audit line; a refused sign-in leaves none."""
    visitor.send("/sign-in/desk", name="staff", secret="wrong")
    visitor.come_as("staff")

    with visitor.scene.database.reading() as session:
        lines = session.scalars(sa.select(Audit).where(Audit.action == "session.opened")).all()
        actors = [line.actor for line in lines]

    assert actors == ["user:staff"]


def test_sign_in_leads_back_to_where_one_wanted_to_go(visitor: Visitor) -> None:
    """A page asked for before the sign-in opens after it."""
    wanted = visitor.get("/volunteers").location
    answer = visitor.send(wanted, name="staff", secret=town.STAFF_PASSWORD)

    assert answer.location == "/volunteers"


@pytest.mark.parametrize(
    "address",
    [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "",
        "/a\n",
    ],
)
def test_sign_in_never_leads_away(address: str) -> None:
    """An address in `next` that could leave this server is dropped."""
    assert local_address(address) is None


@pytest.mark.parametrize("typed", ["123", "12345678901", "abcdefghij", ""])
def test_misshaped_number_is_a_fault_of_the_field(visitor: Visitor, typed: str) -> None:
    """A number that cannot be one is told at its field and counts as no failure."""
    answer = visitor.send("/sign-in", number=typed, secret="whatever")

    assert answer.status_code == 422
    assert 'id="number-fault"' in answer.text
