# SPDX-License-Identifier: Apache-2.0
"""Terminals as staff see them: last contact, unsent events, missing records, security module."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Database
from server.fleet.models import FleetStatus
from server.fleet.services import Standing, fleet, history
from server.ingest import silence
from server.ingest.models import StoredRange
from server.portal.display import local
from server.portal.errors import NotFound
from server.portal.names import Name
from server.structure.rights import Reach
from server.terminals.models import Psam, Site, Terminal
from server.terminals.places import site_in_reach

EVERYWHERE = Reach(everywhere=True)
GAPS_SHOWN = 3  # the first ones; the number missing counts them all
TERMINAL_ROWS = 500
HISTORY_SHOWN = 24  # six hours of a status every quarter of an hour

Gap = tuple[int, int]


@dataclass(frozen=True, slots=True)
class TerminalRow:
    """One terminal; times are wall times of its site."""

    id: int
    title: str
    site: Name | None
    state: str
    last_contact: datetime | None
    age: timedelta
    silent: bool
    unsent: int | None
    gaps: list[Gap]
    missing: int
    psam: str
    bad_proofs: int
    version: str = ""
    alarms: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class TerminalPage:
    """What one terminal said of itself; times are wall times of its site."""

    row: TerminalRow
    heard: datetime | None
    status: dict[str, Any]
    history: list[tuple[datetime, dict[str, Any]]]


def read_terminals(
    database: Database, now_ms: int, within: Reach = EVERYWHERE
) -> list[TerminalRow]:
    """Read the terminals in reach, those that need attention first."""
    with database.reading() as session:
        found = session.execute(
            sa.select(Terminal, Site)
            .outerjoin(Site, Site.id == Terminal.site_id)
            .where(site_in_reach(session, within))
            .order_by(Terminal.last_contact_ms, Terminal.id)
            .limit(TERMINAL_ROWS)
        ).all()
        gaps = _gaps(session)
        modules = _modules(session)
        quiet = {each.terminal_id for each in silence.silent(session, now_ms)}
        told = {each.id: each for each in fleet(session, now_ms)}
        rows = [
            _row((row[0], row[1]), gaps[row[0].id], modules, now_ms, silent=row[0].id in quiet)
            for row in found
        ]
        return [_with_status(row, told.get(row.id)) for row in rows]


def read_terminal(
    database: Database, terminal_id: int, now_ms: int, within: Reach = EVERYWHERE
) -> TerminalPage:
    """Read what one terminal said of itself, now and lately.

    Raises:
        NotFound: There is no such terminal in reach.
    """
    rows = [row for row in read_terminals(database, now_ms, within) if row.id == terminal_id]
    if not rows:
        raise NotFound
    with database.reading() as session:
        terminal = session.get_one(Terminal, terminal_id)
        tz_q = session.get_one(Site, terminal.site_id).tz_q
        held = session.get(FleetStatus, terminal_id)
        past = history(session, terminal_id, HISTORY_SHOWN)
        heard = None if held is None else local(held.received_ms, tz_q)
        status = {} if held is None else json.loads(held.body)
        lines = [(local(line.pop("received_ms"), tz_q), line) for line in past]
    return TerminalPage(rows[0], heard, status, lines)


def _with_status(row: TerminalRow, told: Standing | None) -> TerminalRow:
    if told is None:
        return row
    alarms = tuple(Name(alarm.zh, alarm.en) for alarm in told.alarms)
    return replace(row, version=str((told.status or {}).get("version", "")), alarms=alarms)


def gaps_between(ranges: list[Gap]) -> list[Gap]:
    """Return what is missing below and between stored runs of sequence numbers, which start at 1.

    >>> gaps_between([(1, 4), (6, 6), (9, 12)])
    [(5, 5), (7, 8)]
    >>> gaps_between([(3, 4)])
    [(1, 2)]
    """
    runs = [(0, 0), *sorted(ranges)]
    return [
        (before[1] + 1, after[0] - 1)
        for before, after in pairwise(runs)
        if after[0] > before[1] + 1
    ]


def _gaps(session: Session) -> defaultdict[int, list[Gap]]:
    ranges: defaultdict[int, list[Gap]] = defaultdict(list)
    for row in session.scalars(sa.select(StoredRange)):
        ranges[row.terminal_id].append((row.first_seq, row.last_seq))
    found: defaultdict[int, list[Gap]] = defaultdict(list)
    found.update({terminal: gaps_between(runs) for terminal, runs in ranges.items()})
    return found


def _modules(session: Session) -> dict[int, bool]:
    usable = sa.select(Psam).where(Psam.state != "revoked").order_by(Psam.from_seq)
    return {psam.terminal_id: psam.hardware for psam in session.scalars(usable)}


def _row(
    pair: tuple[Terminal, Site | None],
    gaps: list[Gap],
    modules: dict[int, bool],
    now_ms: int,
    *,
    silent: bool,
) -> TerminalRow:
    terminal, site = pair
    contact = terminal.last_contact_ms
    age_ms = max(0, now_ms - contact) if contact is not None else 0
    words = {True: "hardware", False: "software", None: ""}
    return TerminalRow(
        id=terminal.id,
        title=terminal.name,
        site=Name(site.name_zh, site.name_en) if site else None,
        state=terminal.state,
        last_contact=local(contact, site.tz_q) if contact is not None and site else None,
        age=timedelta(milliseconds=age_ms),
        silent=silent,
        unsent=terminal.unsent,
        gaps=gaps[:GAPS_SHOWN],
        missing=sum(last - first + 1 for first, last in gaps),
        psam=words[modules.get(terminal.id)],
        bad_proofs=terminal.bad_proofs,
    )
