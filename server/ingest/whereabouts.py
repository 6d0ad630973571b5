# SPDX-License-Identifier: Apache-2.0
"""When events of a terminal arrived, told by the batches that brought them.

Events stand in partitions by arrival, and a number alone makes the database ask every month. The
batch that brought an event has the same instant of arrival, so with it one month is asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.ingest.models import Batch, StoredEvent
from swipe.batch import MAX_BATCH_EVENTS

# How far beside an upload its neighbours are looked for in the months that its arrivals tell.
BESIDE = 64
# Written once: to build a statement costs more than to run it.
_FIRST = sa.bindparam("near_first", type_=sa.BigInteger)
_LAST = sa.bindparam("near_last", type_=sa.BigInteger)
_BRINGING = (
    Batch.terminal_id == sa.bindparam("terminal"),
    Batch.first_seq.between(_FIRST - (MAX_BATCH_EVENTS - 1), _LAST),
    Batch.first_seq + Batch.count > _FIRST,
)
# One row: when the first and the last of the batches arrived that hold numbers of a span.
ARRIVALS = sa.select(
    sa.func.min(Batch.received_ms).label("from_ms"),
    sa.func.max(Batch.received_ms).label("until_ms"),
).where(*_BRINGING)
# The condition that events are among them; `Arrived.bounds` gives its values.
ARRIVED = StoredEvent.received_ms.between(
    sa.bindparam("from_ms", type_=sa.BigInteger), sa.bindparam("until_ms", type_=sa.BigInteger)
)
_EVENT = sa.select(StoredEvent).where(
    StoredEvent.terminal_id == sa.bindparam("terminal"),
    StoredEvent.seq == sa.bindparam("seq"),
    ARRIVED,
)


@dataclass(frozen=True, slots=True)
class Arrived:
    """Between which instants (ms) some events arrived, both included."""

    from_ms: int
    until_ms: int

    @property
    def bounds(self) -> dict[str, int]:
        """Return the values for a statement with the condition `ARRIVED`."""
        return {"from_ms": self.from_ms, "until_ms": self.until_ms}


# Of events about whose arrival nothing is known.
ANY_TIME = Arrived(-(2**63), 2**63 - 1)


def span(first: int, last: int) -> dict[str, int]:
    """Return the values for `ARRIVALS`, beside the terminal's."""
    return {"near_first": first, "near_last": last}


def arrived(session: Session, terminal_id: int, first: int, last: int) -> Arrived | None:
    """Return between when the batches arrived that hold numbers of a span, None without any."""
    row = session.execute(ARRIVALS, {"terminal": terminal_id, **span(first, last)}).one()
    return None if row[0] is None else Arrived(int(row[0]), int(row[1]))


def find_event(session: Session, terminal_id: int, seq: int) -> StoredEvent | None:
    """Return a stored event; only the month is asked in which its batch arrived."""
    when = arrived(session, terminal_id, seq, seq) or ANY_TIME
    return session.scalars(_EVENT, {"terminal": terminal_id, "seq": seq, **when.bounds}).first()
