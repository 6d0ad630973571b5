# SPDX-License-Identifier: Apache-2.0
"""Pages of the site leader: who is on duty, what waits, one exception and the decision on it."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from server.errors import Refused
from server.portal.forms import Decision
from server.portal.language import gettext, language
from server.portal.names import Name
from server.portal.policy import Role
from server.portal.services.decisions import decide
from server.portal.services.duty import read_site, read_sites
from server.portal.services.exceptions import ExceptionRow, read_exception
from server.portal.views import access
from server.portal.views.hosts import within
from server.portal.views.paging import page_number
from server.runtime import current_runtime
from server.terminals.places import place_of_site

FIELD_FORMAT = "%Y-%m-%dT%H:%M"


def register(pages: Blueprint) -> None:
    """Hang these pages on the blueprint."""
    one = "/sites/<int:site_id>/exceptions/<int:exception_id>"
    pages.add_url_rule("/site", view_func=own_site)
    pages.add_url_rule("/sites", view_func=sites)
    pages.add_url_rule("/sites/<int:site_id>", view_func=site)
    pages.add_url_rule(one, view_func=exception, methods=["GET", "POST"])


@access.allow(Role.LEADER)
def own_site() -> Response:
    """Lead a leader to the own site; who leads several, to the list of them."""
    own = read_sites(current_runtime().database, access.signed_in().reach("sites.read"))
    if len(own) != 1:
        return redirect(url_for("portal.sites"))
    return redirect(url_for("portal.site", site_id=own[0].id))


@access.needs("sites.read")
def sites() -> str:
    """List the sites in reach."""
    found = read_sites(current_runtime().database, within("sites.read"))
    return render_template("sites.html", sites=found)


@access.needs("sites.read")
def site(site_id: int) -> str:
    """Show who is on duty at a site now and what waits there for a decision."""
    must_reach("sites.read", site_id)
    runtime = current_runtime()
    found = read_site(runtime.database, site_id, page_number(), runtime.clock.utc_ms())
    return render_template(
        "site.html",
        site=found,
        page_address=lambda page: url_for("portal.site", site_id=site_id, page=page),
    )


@access.needs("hours.decide")
def exception(site_id: int, exception_id: int) -> str | Response | tuple[str, int]:
    """Show one exception and take the leader's decision on it."""
    must_reach("hours.decide", site_id)
    row = read_exception(current_runtime().database, site_id, exception_id)
    if request.method == "GET":
        return _exception_page(site_id, row, _proposal(row), {})
    form = Decision.parse(request.form)
    faults = form.faults() or _take(site_id, row, form)
    if faults:
        return _exception_page(site_id, row, form, faults), 422
    done = gettext("Approved and recorded.") if form.approve else gettext("Rejected and recorded.")
    flash(done, "good")
    return redirect(url_for("portal.site", site_id=site_id))


def _take(site_id: int, row: ExceptionRow, form: Decision) -> dict[str, str]:
    try:
        decide(current_runtime(), site_id, row.id, form, access.signed_in().actor)
    except Refused as error:
        return {"form": Name(error.zh, error.en).within(language())}
    return {}


def must_reach(right: str, site_id: int) -> None:
    """Answer 403 unless who is signed in has a right at a site."""
    with current_runtime().database.reading() as session:
        place = place_of_site(session, site_id)
    access.must(right, place)


def _proposal(row: ExceptionRow) -> Decision:
    start = row.proposed_start or row.at
    return Decision(
        approve=True,
        start=start.strftime(FIELD_FORMAT) if start else "",
        end=row.proposed_end.strftime(FIELD_FORMAT) if row.proposed_end else "",
        reason="",
    )


def _exception_page(site_id: int, row: ExceptionRow, form: Decision, faults: dict[str, str]) -> str:
    return render_template("exception.html", site_id=site_id, row=row, form=form, faults=faults)
