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
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from server.db import one_of
from server.ingest.checks import Opened
from server.ingest.models import StoredEvent
from server.ingest.ranges import Run
from server.people.models import Card
from swipe.arrays import Bytes2d, Mask

NO_CARD = bytes(10)
_DIGITS = 2 * len(NO_CARD)
# Written once; one text is passed, because a list of hundreds costs more than to look them up.
_REGISTERED = (
    sa.select(sa.func.count())
    .select_from(Card)
    .where(
        sa.type_coerce(Card.asn, sa.String)
        == sa.any_(
            sa.cast(sa.func.string_to_array(sa.bindparam("asns"), ","), postgresql.ARRAY(sa.String))
        )
    )
)


def known_cards(session: Session, serials: Bytes2d) -> Mask:
    """Say of each serial (n, 10) whether the card is registered."""
    digits = serials.tobytes().hex()
    cells = [digits[at : at + _DIGITS] for at in range(0, len(digits), _DIGITS)]
    asns = set(cells) - {NO_CARD.hex()}
    if _count(session, asns) == len(asns):  # nearly always
        known: Mask = np.bitwise_or.reduce(serials, axis=1) != 0
        return known
    found = set(session.scalars(sa.select(Card.asn).where(one_of(session, Card.asn, list(asns)))))
    return np.fromiter((cell in found for cell in cells), dtype=np.bool_, count=len(cells))


def _count(session: Session, asns: set[str]) -> int:
    """Count the registered ones: their serials need not come back from the database."""
    if not asns:
        return 0
    if session.get_bind().dialect.name == "postgresql":
        return session.connection().scalar(_REGISTERED, {"asns": ",".join(asns)}) or 0
    some = sa.select(sa.func.count()).select_from(Card).where(one_of(session, Card.asn, list(asns)))
    return session.scalar(some) or 0


def boots_of(session: Session, opened: Opened, fresh: Mask, run: Run) -> set[int]:
    """Return the boots of new events, and of those that they join to the chain before.

    `run` is the unbroken run the upload is part of now.
    """
    boots = set(np.unique(opened.events["boot"][fresh]).tolist())
    if boots and run.last > opened.last_seq:
        behind = sa.select(StoredEvent.boot).where(
            StoredEvent.terminal_id == opened.header.terminal_id,
            StoredEvent.seq.between(opened.last_seq + 1, run.last),
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
