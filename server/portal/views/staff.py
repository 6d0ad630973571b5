# SPDX-License-Identifier: Apache-2.0
"""Pages of the staff: terminals, look-up of a volunteer, a card reported lost.

Each is narrowed to where the right is held: staff of a region see its terminals and members.
"""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from server.errors import Refused
from server.portal.errors import NotFound
from server.portal.forms import NUMBER_FAULT, digits, is_number, lost_reason_faults
from server.portal.language import gettext, language
from server.portal.names import Name
from server.portal.services.fleet import read_terminal, read_terminals
from server.portal.services.lookup import LostReport, look_up, read_person, report_lost
from server.portal.views import access
from server.portal.views.hosts import within
from server.runtime import current_runtime
from server.structure.organisations import place_of_volunteer


def register(pages: Blueprint) -> None:
    """Hang these pages on the blueprint."""
    both = ["GET", "POST"]
    person = "/volunteers/<int:volunteer_id>"
    pages.add_url_rule("/terminals", view_func=terminals)
    pages.add_url_rule("/terminals/<int:terminal_id>", view_func=terminal)
    pages.add_url_rule("/volunteers", view_func=volunteers, methods=both)
    pages.add_url_rule(person, view_func=volunteer)
    pages.add_url_rule(f"{person}/cards/<int:card_id>/lost", view_func=card_lost, methods=both)


@access.needs("terminals.read")
def terminals() -> str:
    """Show every terminal: last contact, unsent events, missing records, security module."""
    runtime = current_runtime()
    rows = read_terminals(runtime.database, runtime.clock.utc_ms(), within("terminals.read"))
    return render_template("terminals.html", terminals=rows)


@access.needs("terminals.read")
def terminal(terminal_id: int) -> str:
    """Show what one terminal said of itself: parts, figures, and how they were lately."""
    runtime = current_runtime()
    reach = access.signed_in().reach("terminals.read")
    page = read_terminal(runtime.database, terminal_id, runtime.clock.utc_ms(), reach)
    return render_template("terminal.html", page=page, row=page.row)


@access.needs("volunteers.read")
def volunteers() -> str | Response | tuple[str, int]:
    """Look a volunteer up by the whole number; sent as a form, so that no log keeps it."""
    if request.method == "GET":
        return render_template("volunteers.html", number="", faults={})
    number = digits(request.form.get("number", "")).upper()[:20]
    if not is_number(number):
        faults = {"number": NUMBER_FAULT}
        return render_template("volunteers.html", number=number, faults=faults), 422
    runtime = current_runtime()
    try:
        found = look_up(runtime.database, number, access.signed_in().actor, runtime.clock.utc_ms())
        if not reaches("volunteers.read", found):
            raise NotFound  # who stands elsewhere is not known to be there
    except NotFound:
        page = render_template("volunteers.html", number=number, faults={}, not_found=True)
        return page, 404
    return redirect(url_for("portal.volunteer", volunteer_id=found))


@access.needs("volunteers.read")
def volunteer(volunteer_id: int) -> str:
    """Show a volunteer's cards and totals, masked."""
    must_reach("volunteers.read", volunteer_id)
    runtime = current_runtime()
    person = read_person(
        runtime.database, volunteer_id, access.signed_in().actor, runtime.clock.utc_ms()
    )
    return render_template("volunteer.html", person=person)


@access.needs("cards.block")
def card_lost(volunteer_id: int, card_id: int) -> str | Response | tuple[str, int]:
    """Report a card lost, with a reason."""
    must_reach("cards.block", volunteer_id)
    runtime = current_runtime()
    actor, now_ms = access.signed_in().actor, runtime.clock.utc_ms()
    person = read_person(runtime.database, volunteer_id, actor, now_ms)
    card = person.card(card_id)
    reason = request.form.get("reason", "").strip()
    if request.method == "GET":
        return render_template(
            "card_lost.html", person=person, card=card, form={"reason": ""}, faults={}
        )
    faults = lost_reason_faults(reason)
    if not faults:
        try:
            report = LostReport(actor, reason)
            report_lost(runtime.database, volunteer_id, card_id, report, now_ms)
        except Refused as error:
            faults = {"reason": Name(error.zh, error.en).within(language())}
    if faults:
        page = render_template(
            "card_lost.html", person=person, card=card, form={"reason": reason}, faults=faults
        )
        return page, 422
    flash(gettext("The card is blocked. Terminals learn it at their next contact."), "good")
    return redirect(url_for("portal.volunteer", volunteer_id=volunteer_id))


def reaches(right: str, volunteer_id: int) -> bool:
    """Tell whether who is signed in has a right over a volunteer."""
    with current_runtime().database.reading() as session:
        place = place_of_volunteer(session, volunteer_id)
    return access.signed_in().may(right, place)


def must_reach(right: str, volunteer_id: int) -> None:
    """Answer 403 unless who is signed in has a right over a volunteer."""
    if not reaches(right, volunteer_id):
        abort(403)
