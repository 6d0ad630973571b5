# SPDX-License-Identifier: Apache-2.0
"""Pages about cards: worklists, search, one order, many at once, a person's whole history."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from server.errors import Refused
from server.issuing.bulk import Wanted
from server.issuing.policy import REISSUE_REQUESTED
from server.portal.language import N_, gettext, language
from server.portal.names import Name
from server.portal.services import cards
from server.portal.services.cards import Asker, Saying
from server.portal.services.person_history import read_history
from server.portal.views import access
from server.portal.views.paging import page_number
from server.runtime import current_runtime

REASON_MAX = 100
QUERY_MAX = 64
LISTS = {
    "order": N_("To order"),
    "overdue": N_("Overdue at the bank"),
    "announce": N_("To announce"),
    "collect": N_("To collect"),
    "call": N_("To telephone"),
    "expiring": N_("Expiring"),
    "rejected": N_("Rejected"),
}
BULK_ACTIONS = {
    "order": ("cancelled",),
    "rejected": ("corrected", "cancelled"),
    "expiring": ("suspended",),
    "announce": ("announced",),
}
BULK_TITLES = {
    "corrected": N_("Corrected: order again"),
    "cancelled": N_("Call off"),
    "suspended": N_("Suspend"),
    "resumed": N_("Resume"),
    "announced": N_("Holder was told"),
}
BULK_STATES = {"waiting": N_("waiting"), "done": N_("done"), "undone": N_("called off")}


def register(pages: Blueprint) -> None:
    """Hang these pages on the blueprint."""
    both = ["GET", "POST"]
    pages.add_url_rule("/cards", view_func=card_lists)
    pages.add_url_rule("/cards/find", view_func=card_search, methods=both)
    pages.add_url_rule("/cards/bulk", view_func=card_bulk, methods=both)
    pages.add_url_rule("/cards/orders/<order_no>", view_func=card_order, methods=both)
    pages.add_url_rule("/volunteers/<int:volunteer_id>/history", view_func=person_history)


def asker(right: str) -> Asker:
    """Return who is signed in, as the services want it."""
    who = access.signed_in()
    return Asker(
        who.actor, lambda place: who.may(right, place), everywhere=who.reach(right).everywhere
    )


@access.needs("cards.read")
def card_lists() -> str:
    """Show one worklist by due date, and how long each is."""
    runtime = current_runtime()
    name = request.args.get("list", "order")
    page = cards.read_worklist(
        runtime.database, asker("cards.read"), name, page_number(), runtime.clock.utc_ms()
    )
    actions = BULK_ACTIONS.get(name, ()) if access.signed_in().can("cards.bulk") else ()
    return render_template(
        "cards.html", page=page, lists=LISTS, actions=[(a, BULK_TITLES[a]) for a in actions]
    )


@access.needs("cards.read")
def card_search() -> str:
    """Find people by number, order, name, pinyin, document; as a form, so that no log has it."""
    query = request.form.get("query", "").strip()[:QUERY_MAX]
    if request.method == "GET":
        return render_template("cards_find.html", query="", found=None)
    runtime = current_runtime()
    found = cards.find_people(
        runtime.database, runtime.store, asker("cards.read"), query, runtime.clock.utc_ms()
    )
    return render_template("cards_find.html", query=query, found=found)


@access.needs("cards.read")
def card_order(order_no: str) -> str | Response | tuple[str, int]:
    """Show one order; take what staff say of it, with a reason."""
    runtime = current_runtime()
    who = asker("cards.read")
    now_ms = runtime.clock.utc_ms()
    fault = ""
    if request.method == "POST":
        event = request.form.get("event", "")
        right = "cards.replace" if event == REISSUE_REQUESTED else cards.SAYINGS.get(event, "")
        reason = request.form.get("reason", "").strip()[:REASON_MAX]
        if not right or not access.signed_in().can(right):
            abort(403)
        if not reason:
            fault = gettext("Say why; it stands on the record.")
        else:
            saying = Saying(event, reason, id_checked=request.form.get("id_checked") == "1")
            done = cards.say(runtime.database, order_no, saying, asker(right), now_ms)
            if done.ok:
                flash(gettext("Done. It stands on the record."), "good")
                return redirect(url_for("portal.card_order", order_no=order_no))
            fault = Name(done.zh, done.en).within(language())
    page = cards.read_order(runtime.database, order_no, who, now_ms)
    can = {right for right in ("cards.block", "cards.order", "cards.replace")
           if access.signed_in().can(right)}  # fmt: skip
    sayings = [(e, name) for e, name in page.sayings if cards.SAYINGS[e] in can]
    shown = render_template(
        "cards_order.html", page=page, sayings=sayings, fault=fault,
        may_replace="cards.replace" in can, reason=request.form.get("reason", ""),
    )  # fmt: skip
    return (shown, 422) if fault else shown


@access.needs("cards.bulk")
def card_bulk() -> str | Response | tuple[str, int]:
    """Preview an action on many orders, begin it, call it off within its window."""
    runtime = current_runtime()
    who, now_ms = asker("cards.bulk"), runtime.clock.utc_ms()
    fault = ""
    previewed: list[cards.PreviewRow] = []
    action, reason = request.form.get("action", ""), request.form.get("reason", "").strip()
    numbers = request.form.getlist("order")
    try:
        if request.method == "POST" and "undo" in request.form:
            bulk_id = request.form.get("undo", type=int) or 0
            cards.undo_bulk(runtime.database, bulk_id, who, now_ms)
            flash(gettext("Called off; nothing was changed."), "good")
            return redirect(url_for("portal.card_bulk"))
        if request.method == "POST":
            previewed = cards.preview(runtime.database, action, numbers, who)
            if "begin" in request.form:
                wanted = Wanted(action, numbers, reason)
                cards.begin_bulk(runtime.database, wanted, who, now_ms)
                flash(gettext("Noted. It takes effect in five minutes."), "good")
                return redirect(url_for("portal.card_bulk"))
    except Refused as error:
        fault = Name(error.zh, error.en).within(language())
    page = render_template(
        "cards_bulk.html", previewed=previewed, action=action, numbers=numbers, reason=reason,
        title=BULK_TITLES.get(action, ""), fault=fault, states=BULK_STATES,
        lately=cards.read_bulks(runtime.database),
    )  # fmt: skip
    return (page, 422) if fault else page


@access.needs("cards.read")
def person_history(volunteer_id: int) -> str:
    """Show a person's whole history on one page."""
    runtime = current_runtime()
    with_trail = access.signed_in().can("audit.read")
    page = read_history(
        runtime.database, volunteer_id, asker("cards.read"), with_trail, runtime.clock.utc_ms()
    )
    return render_template("cards_history.html", page=page, with_trail=with_trail)
