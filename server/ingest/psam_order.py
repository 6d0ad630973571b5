# SPDX-License-Identifier: Apache-2.0
"""The transaction numbers of PSAMs along a terminal's chain: they rise, and skip only a little.

An upload is held against the nearest stored taps before and after it. Numbers are counted as
skipped only where the chain between two taps is unbroken; a gap that an upload fills is looked at
when it is filled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.ingest import policy
from server.ingest.chain import Place
from server.ingest.checks import Opened
from server.ingest.models import StoredEvent
from server.ingest.policy import Ints
from server.ingest.proofs import Weighed
from server.ingest.ranges import merge
from server.ingest.verdicts import Verdict
from server.ingest.whereabouts import ARRIVED, BESIDE, Arrived
from swipe.arrays import Mask
from swipe.kinds import EventType

# Verdicts whose proofs were right, so that their PSAM number is no invention: also of a PSAM that
# was set apart meanwhile, or what it gave out until its release would count as skipped.
BELIEVED = (int(Verdict.OK), int(Verdict.UNKNOWN_CARD), int(Verdict.UNKNOWN_PSAM))


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A stored tap beside an upload: its sequence number and its PSAM's transaction number."""

    seq: int
    psam_seq: int


@dataclass(frozen=True, slots=True)
class PsamFinding:
    """The gaps found in one PSAM's numbers by one upload.

    `moved` marks those where the PSAM went from a dead box into its successor: what it did in
    between the dead box took with it.
    """

    number: bytes
    skipped: Ints
    moved: Mask


def examine(
    session: Session, opened: Opened, weighed: Weighed, place: Place
) -> tuple[Mask, list[PsamFinding]]:
    """Say of each event whether its PSAM number rises, and list the gaps of each PSAM."""
    events = opened.events
    in_order = np.ones(len(events), dtype=np.bool_)
    findings = []
    more_behind = any(run.last > opened.last_seq for run in place.stored)
    for number, rows in _taps_by_psam(opened, weighed):
        neighbours = _Neighbours(session, opened.header.terminal_id, number, place.arrived)
        before = neighbours.before(int(events["seq"][rows[0]]))
        after = neighbours.after(int(events["seq"][rows[-1]])) if more_behind else None
        numbers = events["psam_seq"][rows].astype(np.int64)
        ceiling = after.psam_seq if after else None
        good = policy.rising(numbers, before.psam_seq if before else 0, ceiling)
        in_order[rows] = good
        taps = _Taps(events["seq"][rows[good]], numbers[good], place.fresh[rows[good]])
        skipped, moved = _skipped(place, taps, (before, after), opened.ends)
        findings.append(PsamFinding(number, skipped, moved))
    return in_order, findings


def _taps_by_psam(
    opened: Opened, weighed: Weighed
) -> Iterator[tuple[bytes, np.ndarray[tuple[int], np.dtype[np.intp]]]]:
    # A resolved tap carries the number of a tap that came earlier, often at another terminal.
    counted = (
        weighed.proven
        & weighed.signed
        & weighed.sound
        & weighed.psam_known
        & (opened.events["type"] != EventType.TORN_RESOLVED)
    )
    numbers = np.ascontiguousarray(opened.events["psam_no"]).view("V6").ravel()
    for number in {cell.tobytes() for cell in numbers[counted]}:
        yield number, np.flatnonzero(counted & (numbers == np.void(number)))


@dataclass(frozen=True, slots=True)
class _Taps:
    """Taps of one PSAM in order: sequence numbers, transaction numbers, which are new."""

    seqs: Ints
    numbers: Ints
    fresh: Mask


def _skipped(
    place: Place,
    taps: _Taps,
    beside: tuple[Neighbour | None, Neighbour | None],
    ends: tuple[int, ...],
) -> tuple[Ints, Mask]:
    """Return how many numbers are skipped before each tap, and where a box ended in between."""
    run = merge(place.near, place.run)
    ahead, behind = ([near] if near and near.seq in run else [] for near in beside)

    def line(own: Ints, name: str) -> Ints:
        parts = [[getattr(near, name) for near in ahead], own, [getattr(n, name) for n in behind]]
        return np.concatenate([np.array(part, dtype=np.int64) for part in parts])

    counted = np.concatenate([[False] * len(ahead), taps.fresh, [False] * len(behind)])
    skipped = policy.gaps(line(taps.numbers, "psam_seq"), counted.astype(np.bool_))
    return skipped, policy.across(line(taps.seqs, "seq"), ends)


# Written once: to build a statement costs more than to run it.
_AT = sa.bindparam("at", type_=sa.BigInteger)
_TAPS = (
    sa.select(StoredEvent.seq, StoredEvent.psam_seq)
    .where(
        StoredEvent.terminal_id == sa.bindparam("terminal"),
        StoredEvent.psam_no == sa.bindparam("psam"),
        StoredEvent.verdict.in_(BELIEVED),
        StoredEvent.type != int(EventType.TORN_RESOLVED),
    )
    .limit(1)
)
_BEFORE = _TAPS.where(StoredEvent.seq < _AT).order_by(StoredEvent.seq.desc())
_AFTER = _TAPS.where(StoredEvent.seq > _AT).order_by(StoredEvent.seq)
# Nearly always the neighbour is close, and found without a look at all taps of the PSAM.
_JUST_BEFORE = _BEFORE.where(StoredEvent.seq >= _AT - BESIDE, ARRIVED)
_JUST_AFTER = _AFTER.where(StoredEvent.seq <= _AT + BESIDE, ARRIVED)


@dataclass(frozen=True, slots=True)
class _Neighbours:
    """Look up the nearest believed taps of one PSAM at one terminal."""

    session: Session
    terminal_id: int
    number: bytes
    arrived: Arrived

    def before(self, seq: int) -> Neighbour | None:
        return self._first(_JUST_BEFORE, seq) or self._first(_BEFORE, seq)

    def after(self, seq: int) -> Neighbour | None:
        return self._first(_JUST_AFTER, seq) or self._first(_AFTER, seq)

    def _first(self, statement: sa.Select[int, int], seq: int) -> Neighbour | None:
        tap = {"terminal": self.terminal_id, "psam": self.number, "at": seq}
        row = self.session.connection().execute(statement, tap | self.arrived.bounds).first()
        return Neighbour(row[0], row[1]) if row else None
