# SPDX-License-Identifier: Apache-2.0
"""Pages on which hours explain themselves and are asked about: volunteer's and leader's side."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from server.db import to_millis
from server.errors import Refused
from server.portal.display import instant, local
from server.portal.forms import wall_time
from server.portal.language import gettext, language
from server.portal.names import Name
from server.portal.policy import Role
from server.portal.services.decisions import said_now
from server.portal.services.places import DEFAULT_ZONE_QUARTERS
from server.portal.services.requests import (
    read_account,
    read_disputed,
    read_explanation,
    read_requests,
)
from server.portal.views import access
from server.portal.views.paging import row_number
from server.portal.views.site import must_reach
from server.reconciliation import requests as service
from server.reconciliation.reminders import mark_read
from server.reconciliation.requests import Asked
from server.runtime import current_runtime


def register(pages: Blueprint) -> None:
    """Hang these pages on the blueprint."""
    both = ["GET", "POST"]
    pages.add_url_rule("/me/services/<int:interval_id>", view_func=explanation)
    pages.add_url_rule("/me/account", view_func=account)
    pages.add_url_rule("/me/requests", view_func=my_requests, methods=both)
    pages.add_url_rule("/sites/<int:site_id>/requests", view_func=site_requests, methods=both)


@access.allow(Role.VOLUNTEER)
def explanation(interval_id: int) -> str:
    """Explain one service: events, rules, parameters, version, what was believed before."""
    person = access.signed_in().id
    told = read_explanation(current_runtime().database, person, interval_id)

    def wall(instant_utc: str) -> datetime:
        return local(to_millis(datetime.fromisoformat(instant_utc)), told["zone"])

    return render_template("explanation.html", told=told, wall=wall)


@access.allow(Role.VOLUNTEER)
def account() -> str:
    """Show the volunteer's account in the ledger."""
    found = read_account(current_runtime().database, access.signed_in().id)

    def wall(at_ms: int) -> object:
        return local(at_ms, DEFAULT_ZONE_QUARTERS)

    return render_template("account.html", account=found, wall=wall)


@access.allow(Role.VOLUNTEER)
def my_requests() -> str | Response | tuple[str, int]:
    """Show a volunteer's requests and their state; take a new one."""
    runtime, person = current_runtime(), access.signed_in().id
    fault = ""
    if "notice" in request.form:
        return _read(redirect(url_for("portal.my_requests")), person=person)
    if request.method == "POST":
        typed = request.form
        span = [_typed_instant(typed.get(name, "")) for name in ("start", "end")]
        chosen = typed.get("interval", "")
        asked = Asked(
            person,
            typed.get("text", "").strip()[:200],
            row_number(chosen) or None,
            row_number(typed.get("site", "")) or None,
            *span,
        )
        try:
            with runtime.database.writing() as session:
                service.ask(session, asked, runtime.clock.utc_ms())
        except Refused as error:
            fault = Name(error.zh, error.en).within(language())
        else:
            flash(gettext("Your request is filed. A leader will answer it."), "good")
            return redirect(url_for("portal.my_requests"))
    page = read_requests(runtime.database, person=person)
    chosen = request.args.get("interval", "")
    about = None
    if chosen.isdecimal():
        about = read_disputed(runtime.database, person, row_number(chosen))
    html = render_template(
        "requests.html", page=page, fault=fault, interval=chosen if about else "", about=about
    )
    return (html, 422) if fault else html


@access.needs("hours.decide")
def site_requests(site_id: int) -> str | Response | tuple[str, int]:
    """Show what volunteers of a site ask; take the leader's answer."""
    who = access.signed_in()
    must_reach("hours.decide", site_id)
    runtime = current_runtime()
    page = read_requests(runtime.database, site=site_id)
    fault = ""
    if "notice" in request.form:
        return _read(redirect(url_for("portal.site_requests", site_id=site_id)), site=site_id)
    if request.method == "POST":
        typed = request.form
        number = typed.get("number", "")
        if number not in {str(row.id) for row in page.rows}:
            abort(404)
        span = None
        start, end = (_typed_instant(typed.get(name, "")) for name in ("start", "end"))
        if typed.get("decision") == "accept":
            span = (start or 0, end or 0)
        try:
            with runtime.database.writing() as session:
                said = said_now(runtime, who.actor, typed.get("reason", "").strip()[:200])
                service.answer(session, int(number), span, said)
        except Refused as error:
            fault = Name(error.zh, error.en).within(language())
        else:
            flash(gettext("Answered and recorded."), "good")
            return redirect(url_for("portal.site_requests", site_id=site_id))
    html = render_template("site_requests.html", page=page, site_id=site_id, fault=fault)
    return (html, 422) if fault else html


def _read(done: Response, *, person: int | None = None, site: int | None = None) -> Response:
    """Mark a notification as read; one that was told to others is not found."""
    runtime, number = current_runtime(), request.form["notice"]
    if not number.isdecimal():
        abort(404)
    try:
        with runtime.database.writing() as session:
            mark_read(session, row_number(number), runtime.clock.utc_ms(), person=person, site=site)
    except Refused:
        abort(404)
    return done


def _typed_instant(text: str) -> int | None:
    typed = wall_time(text)
    return instant(typed, DEFAULT_ZONE_QUARTERS) if typed else None
