# SPDX-License-Identifier: Apache-2.0
"""What the ledger shows: statement of a volunteer, trial balance, value of a coin."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.people import audit
from server.reconciliation.corrections import Said
from server.timebank.models import HELD, VOLUNTEER, Account, CoinValue, Entry, Transfer
from server.timebank.policy import coin_value_fen, coins

ROWS_MAX = 500
WAGE_FEN_MAX = 100_000  # a thousand yuan an hour


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a statement; `balance` is what was there after it."""

    transfer: int
    at_ms: int
    kind: str
    ref: str
    minutes: int
    balance: int
    actor: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A volunteer's account: available, on hold, in coins, and its latest lines, newest first."""

    available: int
    held: int
    coins: str
    rows: list[Row]


def statement(session: Session, person: int, limit: int = ROWS_MAX) -> Statement:
    """Return the statement of a volunteer."""
    running = sa.func.sum(Entry.minutes).over(order_by=Transfer.id)
    lines = (
        sa.select(
            Transfer.id, Transfer.at_ms, Transfer.kind, Transfer.ref, Entry.minutes, running,
            Transfer.actor,
        )
        .join(Entry, Entry.transfer_id == Transfer.id)
        .join(Account, Account.id == Entry.account_id)
        .where(Account.kind == VOLUNTEER, Account.owner == person)
        .order_by(Transfer.id.desc())
        .limit(min(limit, ROWS_MAX))
    )  # fmt: skip
    rows = [Row(*found) for found in session.execute(lines)]
    amounts = sa.select(Account.kind, Account.minutes).where(
        Account.owner == person, Account.kind.in_((VOLUNTEER, HELD))
    )
    by_kind = dict(iter(session.execute(amounts)))
    available = int(by_kind.get(VOLUNTEER, 0))
    return Statement(available, int(by_kind.get(HELD, 0)), coins(available), rows)


@dataclass(frozen=True, slots=True)
class TrialRow:
    """The accounts of one kind in one region: how many, their balances, their entries."""

    kind: str
    region: str
    accounts: int
    minutes: int
    entries: int


def trial_balance(session: Session) -> list[TrialRow]:
    """Return the sums of all accounts by kind and region; their minutes sum to zero."""
    entries = (
        sa.select(Entry.account_id, sa.func.sum(Entry.minutes).label("summed"))
        .group_by(Entry.account_id)
        .subquery()
    )
    rows = (
        sa.select(
            Account.kind,
            Account.region,
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(Account.minutes), 0),
            sa.func.coalesce(sa.func.sum(entries.c.summed), 0),
        )
        .outerjoin(entries, entries.c.account_id == Account.id)
        .group_by(Account.kind, Account.region)
        .order_by(Account.kind, Account.region)
    )
    return [
        TrialRow(kind, region, int(count), int(minutes), int(summed))
        for kind, region, count, minutes, summed in session.execute(rows)
    ]


def set_coin_value(
    session: Session, day: dt.date, wages_fen: tuple[int, int], said: Said
) -> CoinValue:
    """Set the wages that the value of a coin follows from, from a day on; nothing is edited.

    Raises:
        Refused: a wage is none.
    """
    average, minimum = wages_fen
    if not (0 < minimum <= average <= WAGE_FEN_MAX):
        raise Refused("wages", "工资数不对", "wages in fen an hour, the minimum not above the mean")
    made = CoinValue(
        from_day=day, average_fen=average, minimum_fen=minimum, actor=said.actor,
        reason=said.reason, at_ms=said.now_ms,
    )  # fmt: skip
    session.add(made)
    session.flush()
    audit.record(
        session, said.now_ms, said.actor, "coin.valued", f"coin-value:{made.id}",
        average_fen=average, minimum_fen=minimum,
    )  # fmt: skip
    return made


def coin_value(session: Session, day: dt.date) -> int | None:
    """Return the value of a coin in fen on a day, None before the first."""
    newest = sa.select(CoinValue).where(CoinValue.from_day <= day)
    found = session.scalars(
        newest.order_by(CoinValue.from_day.desc(), CoinValue.id.desc()).limit(1)
    ).first()
    return coin_value_fen(found.average_fen, found.minimum_fen) if found else None
