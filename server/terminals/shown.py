# SPDX-License-Identifier: Apache-2.0
"""What came with a key: which PSAM its box showed, and who had printed the code it was shown with.

Both are read from the audit trail, which no one changes: the lines are written with the enrolment.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.people.models import Audit
from server.terminals.models import TerminalKey

ENROLLED = "terminal.enrolled"
# What makes a pairing code; who does one of these may not approve what is shown with it.
LETTER = "terminal.code"
CODE_ACTIONS = ("terminal.ordered", LETTER, "replacement.ordered")


@dataclass(frozen=True, slots=True)
class Shown:
    """The number of the PSAM in the box, and who made its code; None where no line tells."""

    psam_no: bytes | None = None
    code_by: str | None = None


def shown_with(session: Session, key: TerminalKey) -> Shown:
    """Return what was shown with a key, the last time its box enrolled."""
    found, code_by = Shown(), None
    for line in _lines(session, key.terminal_id, (*CODE_ACTIONS, ENROLLED)):
        if line.action != ENROLLED:
            code_by = line.actor
        elif line.detail["public_key"] == key.public_key.hex():
            found = Shown(bytes.fromhex(line.detail["psam"]), code_by)
    return found


def last_code(session: Session, terminal_id: int) -> Audit | None:
    """Return the line of the last act that made a code for a terminal."""
    lines = _lines(session, terminal_id, CODE_ACTIONS)
    return lines[-1] if lines else None


def _lines(session: Session, terminal_id: int, actions: tuple[str, ...]) -> list[Audit]:
    statement = (
        sa.select(Audit)
        .where(Audit.subject == f"terminal:{terminal_id}", Audit.action.in_(actions))
        .order_by(Audit.id)
    )
    return list(session.scalars(statement))
