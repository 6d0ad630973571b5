# SPDX-License-Identifier: Apache-2.0
"""After how long a terminal's silence is unusual, by its own past uploads.

A kiosk in a park uploads every minute, an office not from Friday evening to Monday, a bus once a
week. So each terminal is measured by itself: the longest pause that began on each day, the same
weekdays compared with each other (`policy.usual_pause_ms`).
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.ingest import endings, policy
from server.ingest.models import Batch
from server.terminals.models import Site, Terminal

HEARD_STATES = ("active", "quarantined")
QUARTER_MS = 900_000


@dataclass(frozen=True, slots=True)
class Silent:
    """A terminal that has been silent for longer than it ever usually is; milliseconds."""

    terminal_id: int
    name: str
    heard_ms: int
    silent_ms: int
    usual_ms: int | None
    limit_ms: int


Pauses = dict[int, dict[int, int]]


def day_pauses(session: Session, now_ms: int) -> Pauses:
    """Return of each terminal the longest pause (ms) that began on each local day.

    Days are counted from 1970-01-01 in the site's zone; a pause that has not ended yet is none.
    """
    offset = Site.tz_q * QUARTER_MS
    following = sa.func.lead(Batch.received_ms).over(
        partition_by=Batch.terminal_id, order_by=(Batch.received_ms, Batch.id)
    )
    uploads = (
        sa.select(
            Batch.terminal_id,
            ((Batch.received_ms + offset) // policy.DAY_MS).label("day"),
            (following - Batch.received_ms).label("pause"),
        )
        .join(Terminal, Terminal.id == Batch.terminal_id)
        .join(Site, Site.id == Terminal.site_id)
        .where(Batch.received_ms >= now_ms - policy.PAUSE_WINDOW_MS)
        .subquery()
    )
    key = (uploads.c.terminal_id, uploads.c.day)
    longest = (
        sa.select(*key, sa.func.max(uploads.c.pause))
        .where(uploads.c.pause.is_not(None))
        .group_by(*key)
    )
    found: Pauses = {}
    for terminal_id, number, pause in session.execute(longest):
        found.setdefault(terminal_id, {})[int(number)] = int(pause)
    return found


def silent(session: Session, now_ms: int, pauses: Pauses | None = None) -> list[Silent]:
    """Return the terminals whose silence is unusual, the longest silent first.

    `pauses` may be those of an hour ago; they change slowly and cost a look at all uploads.
    """
    pauses = day_pauses(session, now_ms) if pauses is None else pauses
    statement = (
        sa.select(
            Terminal.id, Terminal.name, Terminal.last_contact_ms, Terminal.created_ms, Site.tz_q
        )
        .join(Site, Site.id == Terminal.site_id)
        .where(Terminal.state.in_(HEARD_STATES))
    )
    found = []
    gone = endings.ended(session)  # what has ended itself is silent with a reason
    for number, name, contact_ms, created_ms, tz_q in session.execute(statement):
        heard_ms = created_ms if contact_ms is None else contact_ms
        today = (heard_ms + tz_q * QUARTER_MS) // policy.DAY_MS
        usual = policy.usual_pause_ms(pauses.get(number, {}), today)
        limit = policy.silence_limit_ms(usual)
        if now_ms - heard_ms > limit and number not in gone:
            found.append(Silent(number, name, heard_ms, now_ms - heard_ms, usual, limit))
    return sorted(found, key=lambda each: (-each.silent_ms, each.terminal_id))
