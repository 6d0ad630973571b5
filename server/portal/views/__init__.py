# SPDX-License-Identifier: Apache-2.0
"""Routes of the pages, hung on the application by `register`."""

from __future__ import annotations

from flask import Blueprint
from flask_openapi.openapi import OpenAPI

from server.app import PAGE_ERROR
from server.portal import language
from server.portal.views import (
    access,
    activities,
    applications,
    apply,
    bank,
    cards,
    desk,
    errors,
    filters,
    frame,
    front,
    functions,
    headers,
    hosts,
    me,
    messages,
    my_application,
    open_sessions,
    outages,
    passkeys,
    phone,
    requests,
    site,
    staff,
    structure,
)

PARTS = (
    activities,
    applications,
    apply,
    bank,
    cards,
    desk,
    front,
    functions,
    hosts,
    me,
    messages,
    my_application,
    open_sessions,
    outages,
    passkeys,
    phone,
    requests,
    site,
    staff,
    structure,
)


def register(app: OpenAPI) -> None:
    """Hang the routes of this feature on the application."""
    app.config.update(
        SESSION_COOKIE_NAME="yika",
        WTF_CSRF_CHECK_DEFAULT=False,  # the guard checks; the API has signatures instead of forms
        WTF_CSRF_TIME_LIMIT=None,  # a form token lives as long as the session it belongs to
    )
    language.init_app(app)
    access.csrf.init_app(app)
    filters.init_app(app)
    headers.init_app(app)
    hosts.init_app(app)
    pages = Blueprint("portal", __name__)
    pages.before_request(hosts.read_look)
    pages.before_request(access.guard)
    pages.app_context_processor(frame.context)
    errors.register(pages)
    for part in PARTS:
        part.register(pages)
    app.register_blueprint(pages)
    desk.serve_api(app)
    app.extensions[PAGE_ERROR] = errors.page_of_problem
