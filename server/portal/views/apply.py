# SPDX-License-Identifier: Apache-2.0
"""The application, step by step: anybody for themselves, staff for somebody at the desk.

Every step is a form of its own that works without scripts; what was filled in is kept as a draft,
so that a closed browser or a lost connection loses nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, flash, make_response, redirect, render_template, request, session
from flask import url_for as address
from werkzeug.wrappers import Response

from server.applications import rate, services
from server.applications.branches import day_of
from server.applications.checking import Form, check
from server.applications.documents import DocumentKind
from server.applications.errors import Duplicate, Faulty
from server.applications.photos import BYTES_MAX, read_photo
from server.applications.policy import VISITOR_TRIES_MAX, Agreement, Carrier, Channel, Fault
from server.applications.services import Submission, Via
from server.portal.language import N_, gettext, language
from server.portal.names import Name
from server.portal.policy import Role
from server.portal.services.apply import Drafts
from server.portal.views import access
from server.runtime import current_runtime

DRAFT_KEY = "draft"
STEPS = {
    "person": N_("You"),
    "contact": N_("Contact"),
    "photo": N_("Photo"),
    "card": N_("Card"),
    "review": N_("Review and submit"),
}
FIELDS = {
    "person": ("name", "document_kind", "document_number", "birth"),
    "contact": (
        "mobile", "address", "emergency_name", "emergency_mobile", "guardian_number",
    ),
    "photo": (),
    "card": ("carrier", "branch_code"),
}  # fmt: skip
KINDS = {
    DocumentKind.MAINLAND_ID: N_("Resident identity card"),
    DocumentKind.HMT_RESIDENCE: N_("Residence permit for Hong Kong, Macao and Taiwan residents"),
    DocumentKind.HK_MACAO_PERMIT: N_("Mainland travel permit, Hong Kong and Macao"),
    DocumentKind.TAIWAN_PERMIT: N_("Mainland travel permit, Taiwan"),
    DocumentKind.PERMANENT_RESIDENCE: N_("Foreign permanent resident card"),
    DocumentKind.PASSPORT: N_("Passport"),
}
FIELD_LENGTH_MAX = 300


def register(pages: Blueprint) -> None:
    """Hang these pages on the blueprint."""
    both = ["GET", "POST"]
    pages.add_url_rule("/apply", view_func=apply, methods=both)
    pages.add_url_rule("/apply/<step>", view_func=apply_step, methods=both)
    pages.add_url_rule("/apply/photo.jpg", view_func=apply_photo)


@access.public
def apply() -> str | Response | tuple[str, int]:
    """Say what is needed; begin an application, or go on with one by its code."""
    if request.method == "GET":
        return render_template("apply.html", steps=STEPS, going=session.get(DRAFT_KEY))
    _admit()
    drafts = _drafts()
    typed = request.form.get("code", "").strip()
    if typed and drafts.load(typed) is None:
        page = render_template("apply.html", steps=STEPS, going=None, unknown=True)
        return page, 404
    session[DRAFT_KEY] = typed or drafts.begin(_via().actor)
    return redirect(address("portal.apply_step", step="person"))


@access.public
def apply_step(step: str) -> str | Response | tuple[str, int]:
    """Show one step; take what was typed there and go on."""
    draft = _drafts().load(session.get(DRAFT_KEY, ""))
    if draft is None or step not in STEPS:
        session.pop(DRAFT_KEY, None)
        return redirect(address("portal.apply"))
    if request.method == "GET":
        return _page(step, draft)
    if step == "review":
        _admit()
        return _submit(draft)
    return _keep(step, draft)


@access.public
def apply_photo() -> Response:
    """Give the photo of the draft as it would be kept."""
    draft = _drafts().load(session.get(DRAFT_KEY, ""))
    try:
        picture = read_photo(draft.photo if draft else b"").jpeg
    except Faulty:
        return make_response("", 404)
    return make_response(picture, {"Content-Type": "image/jpeg"})


def _keep(step: str, draft: Any) -> str | Response | tuple[str, int]:
    """Keep what was typed on a step; go on when nothing of the step is wrong."""
    typed = {name: request.form.get(name, "").strip() for name in FIELDS[step]}
    fields = draft.fields | {name: text[:FIELD_LENGTH_MAX] for name, text in typed.items()}
    photo = draft.photo
    upload = request.files.get("photo")
    if step == "photo" and upload and upload.filename:
        photo = upload.read(BYTES_MAX + 1)
    kept = replace(draft, fields=fields, photo=photo[: BYTES_MAX + 1])
    faults = _faults_of(step, kept)
    if step == "photo" and faults:
        kept = replace(kept, photo=draft.photo if not upload else b"")
    _drafts().save(session[DRAFT_KEY], kept)
    if faults:
        return _page(step, kept, faults), 422
    order = list(STEPS)
    if "later" in request.form:
        flash(gettext("Kept. Write down the code to go on later."), "good")
        return redirect(address("portal.apply"))
    return redirect(address("portal.apply_step", step=order[order.index(step) + 1]))


def _submit(draft: Any) -> str | Response | tuple[str, int]:
    runtime = current_runtime()
    form = _form(draft.fields)
    accepted = {
        kind: int(request.form[kind])
        for kind in Agreement
        if request.form.get(kind, "").isdecimal()
    }
    try:
        with runtime.database.writing() as work:
            organisation = draft.fields.get("organisation", "")
            given = Submission(
                form, draft.photo, accepted, int(organisation) if organisation else None
            )
            made = services.submit(work, runtime.store, given, _via(), runtime.clock.utc_ms())
    except Faulty as wrong:
        faults: dict[str, list[Fault]] = {}
        for fault in wrong.faults:
            faults.setdefault(fault.field, []).append(fault)
        return _page("review", draft, faults), 422
    except Duplicate as known:
        return render_template("apply_known.html", known=known), 409
    _drafts().forget(session.pop(DRAFT_KEY))
    # Who else has the same name and birthday is for staff to know, not for visitors.
    by_staff = _via().channel is not Channel.ONLINE
    warnings = [one for one in made.warnings if by_staff or one.code != "namesake"]
    return render_template("apply_done.html", made=made, warnings=warnings)


def _page(step: str, draft: Any, faults: dict[str, list[Fault]] | None = None) -> str:
    runtime = current_runtime()
    now_ms = runtime.clock.utc_ms()
    with runtime.database.reading() as work:
        rules = services.current_rules(work)
        branches = services.open_branches(work, day_of(now_ms))
        texts = [(row.kind, row.version, _both(row)) for row in services.current_texts(work)]
    warnings = check(_form(draft.fields), rules, day_of(now_ms)).warnings
    return render_template(
        "apply_step.html",
        step=step,
        steps=STEPS,
        number=list(STEPS).index(step) + 1,
        fields=draft.fields,
        has_photo=bool(draft.photo),
        faults=faults or {},
        warnings=[one for one in warnings if one.field in FIELDS.get(step, ())],
        missing=_steps_with_faults(draft) if step == "review" else (),
        kinds=KINDS,
        carriers={Carrier.DEBIT: N_("debit card"), Carrier.CREDIT: N_("credit card")},
        branches=branches,
        texts=texts,
        rules=rules,
        code=session[DRAFT_KEY],
        say=_say,
    )


def _steps_with_faults(draft: Any) -> list[str]:
    """Return the steps that are not right yet."""
    return [step for step in FIELDS if _faults_of(step, draft)]


def _faults_of(step: str, draft: Any) -> dict[str, list[Fault]]:
    """Return what is wrong on one step."""
    runtime = current_runtime()
    now_ms = runtime.clock.utc_ms()
    if step == "photo":
        try:
            read_photo(draft.photo)
        except Faulty as wrong:
            return {"photo": list(wrong.faults)}
        return {}
    with runtime.database.reading() as work:
        rules = services.current_rules(work)
        branches = {one.code for one in services.open_branches(work, day_of(now_ms))}
    found: dict[str, list[Fault]] = {}
    for fault in check(_form(draft.fields), rules, day_of(now_ms)).faults:
        if fault.field in FIELDS[step]:
            found.setdefault(fault.field, []).append(fault)
    chosen = draft.fields.get("branch_code", "")
    if step == "card" and branches and chosen not in branches:
        found["branch_code"] = [
            Fault("branch_code", "branch", "请选择开放的领证网点", "choose a branch that is open")
        ]
    return found


def _form(fields: dict[str, str]) -> Form:
    known = {name for names in FIELDS.values() for name in names}
    return Form(**{name: text for name, text in fields.items() if name in known and text})


def _admit() -> None:
    """Let an address begin, go on or hand in so often in a quarter of an hour; staff always.

    Raises:
        Problem: 429; the page says how long to wait.
    """
    if _via().channel is not Channel.ONLINE:
        return
    runtime = current_runtime()
    key = rate.address_key(runtime.web_secret, "visitor", request.remote_addr or "")
    rate.admit(runtime.database, key, VISITOR_TRIES_MAX, runtime.clock.utc_ms())


def _via() -> Via:
    """Return the way this application comes in: by staff who are signed in, or online."""
    who = access.principal()
    if who is None or who.role is Role.VOLUNTEER or not who.can("applications.capture"):
        return Via(Channel.ONLINE, "applicant")
    return Via(Channel.CALL if who.role is Role.CALL_CENTRE else Channel.STAFF, who.actor)


def _drafts() -> Drafts:
    runtime = current_runtime()
    return Drafts(runtime.database, runtime.store, runtime.clock.utc_ms())


def _both(row: Any) -> tuple[Name, Name]:
    return Name(row.title_zh, row.title_en), Name(row.text_zh, row.text_en)


def _say(fault: Any) -> str:
    """Return what is wrong in the reader's language."""
    return Name(fault.zh, fault.en).within(language())


apply_step.__dict__["form_bytes"] = BYTES_MAX + 64 * 1024
