# SPDX-License-Identifier: Apache-2.0
"""Move minutes: all or nothing, once for each uid, never below a floor.

Who moves holds one lock until the unit of work ends: transfers are numbered in the order in which
they become durable. Accounts are written in the order of their numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from server.db import one_of
from server.errors import Refused
from server.rows import among, hold, insert_rows, is_postgresql, numbers_table, pairs_table
from server.timebank.models import HELD, VOLUNTEER, Account, Entry, Transfer

# Moving takes one number after the other, so one at a time; any constant of our own will do.
POSTING_LOCK = 0x59494B41
# Bound parameters of one statement; SQLite's own limit is far above.
PIECE = 500
UID_LENGTH_MAX = 80
# A page of linked transfers; more at once is an import.
LINKED_MAX = 100_000
LINKS = ("interval_id", "reverses", "resolves", "expires_ms")
ENTRY_COLUMNS = ("transfer_id", "account_id", "minutes")
TRANSFER_COLUMNS = (
    "id", "uid", "digest", "kind", "person", "ref", "at_ms", "actor", "linked", *LINKS,
)  # fmt: skip
# A volunteer cannot give what is not there; a hold cannot give more than it holds.
FLOORS = {VOLUNTEER: 0, HELD: 0}


@dataclass(frozen=True, slots=True)
class Side:
    """An account by its name: kind, owner (a volunteer's id, else 0), region."""

    kind: str
    owner: int = 0
    region: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """One transfer to be made; `sides` sum to zero. `forced`: a floor gives way (a correction)."""

    uid: str
    kind: str
    person: int
    sides: dict[Side, int]
    ref: str = ""
    forced: bool = False
    links: dict[str, int] = field(default_factory=dict)

    @property
    def digest(self) -> bytes:
        """Return what identifies the content of the order."""
        sides = sorted((side.kind, side.owner, side.region, n) for side, n in self.sides.items())
        links = {name: n for name, n in self.links.items() if name != "expires_ms"}
        content = [self.kind, self.person, sides, self.ref, sorted(links.items())]
        return hashlib.sha256(json.dumps(content).encode()).digest()


def lock(session: Session) -> None:
    """Let one mover run at a time; SQLite has a single writer anyway."""
    hold(session, POSTING_LOCK)


def move(session: Session, moves: Sequence[Move], now_ms: int, actor: str) -> list[int]:
    """Make all transfers or none; return their numbers. Known uids are not made again.

    Raises:
        Refused: a uid is known with other content, some of them are known and some are not, or an
            account would fall below its floor. Nothing was written.
    """
    if not moves:
        return []
    if len(moves) > LINKED_MAX:
        raise Refused("too-many", "一次转账过多", f"at most {LINKED_MAX} transfers at once")
    lock(session)
    known = _known(session, moves)
    if known:
        return known
    accounts = find_accounts(session, {side for item in moves for side in item.sides})
    with session.begin_nested():  # a refusal leaves nothing, even if the caller goes on
        _write_accounts(session, moves, accounts)
    first = (session.scalar(sa.select(sa.func.max(Transfer.id))) or 0) + 1
    linked = first if len(moves) > 1 else None
    entries: list[tuple[int, int, int]] = []
    rows: list[tuple[Any, ...]] = []
    for number, item in enumerate(moves, first):
        entries += [(number, accounts[side], minutes) for side, minutes in item.sides.items()]
        rows.append(
            (
                number, item.uid, item.digest, item.kind, item.person, item.ref, now_ms, actor,
                linked, *(item.links.get(name) for name in LINKS),
            )
        )  # fmt: skip
    insert_rows(session, Entry, ENTRY_COLUMNS, entries)
    insert_rows(session, Transfer, TRANSFER_COLUMNS, rows)
    return list(range(first, first + len(moves)))


def _known(session: Session, moves: Sequence[Move]) -> list[int]:
    found: dict[str, tuple[int, bytes]] = {}
    uids = [item.uid for item in moves]
    if len(set(uids)) != len(uids) or any(not 0 < len(uid) <= UID_LENGTH_MAX for uid in uids):
        raise Refused("uid", "转账编号重复或过长", "a uid is short and of its own")
    statement = sa.select(Transfer.uid, Transfer.id, Transfer.digest)
    for uid, number, digest in session.execute(
        statement.where(one_of(session, Transfer.uid, uids))
    ):
        found[uid] = (number, bytes(digest))
    if not found:
        return []
    if len(found) != len(moves):
        raise Refused("linked-partly-known", "这组转账只有一部分已入账", "part of them is known")
    if any(found[item.uid][1] != item.digest for item in moves):
        raise Refused("uid-reused", "此编号已用于另一笔转账", "the uid is known with other content")
    return [found[item.uid][0] for item in moves]


def find_accounts(session: Session, sides: Collection[Side]) -> dict[Side, int]:
    """Return the number of each account, opened now if need be."""
    found: dict[Side, int] = {}
    by_place: dict[tuple[str, str], list[int]] = defaultdict(list)
    for side in sides:
        by_place[side.kind, side.region].append(side.owner)
    for (kind, region), owners in sorted(by_place.items()):
        known = sa.select(Account.owner, Account.id).where(
            Account.kind == kind, Account.region == region, among(session, Account.owner, owners)
        )
        numbers = dict(iter(session.execute(known)))
        missing = sorted(set(owners) - numbers.keys())
        if missing:
            _open(session, kind, region, missing)
            numbers = dict(iter(session.execute(known)))
        found |= {Side(kind, owner, region): number for owner, number in numbers.items()}
    return found


def _open(session: Session, kind: str, region: str, owners: Sequence[int]) -> None:
    """Open accounts, numbered in the order of their owners; who has one keeps it."""
    given = numbers_table(session, owners).subquery()
    minutes, floor = sa.literal(0), sa.literal(FLOORS.get(kind), sa.BigInteger)
    opened = sa.select(
        sa.literal(kind), given.c[0], sa.literal(region), minutes, floor
    ).where(sa.true())  # fmt: skip
    insert = postgresql.insert if is_postgresql(session) else sqlite.insert
    columns = ("kind", "owner", "region", "minutes", "floor")
    statement = insert(Account).from_select(columns, opened).on_conflict_do_nothing()
    session.connection().execute(statement)


def _write_accounts(session: Session, moves: Sequence[Move], accounts: dict[Side, int]) -> None:
    """Change the balances in the order of the accounts; refuse what falls below a floor."""
    changes: dict[int, int] = defaultdict(int)
    forced: set[int] = set()
    for item in moves:
        for side, minutes in item.sides.items():
            changes[accounts[side]] += minutes
            if item.forced:
                forced.add(accounts[side])
    ordered = sorted((number, change) for number, change in changes.items() if change)
    free = [row for row in ordered if row[1] > 0 or row[0] in forced]
    if is_postgresql(session):
        _write_at_once(session, free)
    else:
        _write_each(session, free)
    for number, change in ordered:
        if change < 0 and number not in forced:
            _take(session, number, change)


def _yielding(change: sa.ColumnElement[int]) -> dict[str, Any]:
    """Return what becomes of an account whose floor gives way.

    A correction may leave a debt; the floor follows it down, and up again with what is earned.
    """
    table = Account
    after = table.minutes + change
    floor = sa.case(
        (table.floor.is_(None), None),
        (after < table.floor, after),
        (sa.and_(table.floor < 0, after < 0), after),
        else_=0,
    )
    return {"minutes": after, "floor": floor}


def _write_at_once(session: Session, changes: list[tuple[int, int]]) -> None:
    """Change accounts by one statement."""
    if not changes:
        return
    given = pairs_table(changes)
    statement = (
        sa.update(Account).where(Account.id == given.c.first).values(**_yielding(given.c.second))
    )
    session.connection().execute(statement)


def _write_each(session: Session, changes: list[tuple[int, int]]) -> None:
    """Change accounts one after the other."""
    if changes:
        change = sa.bindparam("change", type_=sa.BigInteger)
        statement = (
            sa.update(Account)
            .where(Account.id == sa.bindparam("number"))
            .values(**_yielding(change))
        )
        values = [{"number": number, "change": change} for number, change in changes]
        session.connection().execute(statement, values)


def _take(session: Session, number: int, change: int) -> None:
    table = Account
    enough = sa.or_(table.floor.is_(None), table.minutes + change >= table.floor)
    taken = session.connection().execute(
        sa.update(Account).where(table.id == number, enough).values(minutes=table.minutes + change)
    )
    if taken.rowcount != 1:
        raise Refused("limit", "余额不足", "the account would fall below its limit")
