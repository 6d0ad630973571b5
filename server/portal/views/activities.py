# SPDX-License-Identifier: Apache-2.0
"""Pages of activities: what waits for a decision, what was asked for, apply, decide, call off."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from server.errors import Refused
from server.portal.language import N_, gettext, language
from server.portal.names import Name
from server.portal.services.activities import (
    ActivityForm,
    ApplicationPage,
    read_list,
    read_one,
    read_template,
    site_names,
)
from server.portal.views import access
from server.portal.views.hosts import within
from server.portal.views.site import must_reach
from server.runtime import current_runtime
from server.terminals import activities as service
from server.terminals.services import find_site

APPLY, APPROVE, READ = "activities.apply", "activities.approve", "activities.read"
STATES = {
    "applied": N_("waits for a decision"),
    "approved": N_("approved"),
    "refused": N_("refused"),
    "cancelled": N_("cancelled"),
    "expired": N_("expired"),
}
SITE_FAULT = N_("Choose a site.")


def register(pages: Blueprint) -> None:
    """Hang these pages on the blueprint."""
    both = ["GET", "POST"]
    pages.add_url_rule("/activities", view_func=activities)
    pages.add_url_rule("/activities/apply", view_func=activity_apply, methods=both)
    pages.add_url_rule("/activities/<int:application_id>", view_func=activity, methods=both)


@access.needs(READ)
def activities() -> str:
    """List what waits for a decision, soonest first, and everything asked for, newest first."""
    runtime = current_runtime()
    now_ms = runtime.clock.utc_ms()
    waiting = read_list(runtime.database, within(APPROVE), now_ms, waiting=True)
    rows = read_list(runtime.database, within(READ), now_ms, waiting=False)
    return render_template("activities.html", waiting=waiting, rows=rows, states=STATES)


@access.needs(APPLY)
def activity_apply() -> str | Response | tuple[str, int]:
    """Ask for an activity; an earlier one may serve as template."""
    runtime, who = current_runtime(), access.signed_in()
    sites = site_names(runtime.database, who.reach(APPLY))
    if request.method == "GET":
        template = request.args.get("from", "")
        form = ActivityForm()
        if template.isdecimal() and len(template) < 19:
            form = read_template(runtime.database, int(template))
        return render_template("activity_apply.html", sites=sites, form=form, faults={})
    form = ActivityForm.parse(request.form)
    faults = form.faults()
    if form.site not in {str(number) for number, _ in sites}:
        faults["site"] = SITE_FAULT
    if not faults:
        must_reach(APPLY, int(form.site))
        try:
            with runtime.database.writing() as session:
                wish = form.wish(find_site(session, int(form.site)))
                made = service.apply(session, wish, who.actor, runtime.clock.utc_ms())
                number = made.id
        except Refused as error:
            faults = {"form": Name(error.zh, error.en).within(language())}
        else:
            flash(gettext("Your application is filed. Somebody else decides on it."), "good")
            return redirect(url_for("portal.activity", application_id=number))
    return render_template("activity_apply.html", sites=sites, form=form, faults=faults), 422


@access.needs(READ)
def activity(application_id: int) -> str | Response | tuple[str, int]:
    """Show one application; decide on it, or call it off."""
    runtime, who = current_runtime(), access.signed_in()
    page = read_one(runtime.database, application_id, runtime.clock.utc_ms())
    access.must(READ, page.place)
    own = page.row.applied_by == who.name
    approves = who.may(APPROVE, page.place)
    fault = ""
    if request.method == "POST":
        try:
            _decide(page, own=own, approves=approves)
        except Refused as error:
            fault = Name(error.zh, error.en).within(language())
        else:
            flash(gettext("Decided and recorded."), "good")
            return redirect(url_for("portal.activity", application_id=application_id))
    html = render_template(
        "activity.html",
        page=page,
        row=page.row,
        states=STATES,
        decides=approves and not own and page.row.state == "applied",
        cancels=(own or approves) and page.row.state in ("applied", "approved"),
        fault=fault,
    )
    return (html, 422) if fault else html


def _decide(page: ApplicationPage, *, own: bool, approves: bool) -> None:
    decision = request.form.get("decision", "")
    if not (approves or (own and decision == "cancel")):
        abort(403)
    runtime, actor = current_runtime(), access.signed_in().actor
    reason, now_ms = request.form.get("reason", ""), runtime.clock.utc_ms()
    with runtime.database.writing() as session:
        if decision == "approve":
            service.approve(session, page.row.id, actor, now_ms)
        elif decision == "refuse":
            service.refuse(session, page.row.id, reason, actor, now_ms)
        elif decision == "cancel":
            service.cancel(session, page.row.id, reason, actor, now_ms)
        else:
            abort(400)
