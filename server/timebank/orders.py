# SPDX-License-Identifier: Apache-2.0
"""What people order: give, redeem, award, hold and settle a hold, reverse, expire.

Every order names a uid of its own: given again it changes nothing and answers the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session, aliased

from server.db import Database
from server.errors import Refused
from server.people import audit
from server.timebank.capping import AWAY_UID, BACK_UID
from server.timebank.models import HELD, TREASURY, VOLUNTEER, Account, Entry, Transfer
from server.timebank.moves import Move, Side, lock, move
from server.timebank.policy import (
    HOLD_MS_MAX,
    MINUTES_MAX,
    REVERSIBLE,
    ROUTES,
    Posted,
    above_cap,
    to_expire,
)
from server.timebank.services import balance, reversals

ENDINGS = ("post", "void", "lapse")
# A collision with another writer is over within milliseconds.
TRIES = 8
FIRST_PAUSE_S = 0.01
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Order:
    """Who moves minutes: uid of the order, giver and taker (volunteer ids), minutes, why."""

    uid: str
    giver: int
    minutes: int
    taker: int = 0
    region: str = ""
    ref: str = ""
    cap: int | None = None  # the most a taker may hold, policy of the deployment
    beyond_cap: str = ""  # why the taker may hold more this time


def settle(database: Database, job: Callable[[Session], Answer]) -> Answer:
    """Run a job in one unit of work; try again after a collision with another writer.

    A transfer that became durable although its answer was lost is found by its uid.
    """
    pause_s = FIRST_PAUSE_S
    for left in reversed(range(TRIES)):
        try:
            with database.writing() as session:
                return job(session)
        except (IntegrityError, DBAPIError) as error:
            if not left or not _passing(error):
                raise
        time.sleep(pause_s)
        pause_s *= 2
    raise AssertionError("the last try returns or raises")


def _passing(error: DBAPIError) -> bool:
    """Tell a collision (same uid, deadlock, serialisation, busy) from a fault."""
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state in ("40001", "40P01", "55P03", "23505")
    return "locked" in str(error.orig) or "UNIQUE" in str(error.orig)


def transfer(session: Session, kind: str, order: Order, now_ms: int, actor: str) -> int:
    """Make a gift, an award or a redemption; return the number of the transfer.

    Raises:
        Refused: the minutes are none, the giver has not enough, or the taker would hold too much.
    """
    _check_minutes(order.minutes)
    if kind not in ("gift", "award", "redeem"):
        raise Refused("kind", "没有这种转账", f"{kind} is not ordered by people")
    here, there = ROUTES[kind]
    treasury = Side(TREASURY, region=order.region)
    giver = treasury if here == TREASURY else Side(VOLUNTEER, order.giver)
    taker = treasury if there == TREASURY else Side(VOLUNTEER, order.taker)
    if giver == taker:
        raise Refused("same-account", "不能转给自己", "nobody gives to themselves")
    person = order.giver if here == VOLUNTEER else order.taker
    if there == VOLUNTEER:
        lock(session)
        if not _is_known(session, order.uid) and above_cap(
            balance(session, order.taker), order.minutes, order.cap
        ):
            raise Refused("cap", "对方余额将超过上限", "the taker would hold more than the cap")
    sides = {giver: -order.minutes, taker: order.minutes}
    return move(session, [Move(order.uid, kind, person, sides, order.ref)], now_ms, actor)[0]


def hold(session: Session, order: Order, until_ms: int, now_ms: int, actor: str) -> int:
    """Set minutes of a volunteer apart until they are posted, voided or the hold lapses.

    Raises:
        Refused: the giver has not enough, or the hold ends in the past or too late.
    """
    _check_minutes(order.minutes)
    if not _is_known(session, order.uid) and not now_ms < until_ms <= now_ms + HOLD_MS_MAX:
        raise Refused("hold-end", "预留期限不对", "a hold ends within 92 days")
    sides = {
        Side(VOLUNTEER, order.giver): -order.minutes,
        Side(HELD, order.giver): order.minutes,
    }
    made = Move(order.uid, "hold", order.giver, sides, order.ref, links={"expires_ms": until_ms})
    return move(session, [made], now_ms, actor)[0]


def post(session: Session, uid: str, held: int, order: Order, now_ms: int, actor: str) -> int:
    """Give what a hold set apart, or less, to the taker (0: the treasury); the rest goes back.

    Raises:
        Refused: there is no such hold, it is settled, has lapsed, or holds less; or the taker
            would hold too much and the order gives no reason for it.
    """
    lock(session)
    if found := _same(session, uid, "post", held):
        return found
    pending = _open_hold(session, held)
    amount = _held_minutes(session, held)
    if pending.expires_ms is not None and pending.expires_ms <= now_ms:
        raise Refused("hold-lapsed", "预留已过期", "the hold has lapsed")
    if not 0 < order.minutes <= amount:
        raise Refused("beyond-hold", "超过预留的时长", f"the hold is of {amount} minutes")
    if order.taker and order.taker != pending.person:
        _keep_to_cap(session, order, now_ms, actor)
    taker = Side(VOLUNTEER, order.taker) if order.taker else Side(TREASURY, region=order.region)
    sides = {Side(HELD, pending.person): -amount}
    sides[taker] = sides.get(taker, 0) + order.minutes
    if amount > order.minutes:
        giver = Side(VOLUNTEER, pending.person)
        sides[giver] = sides.get(giver, 0) + amount - order.minutes
    made = Move(uid, "post", pending.person, sides, order.ref, links={"resolves": held})
    return move(session, [made], now_ms, actor)[0]


def _keep_to_cap(session: Session, order: Order, now_ms: int, actor: str) -> None:
    """Refuse what would lift the taker above the cap; with a reason let it pass, and say so."""
    if not above_cap(balance(session, order.taker), order.minutes, order.cap):
        return
    if not order.beyond_cap:
        raise Refused("cap", "对方余额将超过上限", "the taker would hold more than the cap")
    audit.record(
        session, now_ms, actor, "ledger.beyond-cap", f"volunteer:{order.taker}",
        uid=order.uid, minutes=order.minutes, reason=order.beyond_cap,
    )  # fmt: skip


def release(session: Session, uid: str, held: int, now_ms: int, actor: str) -> int:
    """Void a hold: everything goes back.

    Raises:
        Refused: there is no such hold, or it is settled.
    """
    return _back(session, (uid, "void"), held, now_ms, actor)


def lapse(session: Session, now_ms: int, actor: str) -> list[int]:
    """Give back what lies in holds whose time is over."""
    lock(session)
    end = aliased(Transfer)
    over = (
        sa.select(Transfer.id)
        .outerjoin(end, end.resolves == Transfer.id)
        .where(Transfer.kind == "hold", Transfer.expires_ms <= now_ms, end.id.is_(None))
        .order_by(Transfer.id)
    )
    return [
        _back(session, (f"lapse:{number}", "lapse"), number, now_ms, actor)
        for number in session.scalars(over).all()
    ]


def reverse(session: Session, uid: str, number: int, now_ms: int, actor: str) -> int:
    """Take a transfer back, once.

    Raises:
        Refused: it cannot be taken back, was taken back already, or its taker has spent it.
    """
    lock(session)
    if found := _same(session, uid, "reversal", number):
        return found
    old = session.get(Transfer, number)
    if old is None or old.kind not in REVERSIBLE:
        raise Refused("not-reversible", "这笔转账不能冲正", f"transfer {number} cannot be reversed")
    if session.scalar(sa.select(Transfer.id).where(Transfer.reverses == number)):
        raise Refused("reversed", "这笔转账已经冲正", f"transfer {number} is reversed already")
    if old.kind == "service" or old.uid.startswith((AWAY_UID, BACK_UID)):
        raise Refused("derived", "时长由记录推算，请更正记录", "hours are derived: correct them")
    undo = reversals(session, [Posted(old.id, old.person, old.ref, 0)])[0]
    made = Move(uid, undo.kind, undo.person, undo.sides, undo.ref, links=undo.links)
    return move(session, [made], now_ms, actor)[0]


def expire(session: Session, person: int, before_ms: int, now_ms: int, actor: str) -> int:
    """Take what was earned before an instant and is unspent; return the minutes, 0 = nothing."""
    lock(session)
    mine = sa.and_(Account.kind == VOLUNTEER, Account.owner == person)
    sums = sa.select(
        sa.func.coalesce(
            sa.func.sum(Entry.minutes).filter(Entry.minutes > 0, Transfer.at_ms < before_ms), 0
        ),
        sa.func.coalesce(sa.func.sum(-Entry.minutes).filter(Entry.minutes < 0), 0),
    )
    joined = sums.join(Transfer, Transfer.id == Entry.transfer_id).join(
        Account, Account.id == Entry.account_id
    )
    earned, spent = session.execute(joined.where(mine)).one()
    minutes = min(to_expire(int(earned), int(spent)), max(0, balance(session, person)))
    if minutes:
        sides = {Side(VOLUNTEER, person): -minutes, Side(TREASURY): minutes}
        uid = f"expiry:{person}:{before_ms}:{now_ms}"
        move(session, [Move(uid, "expiry", person, sides)], now_ms, actor)
    return minutes


def _check_minutes(minutes: int) -> None:
    if not 0 < minutes <= MINUTES_MAX:
        raise Refused("minutes", "分钟数不对", f"1 to {MINUTES_MAX} minutes")


def _is_known(session: Session, uid: str) -> bool:
    return session.scalar(sa.select(Transfer.id).where(Transfer.uid == uid)) is not None


def _same(session: Session, uid: str, kind: str, of: int) -> int | None:
    """Return the transfer that this order made before, None if it is new."""
    known = session.scalar(sa.select(Transfer).where(Transfer.uid == uid))
    if known is None:
        return None
    if known.kind != kind or of not in (known.resolves, known.reverses):
        raise Refused("uid-reused", "此编号已用于另一笔转账", "the uid is known with other content")
    return known.id


def _open_hold(session: Session, number: int) -> Transfer:
    found = session.get(Transfer, number)
    if found is None or found.kind != "hold":
        raise Refused("unknown-hold", "没有这笔预留", f"no hold {number}")
    if session.scalar(sa.select(Transfer.id).where(Transfer.resolves == number)):
        raise Refused("hold-settled", "这笔预留已经了结", f"hold {number} is settled")
    return found


def _held_minutes(session: Session, number: int) -> int:
    statement = sa.select(Entry.minutes).where(Entry.transfer_id == number, Entry.minutes > 0)
    return session.scalars(statement).one()


def _back(session: Session, named: tuple[str, str], held: int, now_ms: int, actor: str) -> int:
    uid, kind = named
    lock(session)
    if found := _same(session, uid, kind, held):
        return found
    pending = _open_hold(session, held)
    amount = _held_minutes(session, held)
    sides = {Side(HELD, pending.person): -amount, Side(VOLUNTEER, pending.person): amount}
    made = Move(uid, kind, pending.person, sides, pending.ref, links={"resolves": held})
    return move(session, [made], now_ms, actor)[0]
