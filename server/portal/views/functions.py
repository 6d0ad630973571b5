# SPDX-License-Identifier: Apache-2.0
"""The page on which a volunteer turns functions of the card on and off."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from server.errors import Refused
from server.portal.language import gettext, language
from server.portal.names import Name
from server.portal.policy import Role
from server.portal.services.functions import Wish, choose, read_functions
from server.portal.views import access
from server.runtime import current_runtime


def register(pages: Blueprint) -> None:
    """Hang this page on the blueprint."""
    pages.add_url_rule("/me/functions", view_func=my_functions, methods=["GET", "POST"])


@access.allow(Role.VOLUNTEER)
def my_functions() -> str | Response | tuple[str, int]:
    """Show the functions of the own card; all are off until the holder turns them on."""
    runtime, who = current_runtime(), access.signed_in()
    if request.method == "GET":
        rows = read_functions(runtime.database, who.id)
        return render_template("functions.html", rows=rows, fault="")
    wish = Wish(request.form.get("function", ""), request.form.get("on") == "1")
    try:
        choose(runtime.database, who.id, wish, who.actor, runtime.clock.utc_ms())
    except Refused as error:
        rows = read_functions(runtime.database, who.id)
        fault = Name(error.zh, error.en).within(language())
        return render_template("functions.html", rows=rows, fault=fault), 422
    flash(gettext("Noted."), "good")
    return redirect(url_for("portal.my_functions"))
