# SPDX-License-Identifier: Apache-2.0
"""Pages of sessions: one's own, and everybody's for administrators; each can be ended."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from server.portal.language import gettext
from server.portal.policy import Role
from server.portal.services.open_sessions import all_sessions, end_any, end_own, own_sessions
from server.portal.views import access
from server.runtime import current_runtime
from server.structure.rights import NOWHERE


def register(pages: Blueprint) -> None:
    """Hang these pages on the blueprint."""
    both = ["GET", "POST"]
    pages.add_url_rule("/sessions", view_func=my_sessions, methods=both)
    pages.add_url_rule("/sessions/all", view_func=every_session, methods=both)


@access.allow(*Role)
def my_sessions() -> str | Response:
    """List the browsers in which one is signed in; end one of them."""
    runtime, who = current_runtime(), access.signed_in()
    now_ms = runtime.clock.utc_ms()
    if request.method == "POST":
        end_own(runtime.database, who, request.form.get("session", ""), now_ms)
        flash(gettext("The session is ended."), "good")
        return redirect(url_for("portal.my_sessions"))
    rows = own_sessions(runtime.database, who, now_ms)
    return render_template("sessions.html", rows=rows, everybody=False)


@access.needs("sessions.end")
def every_session() -> str | Response:
    """List everybody's sessions; end one of them."""
    access.must("sessions.end", NOWHERE)
    runtime, who = current_runtime(), access.signed_in()
    now_ms = runtime.clock.utc_ms()
    if request.method == "POST":
        end_any(runtime.database, who, request.form.get("session", ""), now_ms)
        flash(gettext("The session is ended."), "good")
        return redirect(url_for("portal.every_session"))
    rows = all_sessions(runtime.database, who, now_ms)
    return render_template("sessions.html", rows=rows, everybody=True)
