# SPDX-License-Identifier: Apache-2.0
"""Applications for those who decide on them: the list, one of them, the import of volunteers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, abort, flash, make_response, redirect, render_template, request
from flask import url_for as address
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from server.applications import importing, listing, services, undoing
from server.applications.import_policy import FIELDS
from server.applications.importing import Plan, Wanted
from server.applications.listing import Sought
from server.applications.policy import OPEN_STATES, State
from server.applications.settings import By
from server.applications.tables import BYTES_MAX
from server.errors import Refused
from server.people.personal import Reader
from server.portal.display import local
from server.portal.language import gettext, language
from server.portal.names import Name
from server.portal.services.decisions import said_now
from server.portal.services.places import DEFAULT_ZONE_QUARTERS
from server.portal.views import access
from server.portal.views.apply import KINDS, _drafts
from server.portal.views.paging import row_number
from server.runtime import current_runtime
from server.structure.organisations import listing as organisations_in
from server.structure.organisations import place_of

ROWS = 50
PHOTO_REASON = "审批照片 look at the photo of an application"


def register(pages: Blueprint) -> None:
    """Hang these pages on the blueprint."""
    both = ["GET", "POST"]
    one = "/applications/<int:applicant_id>"
    pages.add_url_rule("/applications", view_func=applications)
    pages.add_url_rule(one, view_func=application, methods=both)
    pages.add_url_rule(f"{one}/photo.jpg", view_func=application_photo)
    pages.add_url_rule("/applications/import", view_func=volunteer_import, methods=both)


@access.needs("applications.read")
def applications() -> str:
    """List applications by state, or look for one by number or end of document."""
    runtime = current_runtime()
    text = request.args.get("find", "").strip()[:20]
    state = request.args.get("state", "")
    states = (State(state),) if state in set(State) else (tuple(State) if text else OPEN_STATES)
    before = request.args.get("before", "")
    with runtime.database.reading() as work:
        within = _organisations(work)
        rows = listing.list_applications(
            work, Sought(states, within, text), row_number(before) or None, ROWS
        )
        figures = listing.counts(work, within)
    return render_template(
        "applications.html", rows=rows, figures=figures, state=state, text=text, wall=_wall,
        more=rows[-1].id if len(rows) == ROWS else None, states=State,
    )  # fmt: skip


@access.needs("applications.read")
def application(applicant_id: int) -> str | Response | tuple[str, int]:
    """Show one application with its conditions; take the decision."""
    runtime, who = current_runtime(), access.signed_in()
    now_ms = runtime.clock.utc_ms()
    fault = ""
    with runtime.database.reading() as work:
        place = _must_reach(work, applicant_id, "applications.read")
    if request.method == "POST":
        access.must("applications.decide", place)
        reason = request.form.get("reason", "").strip()[:200]
        try:
            with runtime.database.writing() as work:
                if request.form.get("decision") == "approve":
                    number = services.approve(
                        work, runtime.store, applicant_id, who.actor, now_ms, reason
                    )
                    told = gettext("Approved. The official number is %(number)s.", number=number)
                    flash(told, "good")
                else:
                    services.reject(work, applicant_id, who.actor, now_ms, reason)
                    flash(gettext("Rejected; the applicant is told the reason."), "good")
        except Refused as error:
            fault = Name(error.zh, error.en).within(language())
        else:
            return redirect(address("portal.application", applicant_id=applicant_id))
    with runtime.database.reading() as work:
        full = listing.full(work, applicant_id, now_ms)
    html = render_template(
        "application.html", full=full, item=full.item, fault=fault, wall=_wall, kinds=KINDS,
        may_decide=who.may("applications.decide", place), is_open=full.item.state in OPEN_STATES,
        text=lambda one: Name(one.zh, one.en).within(language()),
    )  # fmt: skip
    return (html, 422) if fault else html


@access.needs("applications.read")
def application_photo(applicant_id: int) -> Response:
    """Give the photo of an application; who looked stands in the audit trail."""
    runtime, who = current_runtime(), access.signed_in()
    with runtime.database.writing() as work:
        _must_reach(work, applicant_id, "applications.read")
        reader = Reader(who.actor, PHOTO_REASON, runtime.clock.utc_ms())
        try:
            picture = services.photo(work, runtime.store, applicant_id, reader)
        except Refused:
            abort(404)
    return make_response(picture, {"Content-Type": "image/jpeg"})


@access.needs("applications.import")
def volunteer_import() -> str | Response | tuple[str, int]:
    """Take a sheet of existing volunteers: preview first, then the same file is carried out."""
    if request.method == "GET":
        return _import_page()
    access.must("applications.import", place_of_all())
    try:
        if "undo" in request.form:
            return _undo()
        if "code" in request.form:
            return _carry_out()
        return _preview()
    except Refused as error:
        return _import_page(fault=Name(error.zh, error.en).within(language())), 422


def _preview() -> str | tuple[str, int]:
    """Plan an upload and keep it, sealed, until it is confirmed."""
    runtime = current_runtime()
    upload = request.files.get("file")
    content = upload.read(BYTES_MAX + 1) if upload else b""
    named = (upload.filename or "") if upload else ""
    fields = {name: request.form.get(name, "").strip()[:100] for name in ("lines", "minutes")}
    columns = {
        name: request.form.get(f"column_{name}", "").strip()[:100]
        for name in FIELDS
        if request.form.get(f"column_{name}", "").strip()
    }
    fields |= {f"column_{name}": title for name, title in columns.items()}
    fields["source"] = (request.form.get("source", "").strip() or named)[:200]
    with runtime.database.writing() as work:
        plan = importing.plan(work, runtime.store, _wanted(content, fields), runtime.clock.utc_ms())
    code = ""
    if not plan.faults:
        code = _drafts().begin(access.signed_in().actor)
        draft = _drafts().load(code)
        assert draft is not None
        _drafts().save(code, replace(draft, fields=fields, photo=content))
    return _import_page(plan=plan, code=code), 422 if plan.faults else 200


def _carry_out() -> str | Response | tuple[str, int]:
    """Import exactly the file that was previewed."""
    runtime, who = current_runtime(), access.signed_in()
    code = request.form["code"]
    draft = _drafts().load(code)
    if draft is None or not draft.photo:
        raise Refused("preview-gone", "预览已过期，请重新上传", "the preview is gone: upload again")
    reason = request.form.get("reason", "").strip()[:200]
    with runtime.database.writing() as work:
        now_ms = runtime.clock.utc_ms()
        plan = importing.plan(work, runtime.store, _wanted(draft.photo, draft.fields), now_ms)
        said = said_now(runtime, who.actor, reason)
        made = importing.carry_out(work, runtime.store, plan, draft.fields["source"], said)
        lines = made.lines
    _drafts().forget(code)
    flash(gettext("Imported: %(lines)d volunteers.", lines=lines), "good")
    return redirect(address("portal.volunteer_import"))


def _undo() -> Response:
    runtime, who = current_runtime(), access.signed_in()
    number = request.form.get("undo", "")
    by = By(who.actor, runtime.clock.utc_ms(), request.form.get("reason", "").strip()[:200])
    with runtime.database.writing() as work:
        undoing.undo(work, row_number(number), by)
    flash(gettext("The import is undone."), "good")
    return redirect(address("portal.volunteer_import"))


def _import_page(plan: Plan | None = None, code: str = "", fault: str = "") -> str:
    with current_runtime().database.reading() as work:
        imports = importing.recent(work)
        return render_template(
            "volunteer_import.html", plan=plan, code=code, fault=fault, imports=imports,
            fields=FIELDS, wall=_wall, text=lambda one: Name(one.zh, one.en).within(language()),
        )  # fmt: skip


def _wanted(content: bytes, fields: dict[str, str]) -> Wanted:
    columns = {
        name.removeprefix("column_"): title
        for name, title in fields.items()
        if name.startswith("column_")
    }
    lines, minutes = fields.get("lines", ""), fields.get("minutes", "")
    totals = None
    if lines.isdecimal() and minutes.isdecimal():
        totals = (row_number(lines), row_number(minutes))
    return Wanted(content, columns, totals)


def place_of_all() -> Any:
    """Return the place of something that belongs to everybody: only who has all reaches it."""
    with current_runtime().database.reading() as work:
        return place_of(work, None)


def _organisations(work: Session) -> list[int] | None:
    """Return the organisations in reach, None for all applications."""
    within = access.signed_in().reach("applications.read")
    if within.everywhere:
        return None
    return [row.id for row in organisations_in(work, within)]


def _must_reach(work: Session, applicant_id: int, right: str) -> Any:
    try:
        item = listing.find(work, applicant_id)
    except Refused:
        abort(404)
    place = place_of(work, item.organisation_id)
    access.must(right, place)
    return place


def _wall(at_ms: int) -> Any:
    return local(at_ms, DEFAULT_ZONE_QUARTERS)


volunteer_import.__dict__["form_bytes"] = BYTES_MAX + 64 * 1024
