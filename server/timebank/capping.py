# SPDX-License-Identifier: Apache-2.0
"""What services earn above the cap of an account goes to the treasury of the region.

The service is posted in full, so that the ledger agrees with the intervals; a second transfer in
the same unit of work takes what is above. Both directions carry uids of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.rows import among
from server.timebank.models import TREASURY, VOLUNTEER, Account, Entry, Transfer
from server.timebank.moves import Move, Side
from server.timebank.policy import Difference, Posted, Wanted, overflow

# Above the cap it ends for the person like what expires; back it comes like what is awarded.
AWAY, BACK = "expiry", "award"
AWAY_UID, BACK_UID = "above-cap:", "below-cap:"


def settle_cap(session: Session, found: Difference, cap: int) -> list[Move]:
    """Return the transfers that keep the people of a difference at the cap, at most one each."""
    changes: dict[int, tuple[list[Posted], list[Wanted]]] = defaultdict(lambda: ([], []))
    for old in found.reverse:
        changes[old.person][0].append(old)
    for new in found.post:
        changes[new.person][1].append(new)
    persons = sorted(changes)
    held, above = _balances(session, persons), _above(session, persons)
    moves = []
    for person in persons:
        taken, given = changes[person]
        change = sum(item.minutes for item in given) - sum(item.minutes for item in taken)
        regions = above[person]
        minutes = overflow(held.get(person, 0), change, sum(regions.values()), cap)
        if minutes > 0:
            parts = _parts([(item.region, item.minutes) for item in reversed(given)], minutes)
            uid = f"{AWAY_UID}{max(item.interval_id for item in given)}"
            moves.append(_move(AWAY, uid, person, parts))
        elif minutes < 0:
            parts = _parts(sorted(regions.items()), -minutes)
            uid = f"{BACK_UID}{max(item.transfer_id for item in taken)}"
            moves.append(_move(BACK, uid, person, parts))
    return moves


def _move(kind: str, uid: str, person: int, parts: dict[str, int]) -> Move:
    sign = 1 if kind == AWAY else -1
    sides = {Side(TREASURY, region=region): sign * part for region, part in parts.items()}
    sides[Side(VOLUNTEER, person)] = -sign * sum(parts.values())
    return Move(uid, kind, person, sides, "cap", forced=True)


def _parts(rooms: Sequence[tuple[str, int]], minutes: int) -> dict[str, int]:
    """Take minutes from regions one after the other, from each at most what is there.

    >>> _parts([("440304", 20), ("440303", 50), ("440304", 9)], 60)
    {'440304': 20, '440303': 40}
    """
    parts: dict[str, int] = {}
    for region, room in rooms:
        part = min(room, minutes)
        if part > 0:
            parts[region] = parts.get(region, 0) + part
            minutes -= part
    return parts


def _balances(session: Session, persons: Sequence[int]) -> dict[int, int]:
    wanted = sa.select(Account.owner, Account.minutes).where(
        Account.kind == VOLUNTEER, among(session, Account.owner, persons)
    )
    return dict(iter(session.execute(wanted)))


def _above(session: Session, persons: Sequence[int]) -> dict[int, dict[str, int]]:
    """Return what went to the treasuries above the cap and stands, by person and region."""
    found: dict[int, dict[str, int]] = defaultdict(dict)
    ours = sa.or_(
        sa.and_(Transfer.kind == AWAY, Transfer.uid.startswith(AWAY_UID)),
        sa.and_(Transfer.kind == BACK, Transfer.uid.startswith(BACK_UID)),
    )
    sums = (
        sa.select(Transfer.person, Account.region, sa.func.sum(Entry.minutes))
        .join(Entry, Entry.transfer_id == Transfer.id)
        .join(Account, Account.id == Entry.account_id)
        .where(among(session, Transfer.person, persons), Account.kind == TREASURY, ours)
        .group_by(Transfer.person, Account.region)
    )
    for person, region, minutes in session.execute(sums):
        if minutes > 0:
            found[person][region] = int(minutes)
    return found
