# SPDX-License-Identifier: Apache-2.0
"""What every page shows around its content: menu, language switch, who is signed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import g, request, url_for

from server.portal.language import HTML_LANGUAGES, N_, gettext, language
from server.portal.policy import Role
from server.portal.services.sessions import Principal

APPLICATIONS = ("portal.applications", N_("Applications"))
VISITOR_MENU = (
    ("portal.apply", N_("Become a volunteer")),
    ("portal.sign_in", N_("Volunteers")),
    ("portal.sign_in_desk", N_("Leaders and staff")),
)
CARDS = ("portal.card_lists", N_("Cards"))
BANK = ("portal.bank_files", N_("Bank files"))
MESSAGES = ("portal.messages", N_("Messages"))
ORGANISATIONS = ("portal.organisation_list", N_("Organisations"))
ROLES = ("portal.role_list", N_("Who may do what"))
MENUS = {
    Role.VOLUNTEER: (
        ("portal.my_hours", N_("My hours")),
        ("portal.phone_card", N_("Electronic card")),
        ("portal.my_functions", N_("Functions")),
        ("portal.my_application", N_("My application")),
    ),
    Role.LEADER: (
        ("portal.own_site", N_("My site")),
        ("portal.activities", N_("Activities")),
    ),
    Role.STAFF: (
        ("portal.terminals", N_("Terminals")),
        ("portal.desk_home", N_("Card desk")),
        ("portal.volunteers", N_("Find a volunteer")),
        CARDS,
        BANK,
        APPLICATIONS,
        ("portal.activities", N_("Activities")),
        MESSAGES,
        ORGANISATIONS,
    ),
    Role.ORG_MANAGER: (
        ("portal.volunteers", N_("Find a volunteer")),
        APPLICATIONS,
        ("portal.sites", N_("Sites")),
        ("portal.activities", N_("Activities")),
        ORGANISATIONS,
    ),
    Role.REGION_MANAGER: (
        ("portal.terminals", N_("Terminals")),
        ("portal.volunteers", N_("Find a volunteer")),
        CARDS,
        APPLICATIONS,
        ("portal.sites", N_("Sites")),
        ("portal.activities", N_("Activities")),
        MESSAGES,
        ORGANISATIONS,
    ),
    Role.CALL_CENTRE: (("portal.volunteers", N_("Find a volunteer")), CARDS, APPLICATIONS),
    Role.PARTNER: (BANK,),
    Role.AUDITOR: (
        ("portal.terminals", N_("Terminals")),
        ("portal.volunteers", N_("Find a volunteer")),
        CARDS,
        APPLICATIONS,
        ("portal.sites", N_("Sites")),
        ("portal.activities", N_("Activities")),
        MESSAGES,
        ORGANISATIONS,
    ),
    Role.ADMIN: (
        ("portal.terminals", N_("Terminals")),
        ("portal.desk_home", N_("Card desk")),
        ("portal.volunteers", N_("Find a volunteer")),
        CARDS,
        BANK,
        APPLICATIONS,
        ("portal.sites", N_("Sites")),
        ("portal.activities", N_("Activities")),
        MESSAGES,
        ORGANISATIONS,
        ROLES,
    ),
}
OWN_ENTRIES = (
    ("portal.password", N_("Change password")),
    ("portal.my_sessions", N_("Sessions")),
    ("portal.own_passkeys", N_("Passkeys")),
)
# What stands behind one word of the menu, as a second row: nine words side by side fill half the
# screen of a phone. A group of which somebody has one page only is that page.
GROUPS = {
    N_("Sites and terminals"): ("portal.terminals", "portal.sites", "portal.activities"),
    N_("People"): (
        "portal.volunteers",
        "portal.applications",
        "portal.organisation_list",
        "portal.role_list",
        "portal.messages",
    ),
    N_("Cards and bank"): ("portal.desk_home", "portal.card_lists", "portal.bank_files"),
    N_("My sign-in"): tuple(endpoint for endpoint, _ in OWN_ENTRIES),
}
SUB_PAGES = {  # which entry of the menu a page without one belongs to
    "portal.card_search": "portal.card_lists",
    "portal.card_bulk": "portal.card_lists",
    "portal.card_order": "portal.card_lists",
    "portal.person_history": "portal.card_lists",
    "portal.apply_step": "portal.apply",
    "portal.application": "portal.applications",
    "portal.volunteer_import": "portal.applications",
    "portal.site": "portal.own_site",
    "portal.exception": "portal.own_site",
    "portal.site_requests": "portal.own_site",
    "portal.explanation": "portal.my_hours",
    "portal.account": "portal.my_hours",
    "portal.activity": "portal.activities",
    "portal.bank_file": "portal.bank_files",
    "portal.bank_upload": "portal.bank_files",
    "portal.activity_apply": "portal.activities",
    "portal.every_session": "portal.my_sessions",
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
    """One entry of the main menu; `below` is its second row, when the page shown is within."""

    title: str
    address: str
    current: bool
    below: tuple[MenuItem, ...] = ()


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
        "look": g.get("look"),
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
        entries = (*MENUS[who.role], *OWN_ENTRIES)
    here = SUB_PAGES.get(request.endpoint or "", request.endpoint)
    if who and who.role is not Role.LEADER and here == "portal.own_site":
        here = "portal.sites"
    items: list[MenuItem] = []
    left = dict(entries)
    while left:
        endpoint = next(iter(left))
        title, members = _group(endpoint, left)
        below = tuple(MenuItem(str(gettext(left[to])), url_for(to), here == to) for to in members)
        within = any(item.current for item in below)
        shown = below if within and len(below) > 1 else ()
        items.append(MenuItem(str(gettext(title)), url_for(endpoint), within, shown))
        left = {to: text for to, text in left.items() if to not in members}
    return items


def _group(endpoint: str, entries: dict[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return the word under which an entry stands, and all that stand under it."""
    for title, group in GROUPS.items():
        members = tuple(to for to in entries if to in group)
        if endpoint in members and len(members) > 1:
            return title, members
    return entries[endpoint], (endpoint,)
