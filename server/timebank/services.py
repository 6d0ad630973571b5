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

from server.db import insert_new
from server.reconciliation.models import ServiceInterval
from server.timebank.models import REVERSAL, SERVICE, TREASURY, VOLUNTEER, Account, Entry, Transfer
from server.timebank.policy import Posted, Wanted, difference

# Posting takes one number after the other, so one at a time; any constant of our own will do.
POSTING_LOCK = 0x59494B41
# Bound parameters of one statement; SQLite's own limit is far above.
PIECE = 500
ENGINE_ACTOR = "reconciliation"


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
) -> PostingSummary:
    """Post what the current intervals of these people (None: of all) differ from the ledger.

    Running it twice posts nothing the second time.
    """
    _lock(session)
    found = difference(wanted_transfers(session, persons), posted_transfers(session, persons))
    rows: list[dict[str, Any]] = []
    for old in found.reverse:
        rows.append(_row(REVERSAL, old.person, old.key, -old.minutes, reverses=old.transfer_id))
    for new in found.post:
        rows.append(_row(SERVICE, new.person, new.key, new.minutes, interval_id=new.interval_id))
    _insert(session, rows, now_ms, actor)
    return PostingSummary(len(rows), len(found.reverse))


def balance(session: Session, volunteer_id: int) -> int:
    """Return a volunteer's minutes, 0 without an account."""
    statement = (
        sa.select(sa.func.coalesce(sa.func.sum(Entry.minutes), 0))
        .join(Account, Account.id == Entry.account_id)
        .where(Account.kind == VOLUNTEER, Account.owner == volunteer_id)
    )
    return int(session.scalar(statement) or 0)


def _lock(session: Session) -> None:
    """Let one posting run at a time; SQLite has a single writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(POSTING_LOCK)))


def wanted_transfers(session: Session, persons: Collection[int] | None) -> Iterator[Wanted]:
    """Give what the current intervals are worth."""
    statement = sa.select(
        ServiceInterval.person,
        ServiceInterval.key,
        ServiceInterval.id,
        ServiceInterval.credited_minutes,
    ).where(ServiceInterval.current, ServiceInterval.credited_minutes > 0)
    for row in _of(session, statement, ServiceInterval.person, persons):
        yield Wanted(*row)


def posted_transfers(session: Session, persons: Collection[int] | None) -> Iterator[Posted]:
    """Give the service transfers that no other transfer takes back."""
    undo = aliased(Transfer)
    statement = (
        sa.select(Transfer.id, Transfer.person, Transfer.ref, Entry.minutes)
        .join(Entry, Entry.transfer_id == Transfer.id)
        .join(Account, Account.id == Entry.account_id)
        .outerjoin(undo, undo.reverses == Transfer.id)
        .where(Transfer.kind == SERVICE, Account.kind == VOLUNTEER, undo.id.is_(None))
    )
    for row in _of(session, statement, Transfer.person, persons):
        yield Posted(*row)


def _of(
    session: Session,
    statement: sa.Select[*tuple[Any, ...]],
    column: InstrumentedAttribute[int],
    persons: Collection[int] | None,
) -> Iterator[tuple[Any, ...]]:
    """Run a statement for some people, in pieces, or for all."""
    if persons is None:
        yield from session.execute(statement)
        return
    wanted = sorted(set(persons))
    for low in range(0, len(wanted), PIECE):
        part = statement.where(column.in_(wanted[low : low + PIECE]))
        yield from session.execute(part)


def _row(kind: str, person: int, ref: str, minutes: int, **links: int) -> dict[str, Any]:
    row = {"kind": kind, "person": person, "ref": ref, "minutes": minutes}
    return row | {"interval_id": None, "reverses": None} | links


def _insert(session: Session, rows: list[dict[str, Any]], now_ms: int, actor: str) -> None:
    """Insert entries first, then the transfers that seal them."""
    if not rows:
        return
    treasury = _accounts(session, TREASURY, {0})[0]
    people = _accounts(session, VOLUNTEER, {row["person"] for row in rows})
    first = (session.scalar(sa.select(sa.func.max(Transfer.id))) or 0) + 1
    entries: list[dict[str, int]] = []
    transfers: list[dict[str, Any]] = []
    for number, row in enumerate(rows, first):
        minutes = row.pop("minutes")
        account = people[row["person"]]
        entries.append({"transfer_id": number, "account_id": account, "minutes": minutes})
        entries.append({"transfer_id": number, "account_id": treasury, "minutes": -minutes})
        transfers.append({"id": number, "at_ms": now_ms, "actor": actor, **row})
    session.execute(sa.insert(Entry), entries)
    session.execute(sa.insert(Transfer), transfers)


def _accounts(session: Session, kind: str, owners: set[int]) -> dict[int, int]:
    """Return the account of each owner, opened now if need be."""
    found: dict[int, int] = {}
    wanted = sorted(owners)
    for low in range(0, len(wanted), PIECE):
        part = wanted[low : low + PIECE]
        known = sa.select(Account.owner, Account.id).where(
            Account.kind == kind, Account.owner.in_(part)
        )
        found.update(iter(session.execute(known)))
        missing = [owner for owner in part if owner not in found]
        for owner in missing:
            insert_new(session, Account, kind=kind, owner=owner)
        if missing:
            found.update(iter(session.execute(known)))
    return found
