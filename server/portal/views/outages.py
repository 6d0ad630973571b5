# SPDX-License-Identifier: Apache-2.0
"""Page on which two people settle what an outage left behind at a site."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from server.errors import Refused
from server.portal.display import instant
from server.portal.forms import REASON_LENGTH_MAX, wall_time
from server.portal.language import N_, gettext, language
from server.portal.names import Name
from server.portal.services import outages
from server.portal.services.decisions import said_now
from server.portal.services.outages import OutagePage, read_outages
from server.portal.views import access
from server.portal.views.site import must_reach
from server.reconciliation.outages import Outage, check_span
from server.runtime import current_runtime

ACTS = {
    "approve": N_("Approved. It takes effect in five minutes."),
    "refuse": N_("Refused; nothing was changed."),
    "undo": N_("Called off; nothing was changed."),
}
STATES = {
    "proposed": N_("waits for a second person"),
    "approved": N_("takes effect soon"),
    "refused": N_("refused"),
    "undone": N_("called off"),
    "done": N_("settled"),
}
FIELDS = ("rule", "from", "until")


def register(pages: Blueprint) -> None:
    """Hang the page on the blueprint."""
    address = "/sites/<int:site_id>/outages"
    pages.add_url_rule(address, view_func=site_outages, methods=["GET", "POST"])


@access.needs("hours.decide")
def site_outages(site_id: int) -> str | Response | tuple[str, int]:
    """Preview what an outage left, propose its settlement, decide on somebody else's."""
    must_reach("hours.decide", site_id)
    who, database = access.signed_in().actor, current_runtime().database
    page = read_outages(database, site_id, who)
    typed = request.form if request.method == "POST" else request.args
    fault = ""
    try:
        if request.method == "POST" and "act" in typed:
            return _decide(site_id, typed)
        outage = _outage(site_id, typed, page.zone)
        if outage is not None:
            check_span(outage)
            page = read_outages(database, site_id, who, outage)
            if request.method == "POST":
                return _propose(outage, typed)
    except Refused as error:
        fault = Name(error.zh, error.en).within(language())
    html = _page(site_id, page, typed, fault)
    return (html, 422) if fault else html


def _propose(outage: Outage, typed: Mapping[str, str]) -> Response:
    runtime = current_runtime()
    said = said_now(runtime, access.signed_in().actor, _reason(typed))
    outages.propose(runtime.database, outage, said)
    flash(gettext("Proposed. A second person decides."), "good")
    return redirect(url_for("portal.site_outages", site_id=outage.site))


def _decide(site_id: int, typed: Mapping[str, str]) -> Response:
    runtime, act, number = current_runtime(), typed["act"], typed.get("number", "")
    if act not in ACTS or not number.isdecimal():
        abort(400)
    said = said_now(runtime, access.signed_in().actor, "")
    outages.decide(runtime.database, site_id, int(number), act, said)
    flash(gettext(ACTS[act]), "good")
    return redirect(url_for("portal.site_outages", site_id=site_id))


def _outage(site_id: int, typed: Mapping[str, str], zone: int) -> Outage | None:
    """Return the outage as typed, None when nothing was; times are wall times of the site."""
    if not any(typed.get(name) for name in FIELDS):
        return None
    start, end = (wall_time(typed.get(name, "")) for name in ("from", "until"))
    rule = typed.get("rule", "")
    if start is None or end is None or not rule.isdecimal() or len(rule) > len("99"):
        raise Refused("span", "请填写规则和起止时间", "choose a rule, give both times")
    return Outage(site_id, int(rule), instant(start, zone), instant(end, zone))


def _reason(typed: Mapping[str, str]) -> str:
    return typed.get("reason", "").strip()[: REASON_LENGTH_MAX + 1]


def _page(site_id: int, page: OutagePage, typed: Mapping[str, str], fault: str) -> str:
    return render_template(
        "site_outages.html", site_id=site_id, page=page, fault=fault, states=STATES,
        given={name: typed.get(name, "") for name in (*FIELDS, "reason")},
    )  # fmt: skip
