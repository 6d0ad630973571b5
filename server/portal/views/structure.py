# SPDX-License-Identifier: Apache-2.0
"""Pages of organisations, and of who holds which role over what."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from server.errors import Refused
from server.portal.language import N_, gettext, language
from server.portal.names import Name
from server.portal.services.structure import (
    GrantForm,
    OrganisationForm,
    read_grants,
    read_organisations,
    roles,
)
from server.portal.views import access
from server.portal.views.hosts import within
from server.runtime import current_runtime
from server.structure import granting, organisations
from server.structure.rights import SCOPE_KINDS

READ, WRITE, GRANT = "structure.read", "structure.write", "users.grant"
KINDS = {
    "all": N_("everything"),
    "region": N_("a region"),
    "organisation": N_("an organisation"),
    "site": N_("a site"),
    "partner": N_("a partner"),
}

ROLE_NAMES = {
    "leader": N_("site leader"),
    "staff": N_("staff"),
    "org_manager": N_("manager of an organisation"),
    "region_manager": N_("manager of a region"),
    "call_centre": N_("call centre"),
    "partner": N_("partner"),
    "auditor": N_("auditor"),
    "admin": N_("administrator"),
}


def register(pages: Blueprint) -> None:
    """Hang these pages on the blueprint."""
    both = ["GET", "POST"]
    pages.add_url_rule("/organisations", view_func=organisation_list, methods=both)
    pages.add_url_rule("/roles", view_func=role_list, methods=both)


@access.needs(READ)
def organisation_list() -> str | Response | tuple[str, int]:
    """List the organisations in reach; add one, or close one."""
    form, fault = OrganisationForm(), ""
    if request.method == "POST":
        form = OrganisationForm.parse(request.form)
        try:
            _change(form, request.form.get("close", ""))
        except Refused as error:
            fault = Name(error.zh, error.en).within(language())
        else:
            flash(gettext("Done and recorded."), "good")
            return redirect(url_for("portal.organisation_list"))
    who = access.signed_in()
    rows = read_organisations(current_runtime().database, within(READ))
    closable = {row.id for row in rows if not row.closed and who.may(WRITE, row.place)}
    html = render_template(
        "organisations.html", rows=rows, closable=closable, form=form, fault=fault
    )
    return (html, 422) if fault else html


def _change(form: OrganisationForm, closed: str) -> None:
    runtime, who = current_runtime(), access.signed_in()
    now_ms = runtime.clock.utc_ms()
    if not who.can(WRITE):
        abort(403)
    with runtime.database.writing() as session:
        if closed:
            found = organisations.by_code(session, closed)
            access.must(WRITE, organisations.place_of(session, found.id))
            organisations.close(session, closed, who.actor, now_ms)
            return
        for place in form.places(session):
            access.must(WRITE, place)
        organisations.add(session, form.new(), who.actor, now_ms)


@access.needs(GRANT)
def role_list() -> str | Response | tuple[str, int]:
    """List who holds which role over what; give one, or take one back."""
    runtime, who = current_runtime(), access.signed_in()
    form, fault = GrantForm(), ""
    if request.method == "POST":
        form = GrantForm.parse(request.form)
        by = (who.actor, runtime.clock.utc_ms())
        change: Any = granting.revoke if request.form.get("take") == "1" else granting.grant
        try:
            with runtime.database.writing() as session:
                change(session, form.user, form.role, form.scope, by)
        except Refused as error:
            fault = Name(error.zh, error.en).within(language())
        else:
            flash(gettext("Done and recorded. It counts at once."), "good")
            return redirect(url_for("portal.role_list"))
    held, names = read_grants(runtime.database)
    kinds = [(kind, KINDS[kind]) for kind in reversed(SCOPE_KINDS)]
    html = render_template(
        "roles.html",
        held=held,
        names=names,
        roles=roles(),
        titles=ROLE_NAMES,
        kinds=kinds,
        kind_names=KINDS,
        form=form,
        fault=fault,
    )
    return (html, 422) if fault else html
