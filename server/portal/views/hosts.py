# SPDX-License-Identifier: Apache-2.0
"""Host names: which the server answers to, and which have a look of their own.

With `[http] hosts` set, a request for any other name gets 421: a forged name reaches no page, no
link and no passkey. Names of sub-sites are answered to as well. An unknown name that is answered
to shows the default look.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Flask, Response, abort, g, request

from server.errors import Problem
from server.portal.names import Name
from server.portal.views import access
from server.runtime import current_runtime
from server.structure import sub_sites
from server.structure.rights import Reach

# Health checks and terminals on the same machine; no browser of a stranger sends these to us.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
LOGO_AGE_S = 300


@dataclass(frozen=True, slots=True)
class Look:
    """What a sub-site shows on every page, and the part of the whole that it is about."""

    title: Name
    colour: str
    logo: bool
    about: Reach


def register(pages: Blueprint) -> None:
    """Hang these pages on the blueprint."""
    pages.add_url_rule("/sub-site.css", view_func=sub_site_style)
    pages.add_url_rule("/sub-site.png", view_func=sub_site_logo)


def init_app(app: Flask) -> None:
    """Look at the host name before anything else is done with a request."""

    @app.before_request
    def check_host() -> None:
        hosts = frozenset(current_runtime().config.http.hosts.lower().split())
        name = host_name()
        if not hosts or name in hosts or name in LOOPBACK or look() is not None:
            return
        raise Problem(
            421, "wrong-host", "此服务器不负责这个主机名",
            "this server does not answer to this host name",
        )  # fmt: skip


def read_look() -> None:
    """Read the look of the host before a page; what shows it asks no database."""
    look()


def host_name() -> str:
    """Return the host name of the request without its port, in small letters."""
    name, colon, port = request.host.lower().rpartition(":")
    return name if colon and port.isdecimal() else request.host.lower()


def look() -> Look | None:
    """Return the look of the host that was asked, None for the default; read once a request."""
    if "look" not in g:
        g.look = None
        with current_runtime().database.reading() as session:
            row = sub_sites.find(session, host_name())
            if row is not None:
                owner = row.organisation_id
                about = Reach(
                    regions=frozenset({row.region} - {""}),
                    organisations=frozenset() if owner is None else frozenset({owner}),
                )
                title = Name(row.title_zh, row.title_en)
                g.look = Look(title, row.colour, row.logo is not None, about)
    found: Look | None = g.look
    return found


def within(right: str) -> Reach:
    """Return where who is signed in has a right; under a sub-site's name no more than its part.

    Only a reach over everything is narrowed: a smaller one is one's own already.
    """
    found = access.signed_in().reach(right)
    here = look()
    if found.everywhere and here is not None and not here.about.nowhere:
        return here.about
    return found


@access.public
def sub_site_style() -> Response:
    """Give the colour of the sub-site as a style sheet; the policy allows none in the page."""
    here = look()
    if here is None:
        abort(404)
    return Response(f".sub-site {{ background: {here.colour}; }}\n", content_type="text/css")


@access.public
def sub_site_logo() -> Response:
    """Give the logo of the sub-site, a picture that was written anew when it was stored."""
    with current_runtime().database.reading() as session:
        row = sub_sites.find(session, host_name())
        picture = row.logo if row is not None else None
    if picture is None:
        abort(404)
    answer = Response(picture, content_type="image/png")
    answer.headers["Cache-Control"] = f"public, max-age={LOGO_AGE_S}"
    return answer
