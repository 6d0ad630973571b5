# SPDX-License-Identifier: Apache-2.0
"""Counters in the database: values rise, may skip, never repeat."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.people.models import Sequence

VOLUNTEER = "volunteer"
# Applicants, until they are volunteers.
PRELIMINARY = "preliminary"
CARD_SERIAL = "card_serial"
# Steps whenever a card becomes listed or leaves the hotlist: the hotlist's version.
CARD_LISTING = "card_listing"


def next_value(session: Session, name: str) -> int:
    """Take the next value; the counter's row stays locked until the unit of work ends."""
    statement = (
        sa.update(Sequence)
        .where(Sequence.name == name)
        .values(value=Sequence.value + 1)
        .returning(Sequence.value)
    )
    value: int = session.execute(
        statement, execution_options={"synchronize_session": False}
    ).scalar_one()
    return value


def current_value(session: Session, name: str) -> int:
    """Return the last value that was given out, 0 when none was."""
    value: int = session.execute(
        sa.select(Sequence.value).where(Sequence.name == name)
    ).scalar_one()
    return value
