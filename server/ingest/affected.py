# SPDX-License-Identifier: Apache-2.0
"""Whose hours an upload may change: the people of its cards, and whoever it explains.

A filled gap lifts the doubt from the taps after it; a TIME_SET tells what the clock of the same
boot was worth before.
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
from swipe.kinds import EventType

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
    terminal_id = opened.header.terminal_id
    doubts = []
    if run.last > opened.header.last_seq and fresh.any():
        doubts.append(StoredEvent.seq.between(opened.header.last_seq + 1, run.last))
    set_clock = fresh & (opened.events["type"] == EventType.TIME_SET)
    if set_clock.any():
        boots = np.unique(opened.events["boot"][set_clock]).tolist()
        doubts.append(StoredEvent.boot.in_(boots))
    if not doubts:
        return set()
    statement = (
        sa.select(StoredEvent.card_asn)
        .where(StoredEvent.terminal_id == terminal_id, sa.or_(*doubts))
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
