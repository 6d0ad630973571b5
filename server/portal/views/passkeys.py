# SPDX-License-Identifier: Apache-2.0
"""Pages of passkeys: sign in with one, list, add and remove one's own.

A page carries the options for the browser in an attribute; one script of ours asks the browser,
puts the answer into the form and sends it. Without scripts the password serves on.
"""

from __future__ import annotations

import secrets

from flask import (
    Blueprint,
    Response,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask import session as cookie
from werkzeug.wrappers import Response as Answer

from server.errors import Refused
from server.people import passkeys
from server.people.passkeys import ANSWER_LENGTH_MAX, Door, Owner
from server.portal.display import local
from server.portal.errors import SignInRefused
from server.portal.language import gettext, language
from server.portal.names import Name
from server.portal.policy import Role
from server.portal.services.places import DEFAULT_ZONE_QUARTERS
from server.portal.services.sessions import Principal
from server.portal.views import access
from server.portal.views.front import enter, gate, knock_of
from server.portal.views.headers import SCRIPT_SECURITY_POLICY
from server.portal.views.paging import row_number
from server.runtime import current_runtime

BROWSER_KEY = "door"
BROWSER_BYTES = 16


def register(pages: Blueprint) -> None:
    """Hang these pages on the blueprint."""
    both = ["GET", "POST"]
    pages.add_url_rule("/passkeys", view_func=own_passkeys, methods=both)
    pages.add_url_rule("/sign-in/passkey", view_func=sign_in_passkey, methods=both)
    pages.add_url_rule("/sign-in/desk/passkey", view_func=sign_in_desk_passkey, methods=both)


@access.allow(*Role)
def own_passkeys() -> Answer | tuple[Response, int]:
    """List one's passkeys; add one, remove one."""
    runtime, who = current_runtime(), access.signed_in()
    owner, fault = owner_of(who), ""
    if request.method == "POST":
        try:
            with runtime.database.writing() as session:
                if removed := request.form.get("remove", ""):
                    number = row_number(removed)
                    passkeys.remove(session, owner, number, runtime.clock.utc_ms())
                    done = gettext("The passkey is removed.")
                else:
                    name, answer = request.form.get("name", ""), _answer()
                    passkeys.register(session, owner, name, answer, _door(who.token_hash))
                    done = gettext("The passkey is registered.")
            flash(done, "good")
            return redirect(url_for("portal.own_passkeys"))
        except Refused as error:
            fault = Name(error.zh, error.en).within(language())
    with runtime.database.reading() as session:
        rows = [
            (row, local(row.created_ms, DEFAULT_ZONE_QUARTERS))
            for row in passkeys.listing(session, owner)
        ]
        try:
            options = passkeys.registration_options(session, owner, _door(who.token_hash))
        except Refused as error:
            options, fault = "", Name(error.zh, error.en).within(language())
        page = render_template("passkeys.html", rows=rows, options=options, fault=fault)
    answered = _with_script(page)
    return (answered, 422) if fault else answered


@access.public
def sign_in_passkey() -> Answer | tuple[Response, int]:
    """Let a volunteer in by passkey."""
    return _sign_in(desk=False)


@access.public
def sign_in_desk_passkey() -> Answer | tuple[Response, int]:
    """Let a leader, staff or an administrator in by passkey."""
    return _sign_in(desk=True)


def owner_of(who: Principal) -> Owner:
    """Return whose passkeys are meant."""
    if who.role is Role.VOLUNTEER:
        return Owner(who.id, None, who.actor)
    return Owner(None, who.id, who.actor)


def _sign_in(*, desk: bool) -> Answer | tuple[Response, int]:
    refused = False
    if request.method == "POST" and BROWSER_KEY in cookie:
        try:
            door = _door(bytes.fromhex(cookie[BROWSER_KEY]))
            knock = knock_of("", _answer(), desk=desk)
            return enter(gate().sign_in_by_passkey(knock, door))
        except (SignInRefused, Refused):
            refused = True
    browser = secrets.token_bytes(BROWSER_BYTES)
    cookie[BROWSER_KEY] = browser.hex()
    try:
        options = passkeys.sign_in_options(_door(browser), staff=desk)
    except Refused as error:
        flash(Name(error.zh, error.en).within(language()), "bad")
        return redirect(url_for("portal.sign_in_desk" if desk else "portal.sign_in"))
    page = render_template("sign_in_passkey.html", desk=desk, options=options, refused=refused)
    answered = _with_script(page)
    return (answered, 401) if refused else answered


def _door(browser: bytes) -> Door:
    """Return where the browser stands, by the name it asked for.

    Raises:
        Refused: the name is not one that passkeys belong to.
    """
    runtime = current_runtime()
    http = runtime.config.http
    name = request.host.rpartition(":")[0] or request.host
    domain = http.passkey_domain or name
    if name != domain and not name.endswith(f".{domain}"):
        raise Refused(
            "passkey-host", f"通行密钥只能在 {domain} 使用", f"passkeys serve at {domain} only"
        )
    scheme = "https" if request.is_secure or http.secure_cookies else "http"
    origin = f"{scheme}://{request.host}"
    return Door(domain, origin, runtime.web_secret, browser, runtime.clock.utc_ms())


def _answer() -> str:
    return request.form.get("answer", "")[: ANSWER_LENGTH_MAX + 1]


def _with_script(page: str) -> Response:
    answered = make_response(page)
    answered.headers["Content-Security-Policy"] = SCRIPT_SECURITY_POLICY
    return answered
