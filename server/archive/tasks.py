# SPDX-License-Identifier: Apache-2.0
"""What a worker of the cluster does: correct clocks by terminals, then judge people by shards.

Both are the kernel of `server.reconciliation` on a part of the history. The first task sends every
tap to the shard of its person; a guardian's taps go to the shards of the wards as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from server.archive import columns
from server.archive.tap_files import Source, localise
from server.reconciliation import arrays, running
from server.reconciliation.arrays import Array, History, Result
from server.reconciliation.clock import CLOCK_ROWS, DROPPED
from server.reconciliation.compiled import Engine, choose_engine
from server.reconciliation.parameters import Policy
from server.reconciliation.preparing import rows_of

# A tap with its corrected time, on its way to the shard of its person.
SENT_DTYPE = np.dtype(
    [
        *(
            (name, kind)
            for name, kind, *_ in arrays.TAP_DTYPE.descr
            if name not in ("batch", "anchor")
        ),
        ("row", "i8"),
        ("received_ms", "i8"),
        ("when_ms", "i8"),
        ("radius_ms", "i4"),
        ("note", "i2"),
    ]
)
# Results name taps and corrections of the whole history, which may be more than 32 bits count.
INTERVAL_FILE = np.dtype(
    [
        (name, "i8" if name in ("in_row", "out_row", "person") else kind)
        for name, kind, *_ in arrays.INTERVAL_DTYPE.descr
    ]
)
EXCEPTION_FILE = np.dtype(
    [
        (name, "i8" if name in ("row", "other_row", "person") else arrays.EXCEPTION_DTYPE[name].str)
        for name in arrays.EXCEPTION_DTYPE.names or ()
    ]
)
INTERVALS, EXCEPTIONS = "intervals", "exceptions"


class Facts(Protocol):
    """Turns what was found in a shard into rows that name events and decisions themselves."""

    def tables(
        self, history: History, result: Result, corrections: NDArray[np.intp]
    ) -> tuple[pa.Table, pa.Table]:
        """Return intervals and exceptions; `corrections` are the shard's rows of all decisions."""


@dataclass(frozen=True)
class Job:
    """What every task is told: the small registers, how to cut people, how to judge them."""

    source: Source
    registers: History
    engine: str
    policy: Policy
    as_of_ms: int
    out: Path
    facts: Facts | None = None  # None: results stay indices into the whole history

    @property
    def shards(self) -> int:
        """Return into how many shards people are cut."""
        return self.source.shards

    @cached_property
    def shard_of(self) -> NDArray[np.int64]:
        """Return the shard of each person."""
        shard: NDArray[np.int64] = self.registers.persons["id"] % self.shards
        return shard

    @cached_property
    def visits(self) -> NDArray[np.int64]:
        """Return (guardian, shard) for each guardian whose ward is in another shard."""
        persons = self.registers.persons
        wards = np.flatnonzero((persons["minor_until_ms"] > 0) & (persons["guardian"] >= 0))
        pairs = np.stack((persons["guardian"][wards].astype(np.int64), self.shard_of[wards]), 1)
        away = self.shard_of[pairs[:, 0]] != pairs[:, 1]
        return np.unique(pairs[away], axis=0)

    def choose(self) -> Engine:
        """Return the engine; a task has one processor."""
        return replace(choose_engine(self.engine, 0), threads=1)


def correct(job: Job, name: str) -> Iterator[tuple[int, bytes]]:
    """Correct the clocks of one part of the taps; give each shard of people the bytes of theirs."""
    filed = job.source.read(name)
    yield from deal(job, filed, correct_filed(job, filed))


def correct_filed(job: Job, filed: Array) -> Array:
    """Return the corrected times of the taps of a file."""
    history, engine = localise(filed, job.registers), job.choose()
    table = engine.table(history.taps)
    clock = running.correct_clocks(history, table, engine.settings(job.policy), engine)
    return rows_of(clock, CLOCK_ROWS, len(filed))


def deal(job: Job, filed: Array, clock: Array) -> Iterator[tuple[int, bytes]]:
    """Give the taps of cards, each to the shard of its person and to those of the wards."""
    kept = np.flatnonzero((filed["card"] >= 0) & (clock["note"] & DROPPED == 0))
    sent = np.zeros(len(kept), SENT_DTYPE)
    for name in SENT_DTYPE.names or ():
        source = clock if name in (CLOCK_ROWS.names or ()) else filed
        sent[name] = source[name][kept]
    owners = job.registers.cards["person"][sent["card"]]
    order = np.argsort(job.shard_of[owners], kind="stable")
    edges = np.searchsorted(job.shard_of[owners][order], np.arange(job.shards + 1))
    for shard in range(job.shards):
        rows = order[edges[shard] : edges[shard + 1]]
        if len(rows):
            yield shard, sent[rows].tobytes()
    for shard in np.unique(job.visits[:, 1]).tolist():
        guests = job.visits[job.visits[:, 1] == shard, 0]
        rows = np.flatnonzero(np.isin(owners, guests))
        if len(rows):
            yield shard, sent[rows].tobytes()


def judge(job: Job, shard: int, parts: Iterable[bytes]) -> tuple[History, Result, Array]:
    """Judge the people of one shard; return their history, the result, the taps as they came.

    Indices of the result lead into the history of the shard.
    """
    sent = np.frombuffer(b"".join(parts), SENT_DTYPE)
    sent = sent[np.argsort(sent["row"], kind="stable")]
    history, clock = _history(job, shard, sent)
    engine = job.choose()
    corrected = (engine.table(history.taps), engine.table(clock))
    return history, running.judge(history, corrected, engine, job.policy, job.as_of_ms), sent


def _history(job: Job, shard: int, sent: Array) -> tuple[History, Array]:
    whole = job.registers
    people = np.flatnonzero(job.shard_of == shard)
    guests = job.visits[job.visits[:, 1] == shard, 0]
    together = np.union1d(people, guests)
    person_of = _places(together, len(whole.persons))
    persons = whole.persons[together]
    persons["derive"][np.isin(together, guests)] = 0
    persons["guardian"] = _moved(persons["guardian"], person_of)
    own_cards = np.flatnonzero(person_of[whole.cards["person"]] >= 0)
    cards = whole.cards[own_cards]
    cards["person"] = person_of[cards["person"]]
    corrections = whole.corrections[kept_corrections(job, shard)]
    corrections["person"] = person_of[corrections["person"]]
    taps = arrays.empty(arrays.TAP_DTYPE, len(sent))
    clock = np.zeros(len(sent), CLOCK_ROWS)
    for name in SENT_DTYPE.names or ():
        if name in (CLOCK_ROWS.names or ()):
            clock[name] = sent[name]
        elif name in (arrays.TAP_DTYPE.names or ()):
            taps[name] = sent[name]
    taps["card"] = _places(own_cards, len(whole.cards))[sent["card"]]
    taps["batch"], taps["anchor"] = np.arange(len(sent)), -1
    batches = arrays.empty(arrays.BATCH_DTYPE, len(sent))
    batches["id"], batches["received_ms"] = np.arange(len(sent)), sent["received_ms"]
    return (
        replace(
            whole, taps=taps, batches=batches, persons=persons, cards=cards, corrections=corrections
        ),
        clock,
    )


def kept_corrections(job: Job, shard: int) -> NDArray[np.intp]:
    """Return the rows of the corrections of the people of a shard."""
    return np.flatnonzero(job.shard_of[job.registers.corrections["person"]] == shard)


def _places(chosen: NDArray[np.intp], count: int) -> NDArray[np.int64]:
    """Return where each chosen row stands among the chosen, -1 for the others.

    >>> _places(np.array([1, 3]), 4).tolist()
    [-1, 0, -1, 1]
    """
    places = np.full(count, -1, np.int64)
    places[chosen] = np.arange(len(chosen))
    return places


def _moved(indices: NDArray[np.int32], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return indices as they are among the chosen rows, -1 for none and for those left out.

    >>> _moved(np.array([-1, 0, 3]), np.array([-1, 0, -1, 1])).tolist()
    [-1, -1, 1]
    """
    if not len(places):
        return np.full(len(indices), -1, np.int64)
    return np.where(indices >= 0, places[np.maximum(indices, 0)], -1)


def file_result(job: Job, shard: int, parts: Iterable[bytes]) -> tuple[int, int, int, int]:
    """Judge a shard and file the result; return shard, intervals, exceptions and minutes.

    A task that runs twice writes the same files twice.
    """
    history, result, sent = judge(job, shard, parts)
    minutes = int(result.intervals["minutes"].sum())
    tables = (
        _indexed(job, shard, (history, result, sent))
        if job.facts is None
        else job.facts.tables(history, result, kept_corrections(job, shard))
    )
    for kind, table in zip((INTERVALS, EXCEPTIONS), tables, strict=True):
        columns.write(job.out / kind / f"s{shard:04d}.parquet", table)
    return shard, len(result.intervals), len(result.exceptions), minutes


def _indexed(
    job: Job, shard: int, found: tuple[History, Result, Array]
) -> tuple[pa.Table, pa.Table]:
    """Return intervals and exceptions with the indices of the whole history."""
    history, result, sent = found
    rows = np.append(sent["row"], -1)
    people = np.searchsorted(job.registers.persons["id"], history.persons["id"])
    decided = np.append(kept_corrections(job, shard), -1)
    intervals = _widened(result.intervals, INTERVAL_FILE)
    exceptions = _widened(result.exceptions, EXCEPTION_FILE)
    for table in (intervals, exceptions):
        table["person"] = people[table["person"]]
    intervals["correction"] = decided[intervals["correction"]]
    for table, names in ((intervals, ("in_row", "out_row")), (exceptions, ("row", "other_row"))):
        for name in names:
            table[name] = rows[table[name]]
    return columns.to_table(intervals), columns.to_table(exceptions)


def _widened(rows: Array, dtype: np.dtype[np.void]) -> Array:
    wide = np.zeros(len(rows), dtype)
    for name in dtype.names or ():
        wide[name] = rows[name]
    return wide
