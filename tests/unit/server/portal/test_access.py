# SPDX-License-Identifier: Apache-2.0
"""Who may open which page: every route against every role, and refusal where nothing is said."""

from __future__ import annotations

import pytest
from flask_openapi.openapi import OpenAPI

from server.portal.views import access
from tests.unit.server.portal.conftest import Visitor

# The routes outside the pages that need no session. Terminals prove themselves by signature.
OTHER_PREFIXES = ("/api/v1/", "/static/")
OTHER_PUBLIC = {
    "/healthz", "/readyz", "/metrics", "/.well-known/yika-keys.json",
    "/log/checkpoint", "/log/tile/<path:name>",
    "/releases/metadata/<name>", "/releases/targets/<name>",
}  # fmt: skip

PUBLIC = {"/", "/language/<code>", "/sign-in", "/sign-in/desk"}

# Written by hand, apart from the code: role → what it may open besides the public pages.
OWN = {"/password", "/sign-out"}
SITE = {
    "/sites/<int:site_id>",
    "/sites/<int:site_id>/exceptions/<int:exception_id>",
    "/sites/<int:site_id>/requests",
}
MINE = {"/me", "/me/account", "/me/requests", "/me/services/<int:interval_id>", "/me/stats"}
DESK = {
    "/terminals",
    "/terminals/<int:terminal_id>",
    "/volunteers",
    "/volunteers/<int:volunteer_id>",
    "/volunteers/<int:volunteer_id>/cards/<int:card_id>/lost",
}
MATRIX = {
    "zhang": OWN | MINE | {"/me/phone"},
    "leader": OWN | SITE | {"/site"},
    "staff": OWN | DESK,
    "admin": OWN | DESK | SITE | {"/sites"},
}
ALL_RULES = sorted(set().union(*MATRIX.values()) - {"/sign-out"})


def address_of(visitor: Visitor, rule: str) -> str:
    """Fill a rule with ids of the town."""
    ids = visitor.scene.ids
    return (
        rule.replace("<int:site_id>", str(ids["care"]))
        .replace("<int:exception_id>", str(ids["exception-wang"]))
        .replace("<int:volunteer_id>", str(ids["li"]))
        .replace("<int:interval_id>", "1")
        .replace("<int:terminal_id>", "1")
        .replace("<int:card_id>", str(ids["card-li"]))
    )


def test_every_route_of_the_pages_says_who_may_open_it(app: OpenAPI) -> None:
    """No page was forgotten: each is public by name or open to named roles."""
    rules = {rule.rule: rule for rule in app.url_map.iter_rules()}
    pages = {path for path, rule in rules.items() if rule.endpoint.startswith("portal.")}
    with app.app_context():
        silent = [path for path in pages if not access.allowed(rules[path].endpoint)]
        public = {p for p in pages if access.allowed(rules[p].endpoint) is access.EVERYBODY}

    assert silent == []
    assert public == PUBLIC
    assert pages == PUBLIC | {"/sign-out"} | set(ALL_RULES)


def test_every_other_route_is_known(app: OpenAPI) -> None:
    """Outside pages, API and static files the public addresses for machines are these."""
    others = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if not rule.endpoint.startswith("portal.") and not rule.rule.startswith(OTHER_PREFIXES)
    }

    assert others == OTHER_PUBLIC


@pytest.mark.parametrize("role", sorted(MATRIX))
def test_role_by_route(visitor: Visitor, role: str) -> None:
    """Each role opens its own pages and gets 403 on every other one."""
    visitor.come_as(role)
    answers = {rule: visitor.get(address_of(visitor, rule)).status_code for rule in ALL_RULES}

    refused = {rule for rule, status in answers.items() if status == 403}
    assert refused == set(ALL_RULES) - MATRIX[role]
    assert {answers[rule] for rule in ALL_RULES if rule not in refused} <= {200, 302}


def test_visitor_is_sent_to_the_sign_in(visitor: Visitor) -> None:
    """Without a session every page but the public ones leads to a sign-in that leads back."""
    for rule in ALL_RULES:
        address = address_of(visitor, rule)

        answer = visitor.get(address)

        assert answer.status_code == 302
        assert answer.location.startswith("/sign-in")
        assert f"next={address}" in answer.location


@pytest.mark.parametrize("path", sorted(PUBLIC - {"/language/<code>"}))
def test_public_pages_open(visitor: Visitor, path: str) -> None:
    """Public pages need no session."""
    assert visitor.get(path).status_code == 200


def test_page_that_says_nothing_opens_for_nobody(app: OpenAPI, visitor: Visitor) -> None:
    """A view without a mark is refused, even to an administrator."""
    marks = app.view_functions["portal.terminals"].__dict__
    kept = marks.pop("allowed")
    try:
        visitor.come_as("admin")

        assert visitor.get("/terminals").status_code == 403
    finally:
        marks["allowed"] = kept


def test_leader_of_another_site_is_refused(visitor: Visitor) -> None:
    """A leader sees and settles the own site only, also by typing the address."""
    ids = visitor.scene.ids
    visitor.come_as("librarian")

    assert visitor.get(f"/sites/{ids['care']}").status_code == 403
    one = f"/sites/{ids['care']}/exceptions/{ids['exception-wang']}"
    assert visitor.get(one).status_code == 403
    assert visitor.client.post(one, data={}).status_code in (400, 403)


def test_exception_of_another_site_is_not_found_under_the_own_one(visitor: Visitor) -> None:
    """The number of somebody else's exception opens nothing under one's own site."""
    ids = visitor.scene.ids
    visitor.come_as("librarian")

    answer = visitor.get(f"/sites/{ids['library']}/exceptions/{ids['exception-wang']}")

    assert answer.status_code == 404


def test_one_time_code_opens_nothing_but_the_password_page(visitor: Visitor) -> None:
    """Whoever came in with the code sees no hours before setting a password."""
    visitor.come_as("chen")

    assert visitor.get("/me").location == "/password"
    assert visitor.get("/me/stats").location == "/password"
    assert visitor.get("/password").status_code == 200
