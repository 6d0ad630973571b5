# SPDX-License-Identifier: Apache-2.0
"""From arrays to a desk the kernel can work at: checked, ordered, indexed, with room to write."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.reconciliation.arrays import (
    ACTIVITY_DTYPE,
    BATCH_DTYPE,
    CARD_DTYPE,
    CORRECTION_DTYPE,
    PARAMETER_DTYPE,
    PERSON_DTYPE,
    SITE_DTYPE,
    TAP_DTYPE,
    TERMINAL_DTYPE,
    Array,
    History,
)
from server.reconciliation.clock import DROPPED
from server.reconciliation.codes import MANUAL
from server.reconciliation.compiled import Engine
from server.reconciliation.desk import (
    CORRECTION_ROWS,
)
from server.reconciliation.ordering import Stretch

DTYPES = {
    "taps": TAP_DTYPE,
    "persons": PERSON_DTYPE,
    "cards": CARD_DTYPE,
    "terminals": TERMINAL_DTYPE,
    "batches": BATCH_DTYPE,
    "activities": ACTIVITY_DTYPE,
    "corrections": CORRECTION_DTYPE,
    "sites": SITE_DTYPE,
    "parameters": PARAMETER_DTYPE,
}
REGISTERS = ("persons", "cards", "terminals", "batches", "activities", "sites", "parameters")
# Which index leads where; -1 is allowed where a row may have none. Taps are surveyed apart.
REFERENCES = (
    ("cards", "person", "persons", 0),
    ("persons", "guardian", "persons", -1),
    ("corrections", "person", "persons", 0),
    ("corrections", "terminal", "terminals", -1),
    ("corrections", "activity", "activities", -1),
)


def check(history: History) -> None:
    """Raise ``ValueError`` if an array does not keep what `arrays` promises."""
    for name, dtype in DTYPES.items():
        if getattr(history, name).dtype != dtype:
            raise ValueError(f"{name}: not of the dtype declared for it")
    for name in REGISTERS:
        ids = getattr(history, name)["id"]
        if not bool((ids[1:] > ids[:-1]).all()):
            raise ValueError(f"{name}: not sorted by id, or an id occurs twice")
    for name, field, register, least in REFERENCES:
        values = getattr(history, name)[field]
        size = len(getattr(history, register))
        if len(values) and not least <= int(values.min()) <= int(values.max()) < size:
            raise ValueError(f"{name}.{field}: leads outside {register}")


class Places(NamedTuple):
    """Card by card: where its rows begin (the last is the end), how many may open an interval.

    And how many events are time that was entered by hand.
    """

    starts: NDArray[np.int64]
    openings: NDArray[np.int32]
    sheets: int


def order_cards(history: History, taps: Any, clock: Any, engine: Engine) -> tuple[Any, Places]:
    """Return the rows that belong to a line, card by card, and where each card begins.

    Stretches of the events are counted, then written side by side; within a card the earlier
    stretch comes first, so that their number does not show.
    """
    cards = len(history.cards)
    stretches = [
        Stretch(taps, clock, first, stop) for first, stop in cuts(len(history.taps), engine.threads)
    ]
    counts = [engine.numbers(np.zeros(cards, np.int32)) for _ in stretches]
    openings = [engine.numbers(np.zeros(cards, np.int32)) for _ in stretches]
    sheets = side_by_side(engine, engine.count_cards, zip(stretches, counts, openings, strict=True))
    starts = np.zeros(cards + 1, np.int64)
    np.cumsum(np.sum(counts, axis=0), out=starts[1:])
    places, reached = [], starts[:-1].copy()
    for own in counts:
        places.append(engine.numbers(reached))
        reached = reached + np.asarray(own)
    order = engine.numbers(np.empty(starts[-1], np.int32))
    side_by_side(
        engine,
        engine.fill_cards,
        [(part, own, order) for part, own in zip(stretches, places, strict=True)],
    )
    return order, Places(starts, np.sum(openings, axis=0, dtype=np.int32), sum(sheets))


def cuts(count: int, parts: int) -> list[tuple[int, int]]:
    """Cut so many rows into parts of about the same length.

    >>> cuts(7, 2)
    [(0, 3), (3, 7)]
    """
    edges = [count * part // parts for part in range(parts + 1)]
    return list(itertools.pairwise(edges))


def side_by_side(
    engine: Engine, job: Callable[..., Any], given: Iterable[tuple[Any, ...]]
) -> list[Any]:
    """Run a job with each set of arguments, in threads if there are several; return the answers."""
    work = list(given)
    if len(work) == 1:
        return [job(*work[0])]
    with ThreadPoolExecutor(engine.threads) as pool:
        return [done.result() for done in [pool.submit(job, *arguments) for arguments in work]]


def starts_of(owners: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return where each owner's rows begin once they are sorted by owner; the last is the end.

    >>> starts_of(np.array([2, 0, 2]), 3).tolist()
    [0, 1, 1, 3]
    """
    return np.concatenate(([0], np.cumsum(np.bincount(owners, minlength=count)))).astype(np.int64)


def order_sheets(
    history: History, clock: Any, sheets: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of time entered by hand, person by person, and where each person begins.

    To look for them costs a pass over all events: only if the count of `sheets` asks for it.
    """
    taps, persons = history.taps, len(history.persons)
    if sheets == 0:
        return np.zeros(0, np.int64), np.zeros(persons + 1, np.int64)
    rows = np.flatnonzero((taps["type"] == MANUAL) & (taps["card"] >= 0))
    rows = rows[[not clock[row]["note"] & DROPPED for row in rows.tolist()]] if len(rows) else rows
    owners = history.cards["person"][taps["card"][rows]]
    order = np.lexsort((taps["seq"][rows], taps["terminal"][rows], owners))
    return rows[order], starts_of(owners, persons)


def correction_rows(corrections: Array, decided: NDArray[np.int64]) -> Array:
    """Return the corrections person by person, each with its row in the array given."""
    rows = np.zeros(len(corrections), CORRECTION_ROWS)
    for name in CORRECTION_ROWS.names or ():
        rows[name] = decided if name == "row" else corrections[decided][name]
    return rows


def rows_of(table: Any, dtype: np.dtype[np.void], count: int | None = None) -> Array:
    """Return the first rows of a table as an array."""
    if isinstance(table, np.ndarray):
        return table[:count]
    count = len(table) if count is None else count
    rows = np.zeros(count, dtype)
    for name in dtype.names or ():
        rows[name] = [table[row][name] for row in range(count)]
    return rows
