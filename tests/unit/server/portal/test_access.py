# SPDX-License-Identifier: Apache-2.0
"""Who may open which page: every route against every role, and refusal where nothing is said."""

from __future__ import annotations

import re

import pytest
from flask_openapi.openapi import OpenAPI

from server.people.models import ROLES
from server.portal.views import access
from server.structure import granting
from server.structure.rights import Scope
from server.structure.rights_table import MATRIX
from tests.unit.server.portal import scene as town
from tests.unit.server.portal.conftest import Visitor

# The routes outside the pages that need no session. Terminals prove themselves by signature.
OTHER_PREFIXES = ("/api/v1/", "/static/")
OTHER_PUBLIC = {
    "/healthz", "/readyz", "/metrics", "/.well-known/yika-keys.json",
    "/log/checkpoint", "/log/tile/<path:name>",
    "/releases/metadata/<name>", "/releases/targets/<name>",
}  # fmt: skip

# What answers everybody: beside those, the description of the API and pictures of the pages.
PUBLIC_FOR_MACHINES = OTHER_PUBLIC | {"/api/v1/openapi.json", "/static/<path:filename>"}

PUBLIC = {
    "/", "/apply", "/apply/<step>", "/apply/photo.jpg", "/language/<code>", "/notices",
    "/sign-in", "/sign-in/desk", "/sign-in/desk/passkey", "/sign-in/passkey", "/sub-site.css",
    "/sub-site.png",
}  # fmt: skip

# Written by hand, apart from the code: what anybody who is signed in may open, pages by role, and
# pages by right. The table of rights says which role has which (test_rights.py).
OWN = {"/password", "/passkeys", "/sessions", "/sign-out"}
BY_ROLE = {
    "/me": {"volunteer"},
    "/me/account": {"volunteer"},
    "/me/application": {"volunteer"},
    "/me/functions": {"volunteer"},
    "/me/phone": {"volunteer"},
    "/me/requests": {"volunteer"},
    "/me/services/<int:interval_id>": {"volunteer"},
    "/me/stats": {"volunteer"},
    "/site": {"leader"},
}
BY_RIGHT = {
    "/applications": "applications.read",
    "/applications/<int:applicant_id>": "applications.read",
    "/applications/<int:applicant_id>/photo.jpg": "applications.read",
    "/applications/import": "applications.import",
    "/activities": "activities.read",
    "/activities/<int:application_id>": "activities.read",
    "/activities/apply": "activities.apply",
    "/bank": "bank.read",
    "/bank/answer": "bank.read",
    "/bank/file": "bank.read",
    "/bank/upload": "bank.import",
    "/cards": "cards.read",
    "/cards/bulk": "cards.bulk",
    "/cards/find": "cards.read",
    "/cards/orders/<order_no>": "cards.read",
    "/desk": "desk.operate",
    "/desk/boxes": "desk.operate",
    "/desk/boxes/<int:box_id>": "desk.operate",
    "/desk/cards/<int:card_id>": "desk.operate",
    "/desk/jobs/<reference>": "desk.operate",
    "/desk/jobs/<reference>/slip": "desk.operate",
    "/messages": "outbox.read",
    "/organisations": "structure.read",
    "/roles": "users.grant",
    "/sessions/all": "sessions.end",
    "/sites": "sites.read",
    "/sites/<int:site_id>": "sites.read",
    "/sites/<int:site_id>/exceptions/<int:exception_id>": "hours.decide",
    "/sites/<int:site_id>/outages": "hours.decide",
    "/sites/<int:site_id>/requests": "hours.decide",
    "/terminals": "terminals.read",
    "/terminals/<int:terminal_id>": "terminals.read",
    "/volunteers": "volunteers.read",
    "/volunteers/<int:volunteer_id>": "volunteers.read",
    "/volunteers/<int:volunteer_id>/cards/<int:card_id>/lost": "cards.block",
    "/volunteers/<int:volunteer_id>/history": "cards.read",
}
ALL_RULES = sorted({*OWN, *BY_ROLE, *BY_RIGHT} - {"/sign-out"})
# Who comes in for each role; each of them reaches the care home, Li and the terminals there.
PEOPLE = {"volunteer": "zhang"} | {role: role for role in ROLES if role != "volunteer"}


# Of these pages the town has something in Futian for every role that has the right.
REACHED = ("/activities", "/sites", "/terminals", "/volunteers")


def opened_by(role: str) -> set[str]:
    """Return the pages a role opens where it has everything in reach."""
    named = {rule for rule, roles in BY_ROLE.items() if role in roles}
    return OWN | named | {rule for rule, right in BY_RIGHT.items() if right in MATRIX[role]}


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
        .replace("<int:application_id>", str(ids["dance"]))
        .replace("<int:applicant_id>", str(ids["application"]))
        .replace("<int:box_id>", str(ids["box"]))
        .replace("<reference>", visitor.scene.codes["desk-job"])
        .replace("<order_no>", visitor.scene.codes["card-order"])
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


def test_pages_ask_for_what_the_table_says(app: OpenAPI) -> None:
    """The mark of each view is that of the table above: a right, or roles."""
    rules = {rule.rule: rule.endpoint for rule in app.url_map.iter_rules()}
    with app.app_context():
        rights = {rule: access.right_of(rules[rule]) for rule in BY_RIGHT}
        roles = {rule: set(access.allowed(rules[rule])) for rule in BY_ROLE}

    assert rights == BY_RIGHT
    assert roles == BY_ROLE


@pytest.mark.parametrize("role", ROLES)
def test_s28_every_page_against_every_role(visitor: Visitor, role: str) -> None:
    """Each role opens its own pages and gets 403 on every other one."""
    visitor.come_as(PEOPLE[role])
    answers = {rule: visitor.get(address_of(visitor, rule)).status_code for rule in ALL_RULES}

    refused = {rule for rule, status in answers.items() if status == 403}
    assert refused == set(ALL_RULES) - opened_by(role)
    assert {answers[rule] for rule in ALL_RULES if rule not in refused} <= {200, 302}


@pytest.mark.parametrize("role", ["", *ROLES])
def test_s28_every_other_route_against_every_role(visitor: Visitor, role: str) -> None:
    """A session opens no route for machines: they ask for a signature or an account's token.

    The desk's routes are for the script of its pages: they look like a page that needs the right.
    """
    if role:
        visitor.come_as(PEOPLE[role])
    opened = set()
    for rule in visitor.client.application.url_map.iter_rules():
        if rule.endpoint.startswith("portal.") or rule.rule in PUBLIC_FOR_MACHINES:
            continue
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            address = re.sub(r"<[^>]*>", "1", rule.rule)
            answer = visitor.client.open(address, method=method, json={})
            if answer.status_code < 400:
                opened.add((method, rule.rule))

    desk = {("GET", "/api/v1/desk/jobs"), ("GET", "/api/v1/desk/boxes/<int:box>")}
    assert opened == (desk if "desk.operate" in MATRIX.get(role, ()) else set())


@pytest.mark.parametrize("who", sorted(town.ELSEWHERE))
def test_s28_scopes_narrow_every_page(visitor: Visitor, who: str) -> None:
    """What lies elsewhere is refused or not there, by address as well as in lists."""
    role, scope = town.ELSEWHERE[who]
    inside = scope.endswith("440304")
    visitor.come_as(who)
    lists = {rule for rule in BY_RIGHT if "<" not in rule}
    for rule, right in BY_RIGHT.items():
        status = visitor.get(address_of(visitor, rule)).status_code
        if right not in MATRIX[role]:
            assert status == 403, rule
        elif inside and rule.startswith(REACHED):
            assert status == 200, rule
        elif rule in lists or inside:
            assert status < 500, rule  # narrowed, also to nothing
        else:
            assert status in (403, 404), rule
    listed = visitor.get("/terminals").text
    assert ("care-1" in listed) is inside
    assert "library-1" not in listed
    found = visitor.send("/volunteers", number=visitor.scene.numbers["li"])
    assert found.status_code == (302 if inside else 404)
    other = visitor.send("/volunteers", number=visitor.scene.numbers["chen"])
    assert other.status_code == 404


def test_role_taken_back_counts_at_the_next_request(visitor: Visitor) -> None:
    """Who has no role left is a visitor at once, also with a session, and cannot come in again."""
    visitor.come_as("auditor")
    assert visitor.get("/terminals").status_code == 200
    with visitor.scene.database.writing() as session:
        granting.revoke(session, "auditor", "auditor", Scope("all"), ("test", town.NOW_MS))

    assert visitor.get("/terminals").location.startswith("/sign-in")
    assert visitor.come_as("auditor").status_code == 401


def test_visitor_is_sent_to_the_sign_in(visitor: Visitor) -> None:
    """Without a session every page but the public ones leads to a sign-in that leads back."""
    for rule in ALL_RULES:
        address = address_of(visitor, rule)

        answer = visitor.get(address)

        assert answer.status_code == 302
        assert answer.location.startswith("/sign-in")
        assert f"next={address}" in answer.location


# A step and a photo need a draft; a sub-site its host.
ELSEWHERE_SHOWN = {
    "/language/<code>", "/apply/<step>", "/apply/photo.jpg", "/sub-site.css", "/sub-site.png",
}  # fmt: skip


@pytest.mark.parametrize("path", sorted(PUBLIC - ELSEWHERE_SHOWN))
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
