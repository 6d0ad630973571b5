# SPDX-License-Identifier: Apache-2.0
"""Take the status that a terminal signed, keep the newest and a short history, tell the alarms."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.verify import verify
from server.errors import Problem
from server.fleet import policy
from server.fleet.models import FleetHistory, FleetStatus
from server.fleet.policy import Alarm
from server.ingest import endings, overview
from server.terminals.models import Site, Terminal
from server.terminals.requests import in_force
from server.terminals.services import find_terminal, keys_of, note_contact
from swipe.requests import STATUS_CONTEXT, status_message

# Two days of a status every quarter of an hour.
HISTORY_MAX = 200
STATUS_SIZE_MAX = 8_192
FIELDS_MAX = 64
NAME_MAX, TEXT_MAX, LIST_MAX = 40, 200, 32
INTEGER_MAX = 2**53  # what JSON readers agree on
HEARD_STATES = ("active", "quarantined")


@dataclass(frozen=True, slots=True)
class Told:
    """A status as it arrived: the very text that was signed, and the signature."""

    terminal_id: int
    text: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Standing:
    """One terminal of the fleet: who it is, what it said last and when, what is wrong."""

    id: int
    name: str
    site_zh: str
    site_en: str
    state: str
    heard_ms: int | None
    contact_ms: int | None
    status: dict[str, Any] | None
    alarms: list[Alarm]


def take_status(session: Session, told: Told, now_ms: int) -> None:
    """Keep a status; one that is not newer than what is held changes nothing.

    Raises:
        Problem: 401 nobody's signature; 422 not a status.
    """
    terminal = session.get(Terminal, told.terminal_id, with_for_update=True)
    if terminal is None or not _is_signed(session, terminal, told):
        raise Problem(
            401,
            "terminal-refused",
            "终端未知、未批准，或签名不对",
            "the terminal is unknown or not approved, or the signature is wrong",
        )
    status = read_status(told.text)
    order = (int(status["boot"]), int(status["uptime_s"]))
    held = session.get(FleetStatus, told.terminal_id)
    if held is not None and (held.boot, held.uptime_s) >= order:
        return
    if held is None:
        held = FleetStatus(terminal_id=told.terminal_id)
        session.add(held)
    held.received_ms, held.body = now_ms, told.text
    held.boot, held.uptime_s = order
    note_contact(terminal, now_ms, int(status["unsent"]))
    session.add(FleetHistory(terminal_id=told.terminal_id, received_ms=now_ms, body=told.text))
    session.flush()
    _shorten(session, told.terminal_id)


def read_status(text: str) -> dict[str, Any]:
    """Return the fields of a status: flat, few, short.

    >>> read_status('{"boot": 1, "uptime_s": 2, "unsent": 0, "slot": "a"}')["slot"]
    'a'

    Raises:
        Problem: 422 anything else.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    fits = (
        isinstance(document, dict)
        and len(document) <= FIELDS_MAX
        and all(len(name) <= NAME_MAX and _is_plain(value) for name, value in document.items())
        and all(_is_count(document.get(name)) for name in ("boot", "uptime_s", "unsent"))
    )
    if not fits:
        raise Problem(422, "malformed", "状态内容不合要求", "this is not a status")
    found: dict[str, Any] = document
    return found


def fleet(session: Session, now_ms: int) -> list[Standing]:
    """Return every terminal with its alarms, those with the most urgent first."""
    rows = session.execute(
        sa.select(Terminal, Site, FleetStatus)
        .join(Site, Site.id == Terminal.site_id)
        .outerjoin(FleetStatus, FleetStatus.terminal_id == Terminal.id)
        .order_by(Terminal.name)
    )
    known = _known(session)
    found = [
        _standing((terminal, site, held), known.get(terminal.id, []), now_ms)
        for terminal, site, held in rows
    ]
    return sorted(found, key=lambda one: (-sum(alarm.urgent for alarm in one.alarms), one.name))


def one(session: Session, terminal_id: int, now_ms: int) -> Standing:
    """Return one terminal.

    Raises:
        Refused: There is none.
    """
    terminal = find_terminal(session, terminal_id)
    site = session.get_one(Site, terminal.site_id)
    held = session.get(FleetStatus, terminal_id)
    return _standing((terminal, site, held), _known(session).get(terminal_id, []), now_ms)


def history(session: Session, terminal_id: int, limit: int = HISTORY_MAX) -> list[dict[str, Any]]:
    """Return what a terminal said lately, newest first, each with when it was received."""
    statement = (
        sa.select(FleetHistory)
        .where(FleetHistory.terminal_id == terminal_id)
        .order_by(FleetHistory.id.desc())
        .limit(limit)
    )
    return [
        {"received_ms": row.received_ms, **json.loads(row.body)}
        for row in session.scalars(statement)
    ]


def _known(session: Session) -> dict[int, list[str]]:
    """Return by terminal the codes of alarms that the server knows of without being told."""
    found: dict[int, list[str]] = {number: ["ended"] for number in endings.ended(session)}
    for number, _ in overview.psams_apart(session):
        codes = found.setdefault(number, [])
        if "psam-apart" not in codes:
            codes.append("psam-apart")
    return found


def _standing(
    row: tuple[Terminal, Site, FleetStatus | None], known: list[str], now_ms: int
) -> Standing:
    terminal, site, held = row
    status = None if held is None else json.loads(held.body)
    heard_ms = None if held is None else held.received_ms
    watched = terminal.state in HEARD_STATES
    return Standing(
        id=terminal.id,
        name=terminal.name,
        site_zh=site.name_zh,
        site_en=site.name_en,
        state=terminal.state,
        heard_ms=heard_ms,
        contact_ms=terminal.last_contact_ms,
        status=status,
        alarms=policy.alarms(status, heard_ms, now_ms, known) if watched else [],
    )


def _is_signed(session: Session, terminal: Terminal, told: Told) -> bool:
    if terminal.state not in HEARD_STATES or len(told.text.encode()) > STATUS_SIZE_MAX:
        return False
    message = status_message(terminal.id, told.text.encode())
    return any(
        verify(key.public_key, told.signature, STATUS_CONTEXT, message)
        for key in keys_of(session, terminal.id)
        if in_force(key)
    )


def _shorten(session: Session, terminal_id: int) -> None:
    mine = FleetHistory.terminal_id == terminal_id
    kept = sa.select(FleetHistory.id).where(mine).order_by(FleetHistory.id.desc())
    oldest = session.scalar(kept.offset(HISTORY_MAX - 1).limit(1))
    if oldest is not None:
        session.execute(sa.delete(FleetHistory).where(mine, FleetHistory.id < oldest))


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return len(value) <= LIST_MAX and all(_is_count(item) for item in value)
    if isinstance(value, str):
        return len(value) <= TEXT_MAX and value.isprintable()
    if isinstance(value, int | float):
        return abs(value) <= INTEGER_MAX
    return value is None


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= INTEGER_MAX
