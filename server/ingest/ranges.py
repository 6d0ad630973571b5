# SPDX-License-Identifier: Apache-2.0
"""Which sequence numbers of a terminal are stored: unbroken runs that never touch.

The runs tell at once which events of an upload are new, where the unbroken prefix ends and which
range is missing first, without looking at the events.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from server.ingest.models import StoredRange

FIRST_SEQ = 1


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
    joined = [new, *runs]
    return Run(min(run.first for run in joined), max(run.last for run in joined))


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


def touching(session: Session, terminal_id: int, new: Run) -> list[Run]:
    """Return the stored runs that overlap or touch a new one."""
    statement = sa.select(StoredRange.first_seq, StoredRange.last_seq).where(
        StoredRange.terminal_id == terminal_id,
        StoredRange.last_seq >= new.first - 1,
        StoredRange.first_seq <= new.last + 1,
    )
    return [Run(first, last) for first, last in session.execute(statement)]


def add(session: Session, terminal_id: int, runs: list[Run], new: Run) -> Run:
    """Put a new run in the place of those it touches; return the joined run."""
    merged = merge(runs, new)
    if merged in runs:
        return merged
    session.execute(
        sa.delete(StoredRange).where(
            StoredRange.terminal_id == terminal_id,
            StoredRange.first_seq.in_([run.first for run in runs]),
        )
    )
    row = {"terminal_id": terminal_id, "first_seq": merged.first, "last_seq": merged.last}
    session.execute(sa.insert(StoredRange).values(**row))
    return merged


def prefix(session: Session, terminal_id: int) -> Prefix:
    """Return where the unbroken prefix of a terminal ends and how much is missing after it."""
    statement = (
        sa.select(StoredRange.first_seq, StoredRange.last_seq)
        .where(StoredRange.terminal_id == terminal_id)
        .order_by(StoredRange.first_seq)
        .limit(2)
    )
    runs = [Run(first, last) for first, last in session.execute(statement)]
    up_to = runs.pop(0).last if runs and runs[0].first == FIRST_SEQ else 0
    return Prefix(up_to, runs[0].first - up_to - 1 if runs else 0)
