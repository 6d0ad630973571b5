# SPDX-License-Identifier: Apache-2.0
"""Pages of one's own: the volunteer's hours, and everybody's password."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from server.applications.services import missing_agreements, newest
from server.portal.errors import CurrentWrong, PasswordRefused
from server.portal.forms import PASSWORD_FAULTS, NewPassword
from server.portal.language import N_, gettext
from server.portal.policy import Role
from server.portal.services.hours import read_hours, read_months
from server.portal.views import access
from server.portal.views.frame import start_address
from server.portal.views.front import gate
from server.portal.views.paging import page_number
from server.runtime import current_runtime


def register(pages: Blueprint) -> None:
    """Hang these pages on the blueprint."""
    pages.add_url_rule("/me", view_func=my_hours)
    pages.add_url_rule("/me/stats", view_func=my_stats)
    pages.add_url_rule("/password", view_func=password, methods=["GET", "POST"])


@access.allow(Role.VOLUNTEER)
def my_hours() -> str:
    """Show a volunteer's total, what needs attention, and each service with its reason."""
    runtime = current_runtime()
    person = access.signed_in().id
    hours = read_hours(runtime.database, person, page_number(), runtime.clock.utc_ms())
    with runtime.database.reading() as work:
        ask = newest(work, person) is not None and bool(missing_agreements(work, person))
    return render_template(
        "me.html",
        hours=hours,
        ask=ask,
        page_address=lambda page: url_for("portal.my_hours", page=page),
    )


@access.allow(Role.VOLUNTEER)
def my_stats() -> dict[str, Any]:
    """Give the credited minutes of the last twelve months, zero months included."""
    runtime = current_runtime()
    months = read_months(runtime.database, access.signed_in().id, runtime.clock.utc_ms())
    return {
        "months": [{"month": f"{month.first:%Y-%m}", "minutes": month.minutes} for month in months],
        "minutes": sum(month.minutes for month in months),
    }


@access.allow(*Role)
def password() -> str | Response | tuple[str, int]:
    """Change one's password; the first thing to do after the one-time code."""
    who = access.signed_in()
    form = NewPassword.parse(request.form)
    if request.method == "GET":
        return render_template("password.html", faults={})
    faults = form.faults(needs_current=not who.must_change)
    if not faults:
        try:
            gate().change_password(who, form.current, form.new, current_runtime().clock.utc_ms())
        except CurrentWrong:
            faults = {"current": N_("This is not your current password.")}
        except PasswordRefused as error:
            faults = {"new": PASSWORD_FAULTS[error.fault]}
    if faults:
        return render_template("password.html", faults=faults), 422
    flash(gettext("Your new password is saved."), "good")
    return redirect(start_address(who))
