# SPDX-License-Identifier: Apache-2.0
"""Pages of the desk: connect, issue, read, replace, block, boxes; a script carries the bytes.

These are the only pages with a script; their header names the relay's address and no other.
"""

from __future__ import annotations

import datetime as dt
import functools
import re

from flask import Blueprint, flash, make_response, redirect, render_template, request
from flask import url_for as address_of
from flask_openapi.openapi import OpenAPI
from werkzeug.wrappers import Response

from server.desk.boxes import NewBox
from server.desk.content import Bench, Operator
from server.desk.policy import (
    BLOCK,
    ISSUE,
    READ,
    REASON_LENGTH_MAX,
    REFRESH,
    REPLACE,
    UNBLOCK,
)
from server.desk.services import NewJob
from server.desk.views import OPERATOR
from server.errors import Problem, Refused
from server.portal.forms import NUMBER_FAULT, digits, is_number
from server.portal.language import N_, gettext, language
from server.portal.names import Name
from server.portal.services import desk
from server.portal.services.sessions import Principal
from server.portal.views import access
from server.portal.views.headers import DESK_SECURITY_POLICY
from server.runtime import current_runtime
from server.structure.rights import NOWHERE

RIGHT = "desk.operate"
LIST_BYTES_MAX = 60_000
_NUMBERS = re.compile(r"[0-9]+")
KIND_TITLES = {
    "issue": N_("Issue a card"),
    "replace": N_("Replace a card"),
    "read": N_("Read a card"),
    "refresh": N_("Refresh a card"),
    "block": N_("Block a card"),
    "unblock": N_("Unblock a card"),
    "pin-change": N_("Change a PIN"),
    "pin-unblock": N_("Unblock a PIN"),
}
STATE_TITLES = {
    "planned": N_("card not laid down yet"),
    "running": N_("under way"),
    "stopped": N_("stopped"),
    "done": N_("done"),
    "cancelled": N_("given up"),
    "waiting": N_("waiting"),
    "issued": N_("card made"),
    "left-out": N_("left out"),
}
READ_LABELS = {
    "asn": N_("Card"),
    "masked_name": N_("Person"),
    "valid_from": N_("First day"),
    "valid_to": N_("Last day"),
    "total_minutes": N_("Minutes on the card"),
    "totals_date": N_("Minutes as of"),
    "level": N_("Level"),
    "training": N_("Training records"),
    "taps": N_("Latest taps"),
}
DAY_FAULT = N_("Give a day, for example 2031-10-31.")
COUNT_FAULT = N_("Give a number of cards.")


def register(pages: Blueprint) -> None:
    """Hang these pages on the blueprint."""
    both = ["GET", "POST"]
    pages.add_url_rule("/desk", view_func=desk_home, methods=both)
    pages.add_url_rule("/desk/jobs/<reference>", view_func=desk_job, methods=both)
    pages.add_url_rule("/desk/jobs/<reference>/slip", view_func=desk_slip)
    pages.add_url_rule("/desk/cards/<int:card_id>", view_func=desk_card, methods=both)
    pages.add_url_rule("/desk/boxes", view_func=desk_boxes, methods=both)
    pages.add_url_rule("/desk/boxes/<int:box_id>", view_func=desk_box, methods=both)


def serve_api(app: OpenAPI) -> None:
    """Say to the desk's API who works at the desk: the person of the session cookie."""
    app.extensions[OPERATOR] = operator


def operator() -> Operator:
    """Return who is signed in and may work at the desk; a changing request needs the form token.

    Raises:
        Problem: 401 nobody is signed in, 403 no right.
    """
    who = access.principal()
    if who is None:
        raise Problem(401, "not-signed-in", "请先登录", "sign in first")
    if not who.can(RIGHT) or who.must_change:
        raise Problem(403, "no-right", "没有发卡台权限", "no right to work at the desk")
    if request.method != "GET":
        access.csrf.protect()
    return _operator(who)


@access.needs(RIGHT)
def desk_home() -> Response:
    """Connect the reader, issue for a person, read a card; see what is open."""
    runtime = current_runtime()
    faults: dict[str, str] = {}
    number = digits(request.form.get("number", ""))[:20]
    if request.method == "POST":
        if request.form.get("kind") == READ:
            return _to_job(NewJob(READ))
        if not is_number(number):
            faults = {"number": NUMBER_FAULT}
        else:
            try:
                return _to_job(NewJob(ISSUE, number))
            except Refused as error:
                faults = {"number": _text(error)}
    jobs = desk.open_jobs(runtime.database, _bench())
    return _page("desk_home.html", faults, jobs=jobs, number=number)


@access.needs(RIGHT)
def desk_job(reference: str) -> Response:
    """Show a job, lay the card down for it, spoil, give up, hand over."""
    runtime = current_runtime()
    faults: dict[str, str] = {}
    if request.method == "POST":
        action = request.form.get("action", "")
        try:
            reason = request.form.get("reason", "")
            desk.act(runtime.database, _bench(), reference, action, reason)
        except Refused as error:
            faults = {"reason": _text(error)}
        else:
            return _go("portal.desk_job", reference=reference)
    page = desk.read_job(runtime.database, _bench(), reference)
    return _page("desk_job.html", faults, page=page, job=page.job)


@access.needs(RIGHT)
def desk_slip(reference: str) -> Response:
    """Show what a holder takes home: which card, from when to when, nothing secret."""
    page = desk.read_job(current_runtime().database, _bench(), reference)
    return _page("desk_slip.html", {}, page=page, job=page.job)


@access.needs(RIGHT)
def desk_card(card_id: int) -> Response:
    """Replace, refresh, block or unblock one card."""
    card = desk.read_card(current_runtime().database, _bench(), card_id)
    kind = request.form.get("kind", "")
    faults: dict[str, str] = {}
    if request.method == "POST":
        try:
            new = _card_job(card.asn, kind)
        except ValueError:
            faults = {"valid_to": DAY_FAULT}
        else:
            try:
                return _to_job(new)
            except Refused as error:
                faults = {f"{kind}-reason": _text(error)}
    return _page("desk_card.html", faults, card=card, form=request.form)


@access.needs(RIGHT)
def desk_boxes() -> Response:
    """List the boxes; open one with its people."""
    runtime = current_runtime()
    faults: dict[str, str] = {}
    if request.method == "POST":
        received = request.form.get("received", "")
        numbers = _NUMBERS.findall(request.form.get("numbers", "")[:LIST_BYTES_MAX])
        if not received.isdigit() or len(received) > 5:
            faults = {"received": COUNT_FAULT}
        else:
            new = NewBox(request.form.get("name", ""), int(received), numbers)
            try:
                box_id = desk.open_box(runtime.database, _bench(), new)
            except Refused as error:
                faults = {"numbers": _text(error)}
            else:
                return _go("portal.desk_box", box_id=box_id)
    found = desk.all_boxes(runtime.database, _bench())
    return _page("desk_boxes.html", faults, boxes=found, form=request.form)


@access.needs(RIGHT)
def desk_box(box_id: int) -> Response:
    """Issue a box card by card; count and close it."""
    runtime = current_runtime()
    faults: dict[str, str] = {}
    if request.method == "POST":
        counted = request.form.get("counted", "")
        if not counted.isdigit() or len(counted) > 5:
            faults = {"counted": COUNT_FAULT}
        else:
            try:
                reason = request.form.get("reason", "")
                desk.close_box(runtime.database, _bench(), box_id, int(counted), reason)
            except Refused as error:
                faults = {"counted": _text(error)}
            else:
                flash(gettext("The box is counted and closed."), "good")
                return _go("portal.desk_box", box_id=box_id)
    page = desk.read_box(runtime.database, _bench(), box_id)
    return _page("desk_box.html", faults, page=page, form=request.form)


def _card_job(asn: str, kind: str) -> NewJob:
    """Read the form of one of a card's actions.

    Raises:
        ValueError: The day is none.
    """
    reason = request.form.get("reason", "").strip()[:REASON_LENGTH_MAX]
    if kind == REFRESH:
        day = request.form.get("valid_to", "").strip()
        return NewJob(kind, asn=asn, valid_to=dt.date.fromisoformat(day) if day else None)
    if kind == REPLACE:
        cause, seen = request.form.get("cause", ""), bool(request.form.get("id_checked"))
        return NewJob(kind, asn=asn, reason=reason, cause=cause, id_checked=seen)
    if kind == BLOCK:
        for_good = bool(request.form.get("for_good"))
        return NewJob(kind, asn=asn, reason=reason, for_good=for_good)
    return NewJob(UNBLOCK, asn=asn, reason=reason)


def _bench() -> Bench:
    runtime = current_runtime()
    return Bench(runtime.store, runtime.clock.utc_ms(), _operator(access.signed_in()))


def _operator(who: Principal) -> Operator:
    """Return who works here, and for which people: those where the right is held."""
    everywhere = who.may(RIGHT, NOWHERE)
    return Operator(who.actor, None if everywhere else functools.partial(who.may, RIGHT))


def _to_job(new: NewJob) -> Response:
    reference = desk.create(current_runtime().database, _bench(), new)
    return _go("portal.desk_job", reference=reference)


def _go(endpoint: str, **values: str | int) -> Response:
    return redirect(address_of(endpoint, **values))  # type: ignore[arg-type]


def _text(error: Refused) -> str:
    return Name(error.zh, error.en).within(language())


def _page(template: str, faults: dict[str, str], **values: object) -> Response:
    """Show a desk page; its header lets its script reach the relay and nobody else."""
    relay = f"http://127.0.0.1:{current_runtime().config.desk.relay_port}"
    labels = {name: gettext(text) for name, text in READ_LABELS.items()}
    text = render_template(
        template, faults=faults, relay=relay, kinds=KIND_TITLES, states=STATE_TITLES,
        labels=labels, **values,
    )  # fmt: skip
    response = make_response(text, 422 if faults else 200)
    response.headers["Content-Security-Policy"] = DESK_SECURITY_POLICY.format(relay=relay)
    return response
