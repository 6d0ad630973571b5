# SPDX-License-Identifier: Apache-2.0
"""Sites, activities and the life of a terminal, from its order to its revocation.

Every function works inside the caller's unit of work and writes its audit line there.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.people import audit, sequences
from server.terminals import policy
from server.terminals.models import Activity, EnrolToken, Psam, Site, Terminal, TerminalKey

# The counter behind every configuration version, so that no terminal ever sees one go back.
CONFIG = "config"
# UTC-12:00 to UTC+14:00 in quarter hours.
TZ_Q_MIN, TZ_Q_MAX = -48, 56
SHANGHAI_TZ_Q = 32
# Written once: to build a statement costs more than to run it.
_KEYS = (
    sa.select(TerminalKey)
    .where(TerminalKey.terminal_id == sa.bindparam("terminal"))
    .order_by(TerminalKey.id)
)


@dataclass(frozen=True, slots=True)
class NewSite:
    """A place to be added; `tz_q` is its offset from UTC in quarter hours."""

    name_zh: str
    name_en: str
    tz_q: int = SHANGHAI_TZ_Q


@dataclass(frozen=True, slots=True)
class NewActivity:
    """A piece of service to be planned; activities of one family may be switched between."""

    site_id: int
    code: str
    name_zh: str
    name_en: str
    start_ms: int
    end_ms: int
    family: str = ""
    planned_min: int = 0
    minors: bool = True


def add_site(session: Session, new: NewSite, actor: str, now_ms: int) -> Site:
    """Add a site."""
    if not TZ_Q_MIN <= new.tz_q <= TZ_Q_MAX:
        raise Refused("tz", "时区不对", f"tz_q lies between {TZ_Q_MIN} and {TZ_Q_MAX}")
    site = Site(
        name_zh=new.name_zh,
        name_en=new.name_en,
        tz_q=new.tz_q,
        config_version=sequences.next_value(session, CONFIG),
    )
    session.add(site)
    session.flush()
    audit.record(session, now_ms, actor, "site.added", f"site:{site.id}")
    return site


def add_activity(session: Session, new: NewActivity, actor: str, now_ms: int) -> Activity:
    """Plan an activity; the site's terminals hear of it with their next configuration."""
    if new.end_ms <= new.start_ms:
        raise Refused("activity-time", "活动结束须晚于开始", "an activity ends after it starts")
    site = find_site(session, new.site_id)
    activity = Activity(
        site_id=site.id,
        code=new.code,
        name_zh=new.name_zh,
        name_en=new.name_en,
        start_ms=new.start_ms,
        end_ms=new.end_ms,
        family=new.family or new.code,
        planned_min=new.planned_min,
        minors=new.minors,
    )
    session.add(activity)
    site.config_version = sequences.next_value(session, CONFIG)
    session.flush()
    audit.record(session, now_ms, actor, "activity.added", f"activity:{activity.id}")
    return activity


def find_site(session: Session, site_id: int) -> Site:
    """Return the site, or refuse."""
    site = session.get(Site, site_id)
    if site is None:
        raise Refused("unknown-site", "没有这个服务点", f"no site {site_id}")
    return site


def find_terminal(session: Session, terminal_id: int) -> Terminal:
    """Return the terminal, its row locked, or refuse."""
    terminal = session.get(Terminal, terminal_id, with_for_update=True)
    if terminal is None:
        raise Refused("unknown-terminal", "没有这台终端", f"no terminal {terminal_id}")
    return terminal


def keys_of(session: Session, terminal_id: int) -> list[TerminalKey]:
    """Return all keys ever enrolled to a terminal, oldest first."""
    return list(session.scalars(_KEYS, {"terminal": terminal_id}))


def psams_of(session: Session, terminal_id: int) -> list[Psam]:
    """Return the PSAMs of a terminal, whatever their state."""
    mine = sa.select(Psam).where(Psam.terminal_id == terminal_id)
    return list(session.scalars(mine.order_by(Psam.number)))


def revoke(session: Session, terminal_id: int, reason: str, actor: str, now_ms: int) -> Terminal:
    """End a terminal: its keys and PSAMs with it. What it uploaded before stays valid.

    What nobody has approved goes without a trace in these tables: codes, keys and PSAMs that wait.
    """
    terminal = find_terminal(session, terminal_id)
    terminal.state = "revoked"
    for waiting in (
        sa.delete(EnrolToken).where(
            EnrolToken.terminal_id == terminal_id, EnrolToken.used_ms.is_(None)
        ),
        sa.delete(TerminalKey).where(
            TerminalKey.terminal_id == terminal_id, TerminalKey.valid_from_ms.is_(None)
        ),
        sa.delete(Psam).where(Psam.terminal_id == terminal_id, Psam.state == "pending"),
    ):
        session.execute(waiting)
    for key in keys_of(session, terminal_id):
        key.revoked_ms = key.revoked_ms or now_ms
    session.execute(sa.update(Psam).where(Psam.terminal_id == terminal_id).values(state="revoked"))
    audit.record(
        session, now_ms, actor, "terminal.revoked", f"terminal:{terminal_id}", reason=reason
    )
    return terminal


def quarantine(session: Session, terminal: Terminal, reason: str, actor: str, now_ms: int) -> None:
    """Set an active terminal apart: its uploads are stored on, staff must look at it."""
    if terminal.state != "active":
        return
    terminal.state = "quarantined"
    subject = f"terminal:{terminal.id}"
    audit.record(session, now_ms, actor, "terminal.quarantined", subject, reason=reason)


def release(session: Session, terminal_id: int, actor: str, now_ms: int) -> Terminal:
    """End a quarantine after somebody has looked."""
    terminal = find_terminal(session, terminal_id)
    if terminal.state != "quarantined":
        raise Refused(
            "not-quarantined",
            "终端没有被隔离",
            f"terminal {terminal_id} is {terminal.state}, not quarantined",
        )
    terminal.state = "active"
    terminal.bad_proofs = 0
    audit.record(session, now_ms, actor, "terminal.released", f"terminal:{terminal_id}")
    return terminal


def note_contact(terminal: Terminal, now_ms: int, unsent: int | None) -> None:
    """Remember that a terminal was heard of, and how much it still holds if it said so."""
    terminal.last_contact_ms = now_ms
    if unsent is not None:
        terminal.unsent = unsent


@dataclass(frozen=True, slots=True)
class TerminalStatus:
    """One line of the staff's overview."""

    id: int
    name: str
    site_zh: str
    site_en: str
    state: str
    last_contact_ms: int | None
    silent: bool
    unsent: int | None
    bad_proofs: int


def overview(session: Session, now_ms: int) -> list[TerminalStatus]:
    """Return the status of every terminal, by name."""
    statement = (
        sa.select(Terminal, Site).join(Site, Site.id == Terminal.site_id).order_by(Terminal.name)
    )
    return [
        TerminalStatus(
            id=terminal.id,
            name=terminal.name,
            site_zh=site.name_zh,
            site_en=site.name_en,
            state=terminal.state,
            last_contact_ms=terminal.last_contact_ms,
            silent=terminal.state in ("active", "quarantined")
            and policy.is_silent(terminal.last_contact_ms, terminal.created_ms, now_ms),
            unsent=terminal.unsent,
            bad_proofs=terminal.bad_proofs,
        )
        for terminal, site in session.execute(statement)
    ]
