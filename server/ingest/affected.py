# SPDX-License-Identifier: Apache-2.0
"""Whose hours an upload may change.

Any event of a boot helps to correct the clock of that boot, by its anchor, by when it arrived, or
by setting the clock; so everybody who tapped in that boot is looked at again. A filled gap lifts
the doubt from the taps after it, whatever their boot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import one_of
from server.ingest.checks import Opened
from server.ingest.models import StoredEvent
from server.ingest.ranges import Run
from server.people.models import Card
from swipe.arrays import Bytes2d, Mask

NO_CARD = bytes(10)


def known_cards(session: Session, serials: Bytes2d) -> Mask:
    """Say of each serial (n, 10) whether the card is registered."""
    cells = [row.tobytes() for row in serials]
    asns = [cell.hex() for cell in set(cells) - {NO_CARD}]
    found = session.scalars(sa.select(Card.asn).where(one_of(session, Card.asn, asns)))
    known = {bytes.fromhex(asn) for asn in found}
    return np.fromiter((cell in known for cell in cells), dtype=np.bool_, count=len(cells))


def boots_of(session: Session, opened: Opened, fresh: Mask, run: Run) -> set[int]:
    """Return the boots of new events, and of those that they join to the chain before.

    `run` is the unbroken run the upload is part of now.
    """
    boots = set(np.unique(opened.events["boot"][fresh]).tolist())
    if boots and run.last > opened.header.last_seq:
        behind = sa.select(StoredEvent.boot).where(
            StoredEvent.terminal_id == opened.header.terminal_id,
            StoredEvent.seq.between(opened.header.last_seq + 1, run.last),
        )
        boots |= set(session.scalars(behind.distinct()))
    return boots


def people_of_boots(session: Session, boots: Mapping[int, Iterable[int]]) -> set[int]:
    """Return who tapped in some boots, given by terminal."""
    people: set[int] = set()
    for terminal_id, numbers in boots.items():
        tapped = sa.select(StoredEvent.card_asn).where(
            StoredEvent.terminal_id == terminal_id, StoredEvent.boot.in_(list(numbers))
        )
        owners = sa.select(Card.volunteer_id).where(Card.asn.in_(tapped)).distinct()
        people |= set(session.scalars(owners))
    return people
