# SPDX-License-Identifier: Apache-2.0
"""Read what a terminal is enrolled with, as far as one upload needs it."""

from __future__ import annotations

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.ingest.proofs import Enrolled, PsamView
from server.terminals.models import Psam, Terminal
from server.terminals.services import keys_of
from swipe.arrays import EventArray

ACCEPTED_STATES = ("active", "quarantined")


def load(session: Session, terminal_id: int, events: EventArray) -> Enrolled:
    """Return the valid keys of a terminal (none unless approved) and the PSAMs it names."""
    state = session.scalar(sa.select(Terminal.state).where(Terminal.id == terminal_id))
    keys = keys_of(session, terminal_id)
    valid = {
        key.id: key.public_key
        for key in keys
        if state in ACCEPTED_STATES and key.valid_from_ms is not None and key.revoked_ms is None
    }
    return Enrolled(
        terminal_id=terminal_id,
        keys=valid,
        ends={key.id: key.until_seq for key in keys if key.until_seq is not None},
        first_key=keys[0].public_key if keys else b"",
        psams=_psams(session, events),
    )


def _psams(session: Session, events: EventArray) -> dict[bytes, PsamView]:
    numbers = [row.tobytes() for row in np.unique(events["psam_no"], axis=0)]
    found = session.scalars(sa.select(Psam).where(Psam.number.in_(numbers)))
    return {
        psam.number: PsamView(
            terminal_id=psam.terminal_id,
            dpk_idx=psam.dpk_idx,
            hardware=psam.hardware,
            from_seq=psam.from_seq,
            active=psam.state == "active",
        )
        for psam in found
    }
