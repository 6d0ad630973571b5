# SPDX-License-Identifier: Apache-2.0
"""Pages anybody may open: start page, sign-in, language switch; and sign-out."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from server.portal.errors import SignInRefused
from server.portal.forms import DeskSignIn, VolunteerSignIn
from server.portal.language import LANGUAGES, SESSION_KEY, gettext
from server.portal.policy import Role, browser_family
from server.portal.services.sign_in import Gate, Knock, Welcome
from server.portal.views import access
from server.portal.views.frame import MENUS
from server.runtime import current_runtime


def register(pages: Blueprint) -> None:
    """Hang these pages on the blueprint."""
    pages.add_url_rule("/", view_func=home)
    pages.add_url_rule("/language/<code>", view_func=switch_language)
    pages.add_url_rule("/sign-in", view_func=sign_in, methods=["GET", "POST"])
    pages.add_url_rule("/sign-in/desk", view_func=sign_in_desk, methods=["GET", "POST"])
    pages.add_url_rule("/sign-out", view_func=sign_out, methods=["POST"])


def gate() -> Gate:
    """Return the way in, on the parts of the running server."""
    runtime = current_runtime()
    return Gate(runtime.database, runtime.web_secret)


@access.public
def home() -> str:
    """Say what this is and where to go."""
    return render_template("home.html")


@access.public
def switch_language(code: str) -> Response:
    """Change the language of this browser and go back."""
    if code in LANGUAGES:
        session[SESSION_KEY] = code
    return redirect(access.local_address(request.args.get("next")) or url_for("portal.home"))


@access.public
def sign_in() -> str | Response | tuple[str, int]:
    """Let a volunteer in by number and secret."""
    form = VolunteerSignIn.parse(request.form)
    if request.method == "GET":
        return render_template("sign_in.html", number="", faults={})
    if faults := form.faults():
        return render_template("sign_in.html", number=form.number, faults=faults), 422
    try:
        return _enter(knock_of(form.number, form.secret, desk=False))
    except SignInRefused:
        page = render_template("sign_in.html", number=form.number, faults={}, refused=True)
        return page, 401


@access.public
def sign_in_desk() -> str | Response | tuple[str, int]:
    """Let a leader, staff or an administrator in by name and password."""
    form = DeskSignIn.parse(request.form)
    if request.method == "GET":
        return render_template("sign_in_desk.html", name="", faults={})
    if faults := form.faults():
        return render_template("sign_in_desk.html", name=form.name, faults=faults), 422
    try:
        return _enter(knock_of(form.name, form.secret, desk=True))
    except SignInRefused:
        page = render_template("sign_in_desk.html", name=form.name, faults={}, refused=True)
        return page, 401


@access.allow(*Role)
def sign_out() -> Response:
    """End the session, here and on the server."""
    gate().sign_out(access.end())
    flash(gettext("You are signed out."), "good")
    return redirect(url_for("portal.home"))


def knock_of(name: str, secret: str, *, desk: bool) -> Knock:
    """Return who knocks, from where and with what browser."""
    agent = browser_family(request.headers.get("User-Agent", ""))
    return Knock(desk, name, secret, request.remote_addr or "", agent)


def _enter(knock: Knock) -> Response:
    return enter(gate().sign_in(knock, current_runtime().clock.utc_ms()))


def enter(welcome: Welcome) -> Response:
    """Give the browser its new session and lead to where its owner wanted to go."""
    if left_over := access.end():
        gate().sign_out(left_over)
    access.begin(welcome.token)
    if welcome.must_change:
        return redirect(url_for("portal.password"))
    wanted = access.local_address(request.args.get("next"))
    return redirect(wanted or url_for(MENUS[welcome.role][0][0]))
