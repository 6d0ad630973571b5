# SPDX-License-Identifier: Apache-2.0
"""What every page shows around its content: menu, language switch, who is signed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import g, request, url_for

from server.portal.language import HTML_LANGUAGES, N_, gettext, language
from server.portal.policy import Role
from server.portal.services.sessions import Principal

VISITOR_MENU = (
    ("portal.sign_in", N_("Volunteers")),
    ("portal.sign_in_desk", N_("Leaders and staff")),
)
MENUS = {
    Role.VOLUNTEER: (
        ("portal.my_hours", N_("My hours")),
        ("portal.phone_card", N_("Electronic card")),
    ),
    Role.LEADER: (("portal.own_site", N_("My site")),),
    Role.STAFF: (
        ("portal.terminals", N_("Terminals")),
        ("portal.desk_home", N_("Card desk")),
        ("portal.volunteers", N_("Find a volunteer")),
    ),
    Role.ORG_MANAGER: (("portal.volunteers", N_("Find a volunteer")),),
    Role.REGION_MANAGER: (
        ("portal.terminals", N_("Terminals")),
        ("portal.volunteers", N_("Find a volunteer")),
    ),
    Role.CALL_CENTRE: (("portal.volunteers", N_("Find a volunteer")),),
    Role.PARTNER: (("portal.password", N_("Change password")),),
    Role.AUDITOR: (
        ("portal.terminals", N_("Terminals")),
        ("portal.volunteers", N_("Find a volunteer")),
    ),
    Role.ADMIN: (
        ("portal.terminals", N_("Terminals")),
        ("portal.desk_home", N_("Card desk")),
        ("portal.volunteers", N_("Find a volunteer")),
        ("portal.sites", N_("Sites")),
    ),
}
PASSWORD_ENTRY = ("portal.password", N_("Change password"))
SUB_PAGES = {  # which entry of the menu a page without one belongs to
    "portal.site": "portal.own_site",
    "portal.exception": "portal.own_site",
    "portal.site_requests": "portal.own_site",
    "portal.explanation": "portal.my_hours",
    "portal.account": "portal.my_hours",
    "portal.my_requests": "portal.my_hours",
    "portal.terminal": "portal.terminals",
    "portal.volunteer": "portal.volunteers",
    "portal.card_lost": "portal.volunteers",
    "portal.desk_job": "portal.desk_home",
    "portal.desk_slip": "portal.desk_home",
    "portal.desk_card": "portal.desk_home",
    "portal.desk_boxes": "portal.desk_home",
    "portal.desk_box": "portal.desk_home",
}


@dataclass(frozen=True, slots=True)
class MenuItem:
    """One entry of the main menu."""

    title: str
    address: str
    current: bool


def start_address(who: Principal) -> str:
    """Return the page on which somebody's work begins."""
    return url_for(MENUS[who.role][0][0])


def context() -> dict[str, Any]:
    """Return what the page frame needs; asks no database, error pages use it too."""
    who: Principal | None = g.get("principal")
    other = "en" if language() == "zh" else "zh"
    here = request.full_path.rstrip("?") if request.method == "GET" else request.path
    return {
        "principal": who,
        "lang": language(),
        "html_lang": HTML_LANGUAGES[language()],
        "menu": _menu(who),
        "start_address": start_address(who) if who else None,
        "switch_address": url_for("portal.switch_language", code=other, next=here),
    }


def _menu(who: Principal | None) -> list[MenuItem]:
    if who is None:
        entries: tuple[tuple[str, str], ...] = VISITOR_MENU
    elif who.must_change:
        entries = ()
    else:
        entries = (*MENUS[who.role], PASSWORD_ENTRY)
    here = SUB_PAGES.get(request.endpoint or "", request.endpoint)
    if who and who.role is Role.ADMIN and here == "portal.own_site":
        here = "portal.sites"
    return [MenuItem(str(gettext(text)), url_for(to), here == to) for to, text in entries]
