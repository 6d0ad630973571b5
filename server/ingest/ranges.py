# SPDX-License-Identifier: Apache-2.0
"""Which sequence numbers of a terminal are stored: unbroken runs that never touch.

The runs tell at once which events of an upload are new, where the unbroken prefix ends and which
range is missing first, without looking at the events.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from server.ingest.models import StoredRange

FIRST_SEQ = 1
# Written once: to build a statement costs more than to run it.
_STORED = (
    sa.select(StoredRange.first_seq, StoredRange.last_seq)
    .where(StoredRange.terminal_id == sa.bindparam("terminal"))
    .order_by(StoredRange.first_seq)
)
_GROWN = (
    sa.update(StoredRange)
    .where(
        StoredRange.terminal_id == sa.bindparam("terminal"),
        StoredRange.first_seq == sa.bindparam("first"),
    )
    .values(last_seq=sa.bindparam("last"))
    .execution_options(synchronize_session=False)
)
_NEW = sa.insert(StoredRange)


@dataclass(frozen=True, slots=True)
class Run:
    """Sequence numbers first to last, both included."""

    first: int
    last: int

    def __contains__(self, seq: int) -> bool:
        return self.first <= seq <= self.last


@dataclass(frozen=True, slots=True)
class Prefix:
    """The end of the unbroken prefix (0 = none) and the length of the first missing range."""

    up_to: int
    missing: int


def merge(runs: Iterable[Run], new: Run) -> Run:
    """Join a new run with the stored ones that overlap or touch it.

    >>> merge([Run(1, 4), Run(9, 12)], Run(5, 8))
    Run(first=1, last=12)
    """
    together = [new, *runs]
    return Run(min(run.first for run in together), max(run.last for run in together))


def is_new(runs: Iterable[Run], new: Run) -> NDArray[np.bool_]:
    """Say of each number of a new run whether no stored run holds it.

    >>> is_new([Run(1, 4)], Run(3, 6)).tolist()
    [False, False, True, True]
    """
    seqs = np.arange(new.first, new.last + 1)
    fresh = np.ones(len(seqs), dtype=np.bool_)
    for run in runs:
        fresh &= (seqs < run.first) | (seqs > run.last)
    return fresh


def touching(runs: Iterable[Run], new: Run) -> list[Run]:
    """Return the runs that overlap or touch a new one.

    >>> touching([Run(1, 4), Run(9, 12), Run(20, 21)], Run(5, 9))
    [Run(first=1, last=4), Run(first=9, last=12)]
    """
    return [run for run in runs if run.last >= new.first - 1 and run.first <= new.last + 1]


def joined(runs: Iterable[Run], new: Run) -> list[Run]:
    """Return the runs as they are after a new one was added, in order.

    >>> joined([Run(1, 4), Run(20, 21)], Run(5, 9))
    [Run(first=1, last=9), Run(first=20, last=21)]
    """
    stored = list(runs)
    near = touching(stored, new)
    apart = [run for run in stored if run not in near]
    return sorted([*apart, merge(near, new)], key=lambda run: run.first)


def prefix(runs: Sequence[Run]) -> Prefix:
    """Return where the unbroken prefix ends and how much is missing after it; runs in order.

    >>> prefix([Run(1, 4), Run(9, 12)]), prefix([Run(3, 4)])
    (Prefix(up_to=4, missing=4), Prefix(up_to=0, missing=2))
    """
    rest = list(runs)
    up_to = rest.pop(0).last if rest and rest[0].first == FIRST_SEQ else 0
    return Prefix(up_to, rest[0].first - up_to - 1 if rest else 0)


def up_to(runs: Iterable[Run], last: int) -> list[Run]:
    """Return what the runs hold of the numbers up to one.

    >>> up_to([Run(1, 4), Run(9, 12), Run(20, 21)], 10)
    [Run(first=1, last=4), Run(first=9, last=10)]
    """
    return [Run(run.first, min(run.last, last)) for run in runs if run.first <= last]


def load(session: Session, terminal_id: int) -> list[Run]:
    """Return the stored runs of a terminal, in order: one, and one more for every gap."""
    found = session.connection().execute(_STORED, {"terminal": terminal_id})
    return [Run(first, last) for first, last in found]


def save(session: Session, terminal_id: int, near: list[Run], new: Run) -> None:
    """Put a new run in the place of those it touches."""
    merged = merge(near, new)
    if merged in near:
        return
    absorbed = [run.first for run in near if run.first != merged.first]
    if absorbed:
        mine = StoredRange.terminal_id == terminal_id
        session.execute(sa.delete(StoredRange).where(mine, StoredRange.first_seq.in_(absorbed)))
    if any(run.first == merged.first for run in near):
        grown = {"terminal": terminal_id, "first": merged.first, "last": merged.last}
        session.connection().execute(_GROWN, grown)
        return
    row = {"terminal_id": terminal_id, "first_seq": merged.first, "last_seq": merged.last}
    session.connection().execute(_NEW, row)
