# SPDX-License-Identifier: Apache-2.0
"""Check the whole ledger against itself and against the current intervals."""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.reconciliation.models import ServiceInterval
from server.timebank.models import Account, Entry, Transfer
from server.timebank.policy import difference
from server.timebank.services import posted_transfers, wanted_transfers

FAULTS_SHOWN = 20  # the first ones are enough to know where to look
# Written once: to build a statement costs more than to run it.
_SUM = sa.func.coalesce(sa.func.sum(Entry.minutes), 0)
_TOTAL = sa.select(_SUM)
_ACCOUNTS = sa.select(sa.func.count()).select_from(Account)
_TRANSFERS = sa.select(sa.func.count()).select_from(Transfer)
_CREDITED = sa.select(sa.func.coalesce(sa.func.sum(ServiceInterval.credited_minutes), 0)).where(
    ServiceInterval.current
)
_UNBALANCED = (
    sa.select(Entry.transfer_id, sa.func.sum(Entry.minutes))
    .group_by(Entry.transfer_id)
    .having(sa.func.sum(Entry.minutes) != 0)
    .limit(FAULTS_SHOWN)
)
_BELOW_LIMIT = (
    sa.select(Account.kind, Account.owner, Account.minutes, Account.floor, _SUM)
    .outerjoin(Entry, Entry.account_id == Account.id)
    .group_by(Account.id, Account.kind, Account.owner, Account.minutes, Account.floor)
    .having(sa.or_(Account.minutes != _SUM, Account.floor > _SUM))
    .limit(FAULTS_SHOWN)
)


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """What the check found; the ledger is sound when `faults` is empty."""

    ledger_sum: int
    accounts: int
    transfers: int
    credited_minutes: int
    faults: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Say whether nothing is wrong."""
        return not self.faults


def check(session: Session) -> LedgerCheck:
    """Recompute the ledger: sums, limits, and each interval's minutes against what is posted."""
    total = int(session.scalar(_TOTAL) or 0)
    faults = [] if total == 0 else [f"the ledger sums to {total} minutes, not to 0"]
    faults += _unbalanced(session) + _below_limit(session) + _out_of_line(session)
    return LedgerCheck(
        ledger_sum=total,
        accounts=session.scalar(_ACCOUNTS) or 0,
        transfers=session.scalar(_TRANSFERS) or 0,
        credited_minutes=int(session.scalar(_CREDITED) or 0),
        faults=faults[:FAULTS_SHOWN],
    )


def _unbalanced(session: Session) -> list[str]:
    rows = session.execute(_UNBALANCED)
    return [f"transfer {number} sums to {left}" for number, left in rows]


def _below_limit(session: Session) -> list[str]:
    """Hold every account against its entries and its floor."""
    return [
        f"{kind} {owner}: entries {summed}, balance {minutes}, floor {floor}"
        for kind, owner, minutes, floor, summed in session.execute(_BELOW_LIMIT)
    ]


def _out_of_line(session: Session) -> list[str]:
    found = difference(wanted_transfers(session, None), posted_transfers(session, None))
    late = [f"interval {item.key}: {item.minutes} minutes not posted" for item in found.post]
    return late + [f"interval {item.key}: {item.minutes} stand too much" for item in found.reverse]
