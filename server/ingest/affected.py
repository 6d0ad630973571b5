# SPDX-License-Identifier: Apache-2.0
"""Whose hours an upload may change: the people of its cards, and whoever it explains.

A filled gap lifts the doubt from the taps after it. Any event of a boot helps to correct the
clock of that boot, by its anchor, by when it arrived, or by setting the clock, so everybody who
tapped in that boot is looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from server.ingest.checks import Opened
from server.ingest.models import StoredEvent
from server.ingest.ranges import Run
from server.people.models import Card

NO_CARD = bytes(10)
# Bound parameters of one statement; SQLite takes 32 766.
IN_LIST_MAX = 10_000


def owners_of_cards(session: Session, serials: NDArray[np.uint8]) -> dict[bytes, int]:
    """Return the volunteer of each registered card among serials (n, 10)."""
    cells = {row.tobytes() for row in serials} - {NO_CARD}
    return _owners(session, [cell.hex() for cell in cells])


def explained(session: Session, opened: Opened, fresh: NDArray[np.bool_], run: Run) -> set[int]:
    """Return the volunteers of stored taps that the new events shed light on.

    `run` is the unbroken run the upload is part of now.
    """
    if not fresh.any():
        return set()
    terminal_id = opened.header.terminal_id
    boots = np.unique(opened.events["boot"][fresh]).tolist()
    doubt: sa.ColumnElement[bool] = StoredEvent.boot.in_(boots)
    if run.last > opened.header.last_seq:
        behind = StoredEvent.seq.between(opened.header.last_seq + 1, run.last)
        doubt = sa.or_(doubt, behind)
    statement = (
        sa.select(StoredEvent.card_asn)
        .where(StoredEvent.terminal_id == terminal_id, doubt)
        .where(StoredEvent.card_asn.is_not(None))
        .distinct()
    )
    asns = [asn for asn in session.scalars(statement) if asn]
    return set(_owners(session, asns).values())


def _owners(session: Session, asns: list[str]) -> dict[bytes, int]:
    owners: dict[bytes, int] = {}
    for at in range(0, len(asns), IN_LIST_MAX):
        part = asns[at : at + IN_LIST_MAX]
        rows = session.execute(sa.select(Card.asn, Card.volunteer_id).where(Card.asn.in_(part)))
        owners |= {bytes.fromhex(asn): volunteer_id for asn, volunteer_id in rows}
    return owners


def known(serials: NDArray[np.uint8], owners: Mapping[bytes, int]) -> NDArray[np.bool_]:
    """Say of each serial whether the card is registered."""
    cells: Iterable[bytes] = (row.tobytes() for row in serials)
    return np.fromiter((cell in owners for cell in cells), dtype=np.bool_, count=len(serials))
