# SPDX-License-Identifier: Apache-2.0
"""Bring the ledger in line with the current intervals, and read balances.

What changed is posted as a reversal of the old transfer and a new one; nothing is edited.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from server.reconciliation.models import ServiceInterval
from server.rows import among
from server.terminals.models import Site
from server.timebank.capping import settle_cap
from server.timebank.models import REVERSAL, SERVICE, TREASURY, VOLUNTEER, Account, Entry, Transfer
from server.timebank.moves import LINKED_MAX, Move, Side, lock, move
from server.timebank.policy import Posted, Wanted, difference

ENGINE_ACTOR = "reconciliation"
# Written once: to build a statement costs more than to run it.
_WANTED = (
    sa.select(
        ServiceInterval.person,
        ServiceInterval.key,
        ServiceInterval.id,
        ServiceInterval.credited_minutes,
        sa.func.coalesce(Site.region, ""),
    )
    .outerjoin(Site, Site.id == ServiceInterval.site)
    .where(ServiceInterval.current, ServiceInterval.credited_minutes > 0)
)
_UNDO = aliased(Transfer)
_POSTED = (
    sa.select(Transfer.id, Transfer.person, Transfer.ref, Entry.minutes)
    .join(Entry, Entry.transfer_id == Transfer.id)
    .join(Account, Account.id == Entry.account_id)
    .outerjoin(_UNDO, _UNDO.reverses == Transfer.id)
    .where(Transfer.kind == SERVICE, Account.kind == VOLUNTEER, _UNDO.id.is_(None))
)


@dataclass(frozen=True, slots=True)
class PostingSummary:
    """How many transfers were posted and how many of those take an older one back."""

    posted: int
    reversed: int


def post_differences(
    session: Session,
    persons: Collection[int] | None,
    now_ms: int,
    actor: str = ENGINE_ACTOR,
    *,
    cap: int | None = None,
) -> PostingSummary:
    """Post what the current intervals of these people (None: of all) differ from the ledger.

    Running it twice posts nothing the second time. A correction is posted even if the minutes
    were given away meanwhile: the account then stands below zero until they are earned again.
    What lies above `cap` goes on to the treasury of its region at once; None = no cap.
    """
    lock(session)
    found = difference(wanted_transfers(session, persons), posted_transfers(session, persons))
    moves = reversals(session, found.reverse)
    moves += [_service(item) for item in found.post]
    if cap is not None:
        moves += settle_cap(session, found, cap)
    for low in range(0, len(moves), LINKED_MAX):
        move(session, moves[low : low + LINKED_MAX], now_ms, actor)
    return PostingSummary(len(moves), len(found.reverse))


def _service(item: Wanted) -> Move:
    sides = {
        Side(TREASURY, region=item.region): -item.minutes,
        Side(VOLUNTEER, item.person): item.minutes,
    }
    links = {"interval_id": item.interval_id}
    uid = f"service:{item.interval_id}"
    return Move(uid, SERVICE, item.person, sides, item.key, forced=True, links=links)


def reversals(session: Session, posted: Collection[Posted]) -> list[Move]:
    """Return the transfers that take these back, side by side, from the accounts they went to."""
    sides: dict[int, dict[Side, int]] = {item.transfer_id: {} for item in posted}
    statement = (
        sa.select(Entry.transfer_id, Account.kind, Account.owner, Account.region, Entry.minutes)
        .join(Account, Account.id == Entry.account_id)
        .where(among(session, Entry.transfer_id, sorted(sides)))
    )
    for number, kind, owner, region, minutes in session.execute(statement) if sides else ():
        sides[number][Side(kind, owner, region)] = -minutes
    return [
        Move(
            f"reversal:{item.transfer_id}", REVERSAL, item.person, sides[item.transfer_id],
            item.key, forced=True, links={"reverses": item.transfer_id},
        )
        for item in posted
    ]  # fmt: skip


def balance(session: Session, volunteer_id: int) -> int:
    """Return a volunteer's minutes, 0 without an account."""
    statement = (
        sa.select(sa.func.coalesce(sa.func.sum(Entry.minutes), 0))
        .join(Account, Account.id == Entry.account_id)
        .where(Account.kind == VOLUNTEER, Account.owner == volunteer_id)
    )
    return int(session.scalar(statement) or 0)


def wanted_transfers(session: Session, persons: Collection[int] | None) -> Iterator[Wanted]:
    """Give what the current intervals are worth."""
    for row in _of(session, _WANTED, ServiceInterval.person, persons):
        yield Wanted(*row)


def posted_transfers(session: Session, persons: Collection[int] | None) -> Iterator[Posted]:
    """Give the service transfers that no other transfer takes back."""
    for row in _of(session, _POSTED, Transfer.person, persons):
        yield Posted(*row)


def _of(
    session: Session,
    statement: sa.Select[*tuple[Any, ...]],
    person: InstrumentedAttribute[int],
    persons: Collection[int] | None,
) -> Iterator[tuple[Any, ...]]:
    """Run a statement for some people or for all."""
    session.flush()
    if persons is not None:
        statement = statement.where(among(session, person, sorted(set(persons))))
    # Rows as they are: no object of the ORM is made of them.
    yield from session.connection().execute(statement).all()
