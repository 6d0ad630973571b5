# SPDX-License-Identifier: Apache-2.0
"""Template filters: values become words of the reader's language."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from flask import Flask

from server.portal.display import coins, hours_minutes
from server.portal.language import N_, format_date, format_timedelta, gettext, language
from server.portal.names import Name

STATES = {
    "credited": N_("credited"),
    "zero": N_("no minutes"),
    "held": N_("on hold"),
    "open": N_("no tap-out yet"),
    "exception": N_("exception"),
    "approved": N_("approved"),
    "rejected": N_("rejected"),
    "closed": N_("closed"),
    "active": N_("active"),
    "pending": N_("waiting for approval"),
    "quarantined": N_("quarantined"),
    "revoked": N_("revoked"),
    "lost": N_("lost"),
    "blocked": N_("blocked"),
    "replaced": N_("replaced"),
}

TRANSFERS = {
    "service": N_("service"),
    "opening": N_("brought along"),
    "award": N_("award"),
    "gift": N_("gift"),
    "redeem": N_("redeemed"),
    "expiry": N_("expired"),
    "hold": N_("on hold"),
    "post": N_("from a hold"),
    "void": N_("hold given back"),
    "lapse": N_("hold lapsed"),
    "reversal": N_("taken back"),
}
ASKED = {
    "missed": N_("missed tap"),
    "dispute": N_("dispute"),
    "open": N_("waits for an answer"),
    "accepted": N_("accepted"),
    "refused": N_("refused"),
    "withdrawn": N_("withdrawn"),
}
APPLICATIONS = {
    "submitted": N_("submitted"),
    "training": N_("in training"),
    "ready": N_("ready for a decision"),
    "approved": N_("approved"),
    "rejected": N_("rejected"),
    "withdrawn": N_("withdrawn"),
    "online": N_("online"),
    "staff": N_("at the desk"),
    "call": N_("by telephone"),
    "app": N_("by an app"),
    "terminal": N_("at a terminal"),
    "import": N_("imported"),
    "debit": N_("debit card"),
    "credit": N_("credit card"),
}

MESSAGES = {
    "queued": N_("queued"),
    "sending": N_("being sent"),
    "sent": N_("sent"),
    "delivered": N_("delivered"),
    "published": N_("hangs"),
    "failed": N_("failed"),
    "unknown": N_("cut off, unknown"),
    "expired": N_("too late"),
    "cancelled": N_("called off"),
    "sms": N_("short message"),
    "letter": N_("letter"),
    "public": N_("public notice"),
}


def day(moment: date) -> str:
    """Return a date as 2026年11月21日 or 21 Nov 2026."""
    return str(format_date(moment, "medium", rebase=False))


def weekday(moment: date) -> str:
    """Return a day of the week as 周六 or Sat."""
    return str(format_date(moment, "EEE", rebase=False))


def month(first: date) -> str:
    """Return a month as 2026/11, the same in both languages."""
    return f"{first.year}/{first.month:02d}"


def clock(moment: datetime) -> str:
    """Return the wall time of day, 09:05."""
    return f"{moment:%H:%M}"


def ago(age: timedelta) -> str:
    """Return an age as "3 minutes ago"."""
    return str(format_timedelta(-age, add_direction=True))


def name(both: Name | None) -> str:
    """Return a name of the database in the reader's language, "" when there is none."""
    return both.within(language()) if both else ""


def state(word: str) -> str:
    """Return a state of the database in the reader's language."""
    return str(gettext(STATES[word])) if word in STATES else word


def transfer(kind: str) -> str:
    """Return a kind of transfer in the reader's language."""
    return str(gettext(TRANSFERS[kind])) if kind in TRANSFERS else kind


def asked(word: str) -> str:
    """Return a kind or state of a request in the reader's language."""
    return str(gettext(ASKED[word])) if word in ASKED else word


def application(word: str) -> str:
    """Return a state, channel or carrier of an application in the reader's language."""
    return str(gettext(APPLICATIONS[word])) if word in APPLICATIONS else word


def said(word: str) -> str:
    """Return a state or channel of a message in the reader's language."""
    return str(gettext(MESSAGES[word])) if word in MESSAGES else word


def grouped(number: int) -> str:
    """Return a whole number with separators.

    >>> grouped(18179)
    '18,179'
    """
    return f"{number:,}"


def init_app(app: Flask) -> None:
    """Give the templates these filters."""
    app.jinja_env.filters.update(
        ago=ago,
        application=application,
        asked=asked,
        clock=clock,
        coins=coins,
        day=day,
        grouped=grouped,
        hm=hours_minutes,
        month=month,
        name=name,
        said=said,
        state=state,
        transfer=transfer,
        weekday=weekday,
    )
