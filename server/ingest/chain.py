# SPDX-License-Identifier: Apache-2.0
"""Hold an upload against what is stored: what is new, what is a fork, what was signed again.

A fork is a second content for a number that is stored, or a link that contradicts a stored
neighbour. It is kept as evidence and never stored as an event.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from server.db import insert_new
from server.errors import Problem
from server.ingest import ranges
from server.ingest.checks import Opened
from server.ingest.models import EventFork, StoredEvent
from server.ingest.ranges import FIRST_SEQ, Run
from server.ingest.whereabouts import ARRIVED, Arrived
from swipe.arrays import Mask
from swipe.event import genesis_prev

# What comes of a box that was replaced is a kind of its own: it says nothing of the box in service.
FORK, RESIGNED, OLD_BOX = "fork", "resigned", "old-box"
# Evidence of one terminal and kind; beyond this more of the same proves nothing and fills the disk.
EVIDENCE_MAX = 1_000
PREV_FROM, PREV_TO = 128, 160
# Written once: to build a statement costs more than to run it.
_RAW = sa.select(StoredEvent.raw).where(
    StoredEvent.terminal_id == sa.bindparam("terminal"),
    StoredEvent.seq == sa.bindparam("seq"),
    ARRIVED,
)
_STORED = sa.select(StoredEvent.seq, StoredEvent.content_hash, StoredEvent.event_hash).where(
    StoredEvent.terminal_id == sa.bindparam("terminal"),
    StoredEvent.seq.between(sa.bindparam("first"), sa.bindparam("last")),
    ARRIVED,
)

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an upload stands among what is stored: all stored runs, and those it touches.

    `arrived` tells when the stored events arrived whose numbers are its own or close beside.
    """

    run: Run
    stored: list[Run]
    near: list[Run]
    fresh: Mask
    forks: Rows
    resigned: Rows
    arrived: Arrived

    @property
    def gaps(self) -> bool:
        """Say whether something was missing before this upload."""
        return bool(ranges.prefix(self.stored).missing)


def place(session: Session, opened: Opened, first_key: bytes, arrived: Arrived) -> Place:
    """Compare an upload with the stored events it overlaps or touches.

    `arrived` tells when those arrived whose numbers are its own or close beside.

    Raises:
        Problem: 422 when event number 1 does not start the chain of the enrolled key.
    """
    terminal_id = opened.header.terminal_id
    run = Run(opened.first_seq, opened.last_seq)
    stored = ranges.load(session, terminal_id)
    near = ranges.touching(stored, run)
    fresh = ranges.is_new(near, run)
    forks = np.zeros(len(fresh), dtype=np.bool_)
    resigned = np.zeros(len(fresh), dtype=np.bool_)
    if not fresh.all():
        forks, resigned = _overlap(session, opened, arrived)
    if run.first == FIRST_SEQ and fresh[0]:
        _check_start(opened, terminal_id, first_key)
    if fresh[0] and any(run.first - 1 in other for other in near):
        before = opened.suite.digest(_raw_of(session, (terminal_id, run.first - 1), arrived))
        forks[0] |= before != opened.events["prev"][0].tobytes()
    if fresh[-1] and any(run.last + 1 in other for other in near):
        after = _raw_of(session, (terminal_id, run.last + 1), arrived)[PREV_FROM:PREV_TO]
        forks[-1] |= after != opened.links[-1].tobytes()
    found = np.flatnonzero(forks), np.flatnonzero(resigned)
    return Place(run, stored, near, fresh, *found, arrived)


def keep_evidence(session: Session, opened: Opened, rows: Rows, kind: str, now_ms: int) -> int:
    """Keep events that contradict stored ones, the same one twice once; return how many are new."""
    if not len(rows):
        return 0
    terminal_id = opened.header.terminal_id
    kept = session.scalar(
        sa.select(sa.func.count())
        .select_from(EventFork)
        .where(EventFork.terminal_id == terminal_id, EventFork.kind == kind)
    )
    new = 0
    for row in rows[: max(0, EVIDENCE_MAX - (kept or 0))].tolist():
        new += insert_new(
            session,
            EventFork,
            terminal_id=terminal_id,
            seq=opened.first_seq + row,
            event_hash=opened.event_hashes[row].tobytes(),
            content_hash=opened.content_hashes[row].tobytes(),
            kind=kind,
            raw=opened.events[row].tobytes(),
            received_ms=now_ms,
            batch_no=opened.header.batch_no,
        )
    return new


def _overlap(session: Session, opened: Opened, arrived: Arrived) -> tuple[Mask, Mask]:
    first = opened.first_seq
    own = {"terminal": opened.header.terminal_id, "first": first, "last": opened.last_seq}
    forks = np.zeros(len(opened.events), dtype=np.bool_)
    resigned = np.zeros(len(opened.events), dtype=np.bool_)
    for seq, content_hash, event_hash in session.connection().execute(
        _STORED, own | arrived.bounds
    ):
        row = seq - first
        forks[row] = content_hash != opened.content_hashes[row].tobytes()
        resigned[row] = not forks[row] and event_hash != opened.event_hashes[row].tobytes()
    return forks, resigned


def _check_start(opened: Opened, terminal_id: int, first_key: bytes) -> None:
    if opened.events["prev"][0].tobytes() != genesis_prev(terminal_id, first_key):
        raise Problem(
            422,
            "chain-start",
            "第一条记录没有从入网密钥开始",
            "event 1 does not start the chain of the enrolled key",
        )


def _raw_of(session: Session, event: tuple[int, int], arrived: Arrived) -> bytes:
    key = {"terminal": event[0], "seq": event[1]}
    return session.connection().scalars(_RAW, key | arrived.bounds).one()
