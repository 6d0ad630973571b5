# SPDX-License-Identifier: Apache-2.0
"""Boxes that have ended themselves: their last word was DECOMMISSION, and nobody has acted on it.

The word is noted in the audit trail when it is stored, so that nobody has to look for it among all
events. It counts until the terminal is revoked or another box has its place.
"""

from __future__ import annotations

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.ingest.models import StoredEvent
from server.people import audit
from server.people.models import Audit
from server.terminals.models import Replacement, Terminal
from swipe import payloads
from swipe.arrays import EventArray, Mask
from swipe.errors import SwipeError
from swipe.event import Event
from swipe.kinds import EventType

ENDED = "terminal.ended-itself"
SERVING = ("active", "quarantined")


def note(session: Session, terminal_id: int, events: EventArray, signed: Mask, now_ms: int) -> None:
    """Write down each signed DECOMMISSION among events that have just been stored."""
    for row in np.flatnonzero(signed & (events["type"] == EventType.DECOMMISSION)).tolist():
        event = Event.from_bytes(events[row].tobytes())
        audit.record(
            session, now_ms, audit.SYSTEM_ACTOR, ENDED, f"terminal:{terminal_id}",
            seq=event.seq, **_reason(event),
        )  # fmt: skip


def _reason(event: Event) -> dict[str, int]:
    """Return why a box ended itself; nothing if its word cannot be read: it has ended all the same.

    An upload must not fail for it, or it would for ever.
    """
    try:
        return {"reason": int(payloads.parse(event.type, event.payload)["reason"])}
    except SwipeError:
        return {}


def ended(session: Session) -> set[int]:
    """Return the serving terminals whose box has ended itself and has no successor."""
    said: dict[int, int] = {}
    for subject, detail in session.execute(
        sa.select(Audit.subject, Audit.detail).where(Audit.action == ENDED).order_by(Audit.id)
    ):
        terminal_id = int(subject.removeprefix("terminal:"))
        said[terminal_id] = max(said.get(terminal_id, 0), int(detail["seq"]))
    if not said:
        return set()
    serving = session.execute(
        sa.select(Terminal.id, sa.func.max(Replacement.last_seq))
        .outerjoin(
            Replacement,
            sa.and_(Replacement.terminal_id == Terminal.id, Replacement.state == "approved"),
        )
        .where(Terminal.id.in_(said), Terminal.state.in_(SERVING))
        .group_by(Terminal.id)
    )
    return {
        terminal_id
        for terminal_id, begun_behind in serving.all()
        if said[terminal_id] > (begun_behind or 0) and not _taps(session, terminal_id, said)
    }


def _taps(session: Session, terminal_id: int, said: dict[int, int]) -> bool:
    """Say whether a terminal taps on behind its own end: then it was not its last word."""
    later = sa.select(StoredEvent.seq).where(
        StoredEvent.terminal_id == terminal_id,
        StoredEvent.seq > said[terminal_id],
        StoredEvent.type < int(EventType.OPEN),
    )
    return session.scalar(later.limit(1)) is not None
