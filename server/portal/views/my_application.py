# SPDX-License-Identifier: Apache-2.0
"""The applicant's own page: how far it is, what to accept again, what may still be chosen."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request
from flask import url_for as address
from werkzeug.wrappers import Response

from server.applications import services
from server.applications.branches import day_of
from server.applications.policy import ENDED_STATES, OPEN_STATES, Agreement, Carrier
from server.applications.services import By, Choice
from server.errors import Refused
from server.portal.language import N_, gettext, language
from server.portal.names import Name
from server.portal.policy import Role
from server.portal.views import access
from server.runtime import current_runtime

CARRIERS = {Carrier.DEBIT: N_("debit card"), Carrier.CREDIT: N_("credit card")}


def register(pages: Blueprint) -> None:
    """Hang this page on the blueprint."""
    pages.add_url_rule("/me/application", view_func=my_application, methods=["GET", "POST"])


@access.allow(Role.VOLUNTEER)
def my_application() -> str | Response | tuple[str, int]:
    """Show somebody's own application; take what they accept, choose or take back."""
    fault = ""
    if request.method == "POST":
        try:
            _act()
        except Refused as error:
            fault = Name(error.zh, error.en).within(language())
        else:
            return redirect(address("portal.my_application"))
    html = _page(fault)
    return (html, 422) if fault else html


def _act() -> None:
    runtime, who = current_runtime(), access.signed_in()
    now_ms = runtime.clock.utc_ms()
    form = request.form
    with runtime.database.writing() as work:
        by = By(who.actor, now_ms, form.get("reason", "").strip()[:200])
        if form.get("act") == "accept":
            versions = {
                kind: int(form[kind]) for kind in Agreement if form.get(kind, "").isdecimal()
            }
            services.accept(work, who.id, versions, "online", by)
            flash(gettext("Accepted and recorded."), "good")
        elif form.get("act") == "choose":
            carrier = Carrier.CREDIT if form.get("carrier") == Carrier.CREDIT else Carrier.DEBIT
            choice = Choice(carrier, form.get("branch_code", "").strip()[:16])
            services.choose(work, runtime.store, who.id, choice, by)
            flash(gettext("Your choice is kept."), "good")
        elif form.get("act") == "withdraw":
            found = services.newest(work, who.id)
            services.withdraw(work, found.id if found else 0, by)
            flash(gettext("Your application is taken back."), "good")


def _page(fault: str) -> str:
    runtime, who = current_runtime(), access.signed_in()
    now_ms = runtime.clock.utc_ms()
    with runtime.database.reading() as work:
        row = services.newest(work, who.id)
        missing = services.missing_agreements(work, who.id) if row else ()
        return render_template(
            "my_application.html",
            fault=fault,
            row=row,
            number=who.name,
            conditions=services.conditions(work, who.id, now_ms) if row else (),
            texts=[text for text in services.current_texts(work) if text.kind in missing],
            branches=services.open_branches(work, day_of(now_ms)),
            carriers=CARRIERS,
            is_open=bool(row and row.state in OPEN_STATES),
            may_choose=bool(row and row.frozen_ms is None and row.state not in ENDED_STATES),
            text=lambda one: Name(one.zh, one.en).within(language()),
            title=lambda one: Name(one.title_zh, one.title_en).within(language()),
            words=lambda one: Name(one.text_zh, one.text_en).within(language()),
        )
