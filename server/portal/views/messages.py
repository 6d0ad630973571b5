# SPDX-License-Identifier: Apache-2.0
"""The notices that hang for everybody, and the messages to people for staff."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from server.errors import Refused
from server.portal.language import gettext, language
from server.portal.names import Name
from server.portal.services import messages as service
from server.portal.views import access
from server.portal.views.paging import row_number
from server.runtime import current_runtime

STATES = (
    "queued", "failed", "unknown", "sending", "sent", "delivered", "published", "expired",
    "cancelled",
)  # fmt: skip


def register(pages: Blueprint) -> None:
    """Hang these pages on the blueprint."""
    pages.add_url_rule("/notices", view_func=notices)
    pages.add_url_rule("/messages", view_func=messages, methods=["GET", "POST"])


@access.public
def notices() -> str:
    """Show the public notices that hang now; names in them are masked."""
    runtime = current_runtime()
    rows = service.notices(runtime.database, runtime.clock.utc_ms())
    return render_template("notices.html", rows=rows)


@access.needs("outbox.read")
def messages() -> str | Response | tuple[str, int]:
    """List messages by state; set one going again or call it off."""
    runtime, who = current_runtime(), access.signed_in()
    fault: object = ""
    state = request.args.get("state", "")
    if request.method == "POST":
        message_id = row_number(request.form.get("message", ""))
        action = request.form.get("action", "")
        access.must("outbox.retry", service.place_of(runtime.database, message_id))
        try:
            service.act(runtime.database, message_id, action, who.actor, runtime.clock.utc_ms())
            said = gettext("It is queued again.") if action == "retry" else gettext("Called off.")
            flash(said, "good")
            return redirect(url_for("portal.messages", state=state or None))
        except Refused as refused:
            fault = Name(refused.zh, refused.en).within(language())
    page = service.read_messages(
        runtime.database, who.reach("outbox.read"), state,
        row_number(request.args.get("before", "")),
    )  # fmt: skip
    shown = render_template(
        "messages.html", page=page, states=STATES, state=state, fault=fault,
        may_act=who.can("outbox.retry"),
    )  # fmt: skip
    return (shown, 422) if fault else shown
