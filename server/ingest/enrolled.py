# SPDX-License-Identifier: Apache-2.0
"""Read what a terminal is enrolled with, as far as one upload needs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.ingest import boxes
from server.ingest.boxes import BoxKey
from server.ingest.models import Batch
from server.ingest.proofs import Enrolled, PsamView, Stamp
from server.terminals.models import Psam, Replacement, Terminal, TerminalKey
from swipe.arrays import EventArray

ACCEPTED_STATES = ("active", "quarantined")
REVOKED = "revoked"
# What may still come from a revoked terminal: a year of a busy site, then nothing but noise.
LATE_EVENTS_MAX = 100_000


def _psams_in(state: str) -> sa.ScalarSelect[int]:
    """Count the terminal's PSAMs in one state."""
    mine = sa.and_(Psam.terminal_id == sa.bindparam("terminal"), Psam.state == state)
    return sa.select(sa.func.count()).select_from(Psam).where(mine).scalar_subquery()


# How the PSAMs stand: one that is let in or set apart changes a count, and both if let in again.
_PSAMS = (_psams_in("active").label("serving"), _psams_in("quarantined").label("apart"))
# Written once: to build a statement costs more than to run it.
_KEYS = (
    sa.select(
        *_PSAMS,
        Terminal.state,
        TerminalKey.id,
        TerminalKey.public_key,
        TerminalKey.valid_from_ms,
        TerminalKey.revoked_ms,
        TerminalKey.until_seq,
        TerminalKey.replaces,
        Replacement.last_seq.label("begins_behind"),
    )
    .join(TerminalKey, TerminalKey.terminal_id == Terminal.id)
    .outerjoin(
        Replacement,
        sa.and_(
            Replacement.terminal_id == Terminal.id,
            Replacement.key_id == TerminalKey.id,
            Replacement.state == "approved",
        ),
    )
    .where(Terminal.id == sa.bindparam("terminal"))
    .order_by(TerminalKey.id)
)
# How the keys stand, in three numbers: one that ends adds to the first, a nearer end lessens the
# second, and one that is let in adds to the third; and how the PSAMs stand, in two.
STAMPS = sa.select(
    sa.func.count(TerminalKey.until_seq).label("ended"),
    sa.func.coalesce(sa.func.sum(TerminalKey.until_seq), 0).label("ends"),
    sa.func.count(TerminalKey.valid_from_ms).label("let_in"),
    *_PSAMS,
).where(TerminalKey.terminal_id == sa.bindparam("terminal"))
_NAMED = sa.select(
    Psam.number, Psam.terminal_id, Psam.dpk_idx, Psam.hardware, Psam.from_seq, Psam.state
).where(Psam.number.in_(sa.bindparam("numbers", expanding=True)))


def load(session: Session, terminal_id: int, events: EventArray) -> Enrolled:
    """Return the valid keys of a terminal (none unless approved) and the PSAMs it names.

    Of a revoked terminal they are those it had: its events are stored, and reconciliation credits
    what came after the revocation only with card evidence and approval (rule 57).
    """
    keys = session.connection().execute(_KEYS, {"terminal": terminal_id}).all()
    state = keys[0].state if keys else None
    late = state == REVOKED
    revoked_ms = max((key.revoked_ms for key in keys if key.revoked_ms is not None), default=0)
    accepted = state in ACCEPTED_STATES or (late and _has_room(session, terminal_id, revoked_ms))
    valid = {
        key.id: key.public_key
        for key in keys
        if accepted and key.valid_from_ms is not None and (late or key.revoked_ms is None)
    }
    lasts = boxes.last_numbers(BoxKey(key.id, key.replaces, key.begins_behind) for key in keys)
    ends = {key: last + 1 for key, last in lasts.items()}
    for key in keys:
        if key.until_seq is not None:
            ends[key.id] = min(key.until_seq, ends.get(key.id, key.until_seq))
    return Enrolled(
        terminal_id=terminal_id,
        keys=valid,
        ends=ends,
        lasts=lasts,
        first_key=keys[0].public_key if keys else b"",
        stamp=_stamp(keys),
        psams=_psams(session, events, terminal_id if late else None),
    )


def _stamp(keys: Sequence[sa.Row[*tuple[Any, ...]]]) -> Stamp:
    """Return what `STAMPS` gives for the keys that were read, before their PSAMs are."""
    ended = [key.until_seq for key in keys if key.until_seq is not None]
    let_in = sum(key.valid_from_ms is not None for key in keys)
    psams = (keys[0].serving, keys[0].apart) if keys else (0, 0)
    return len(ended), sum(ended), let_in, *psams


def _has_room(session: Session, terminal_id: int, revoked_ms: int) -> bool:
    """Say whether a revoked terminal may still bring something."""
    statement = sa.select(sa.func.coalesce(sa.func.sum(Batch.count), 0)).where(
        Batch.terminal_id == terminal_id, Batch.received_ms >= revoked_ms
    )
    return (session.scalar(statement) or 0) < LATE_EVENTS_MAX


def _psams(session: Session, events: EventArray, late: int | None) -> dict[bytes, PsamView]:
    """Return the PSAMs that events name; `late` is a revoked terminal, whose PSAMs went with it."""
    cells = np.ascontiguousarray(events["psam_no"]).view("V6").ravel()
    numbers = sorted({cell.tobytes() for cell in cells})
    found = session.connection().execute(_NAMED, {"numbers": numbers})
    return {
        psam.number: PsamView(
            terminal_id=psam.terminal_id,
            dpk_idx=psam.dpk_idx,
            hardware=psam.hardware,
            from_seq=psam.from_seq,
            active=psam.state == "active" or (psam.state == REVOKED and psam.terminal_id == late),
        )
        for psam in found
    }
