# SPDX-License-Identifier: Apache-2.0
"""The electronic card: a page with a code that is always fresh, for the phone of a volunteer.

The page has no script; the browser is told to load it again while the code still has half its
life, so that whoever holds the phone up shows one that terminals take.
"""

from __future__ import annotations

import segno
from flask import Blueprint, make_response, render_template
from markupsafe import Markup
from werkzeug.wrappers import Response

from server.errors import Refused
from server.phone_cards.services import Signer, issue_code
from server.portal.policy import Role
from server.portal.views import access
from server.runtime import current_runtime
from swipe.phone_token import LIFE_DEFAULT_S

RENEW_S = LIFE_DEFAULT_S // 2
RETRY_S = 60  # after a refusal
MODULE_PIXELS = 6  # 41 modules and the quiet zone: 294 pixels, as wide as a small phone


def register(pages: Blueprint) -> None:
    """Hang this page on the blueprint."""
    pages.add_url_rule("/me/phone", view_func=phone_card)


@access.allow(Role.VOLUNTEER)
def phone_card() -> Response:
    """Show the code of a new token, or why there is none."""
    runtime = current_runtime()
    signer = Signer(runtime.identity, runtime.config.identity.key_id)
    now_ms = runtime.clock.utc_ms()
    try:
        with runtime.database.writing() as session:
            code = issue_code(session, signer, access.signed_in().id, now_ms)
    except Refused as refusal:
        page = render_template("phone_card.html", picture=None, refusal=refusal)
        return _again(make_response(page, 409), RETRY_S)
    # The picture is made of our own characters alone, so it may stand in the page as it is.
    drawn = segno.make_qr(code.text, error="m").svg_inline(
        scale=MODULE_PIXELS, border=4, light="#fff", omitsize=True
    )
    page = render_template("phone_card.html", picture=Markup(drawn), refusal=None)  # noqa: S704
    return _again(make_response(page), RENEW_S)


def _again(response: Response, seconds: int) -> Response:
    response.headers["Refresh"] = str(seconds)
    return response
