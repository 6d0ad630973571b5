# SPDX-License-Identifier: Apache-2.0
"""Who may open which page. A page that says nothing about it opens for nobody.

Every view carries `public`, `allow(...)` or `needs(right)`. The guard runs before each request of
the pages, finds the person of the session cookie, checks form tokens, and refuses by default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import abort, current_app, g, redirect, request, session, url_for
from flask_wtf.csrf import CSRFProtect
from werkzeug.wrappers import Response

from server.portal.language import SESSION_KEY as LANGUAGE_KEY
from server.portal.policy import Role
from server.portal.services.sessions import Principal, find_principal
from server.runtime import current_runtime
from server.structure.rights import Place, roles_with

View = TypeVar("View", bound=Callable[..., Any])

EVERYBODY = frozenset({"everybody"})
ANYBODY = frozenset(Role)  # whoever is signed in
TOKEN_KEY = "token"  # noqa: S105  (the name of a field of the session cookie)
FORM_BYTES_MAX = 64 * 1024  # the longest form is a reason of 500 characters
OPEN_BEFORE_CHANGE = ("portal.password", "portal.sign_out", "portal.switch_language")

csrf = CSRFProtect()


def public(view: View) -> View:
    """Let everybody open this page."""
    view.__dict__["allowed"] = EVERYBODY
    return view


def allow(*roles: Role) -> Callable[[View], View]:
    """Let these roles open this page."""

    def mark(view: View) -> View:
        view.__dict__["allowed"] = frozenset(roles)
        return view

    return mark


def needs(right: str) -> Callable[[View], View]:
    """Let those open this page who have a right somewhere; where, the view asks of `who.may`.

    Raises:
        ValueError: there is no such right.
    """
    roles = frozenset(Role(role) for role in roles_with(right))

    def mark(view: View) -> View:
        view.__dict__["allowed"] = roles
        view.__dict__["right"] = right
        return view

    return mark


def right_of(endpoint: str) -> str | None:
    """Return the right an endpoint needs, None when its view names roles or everybody."""
    found: str | None = current_app.view_functions[endpoint].__dict__.get("right")
    return found


def must(right: str, place: Place) -> None:
    """Answer 403 unless who is signed in has a right at a place."""
    if not signed_in().may(right, place):
        abort(403)


def allowed(endpoint: str) -> frozenset[str]:
    """Return who may open an endpoint; nobody, if its view says nothing."""
    view = current_app.view_functions[endpoint]
    marked: frozenset[str] = view.__dict__.get("allowed", frozenset())
    return marked


def guard() -> Response | None:
    """Decide on the current request; runs before every view of the pages."""
    endpoint = request.endpoint or ""
    view = current_app.view_functions.get(endpoint)
    # A page that takes files says how large they may be.
    request.max_content_length = (
        vars(view).get("form_bytes", FORM_BYTES_MAX) if view else FORM_BYTES_MAX
    )
    who = principal()
    roles = allowed(endpoint)
    if roles is not EVERYBODY:
        if who is None:
            door = "portal.sign_in" if Role.VOLUNTEER in roles else "portal.sign_in_desk"
            return redirect(url_for(door, next=_return_address()))
        right = right_of(endpoint)
        by_role = roles == ANYBODY or who.roles & roles
        if not (who.can(right) if right and roles else by_role):
            abort(403)
        if who.must_change and endpoint not in OPEN_BEFORE_CHANGE:
            return redirect(url_for("portal.password"))
    csrf.protect()
    return None


def principal() -> Principal | None:
    """Return who is signed in, None for a visitor; looked up once per request."""
    if "principal" not in g:
        g.principal = None
        if token := session.get(TOKEN_KEY):
            runtime = current_runtime()
            g.principal = find_principal(runtime.database, token, runtime.clock.utc_ms())
    found: Principal | None = g.principal
    return found


def signed_in() -> Principal:
    """Return who is signed in, in a view that the guard opens for signed-in people only."""
    who = principal()
    assert who is not None, "the guard lets nobody through without a session"
    return who


def begin(token: str) -> None:
    """Start a fresh cookie for a session; of the visitor's cookie only the language stays."""
    chosen = session.get(LANGUAGE_KEY)
    session.clear()
    session[TOKEN_KEY] = token
    if chosen:
        session[LANGUAGE_KEY] = chosen


def end() -> str:
    """Empty the cookie and return the session token it held, "" when there was none."""
    token: str = session.get(TOKEN_KEY, "")
    chosen = session.get(LANGUAGE_KEY)
    session.clear()
    if chosen:
        session[LANGUAGE_KEY] = chosen
    g.principal = None
    return token


def local_address(candidate: str | None) -> str | None:
    r"""Return an address on this server, None for anything that could lead elsewhere.

    >>> local_address("/me?page=2"), local_address("//evil.example"), local_address("/\\evil")
    ('/me?page=2', None, None)
    """
    if not candidate or not candidate.startswith("/") or candidate.startswith("//"):
        return None
    if "\\" in candidate or not candidate.isprintable():
        return None
    parts = urlsplit(candidate)
    return candidate if not parts.scheme and not parts.netloc else None


def _return_address() -> str | None:
    return request.full_path.rstrip("?") if request.method == "GET" else None
