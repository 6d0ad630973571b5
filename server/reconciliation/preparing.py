# SPDX-License-Identifier: Apache-2.0
"""From arrays to a desk the kernel can work at: checked, ordered, indexed, with room to write."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.reconciliation import ordering
from server.reconciliation.arrays import (
    ACTIVITY_DTYPE,
    BATCH_DTYPE,
    CARD_DTYPE,
    CORRECTION_DTYPE,
    EXCEPTION_DTYPE,
    INTERVAL_DTYPE,
    PERSON_DTYPE,
    TAP_DTYPE,
    TERMINAL_DTYPE,
    Array,
    History,
)
from server.reconciliation.clock import CLOCK_ROWS, OFFSET_ROWS, Boot
from server.reconciliation.compiled import Engine
from server.reconciliation.desk import (
    CARD_ROWS,
    CORRECTION_ROWS,
    COUNTS,
    DRAFT_ROWS,
    LINE_ROWS,
    PERSON_ROWS,
    SLOT_ROWS,
    Desk,
)

DTYPES = {
    "taps": TAP_DTYPE,
    "persons": PERSON_DTYPE,
    "cards": CARD_DTYPE,
    "terminals": TERMINAL_DTYPE,
    "batches": BATCH_DTYPE,
    "activities": ACTIVITY_DTYPE,
    "corrections": CORRECTION_DTYPE,
}
REGISTERS = ("persons", "cards", "terminals", "batches", "activities")
# Which index leads where; -1 is allowed where a row may have none. Taps are surveyed apart.
REFERENCES = (
    ("cards", "person", "persons", 0),
    ("persons", "guardian", "persons", -1),
    ("corrections", "person", "persons", 0),
    ("corrections", "terminal", "terminals", -1),
    ("corrections", "activity", "activities", -1),
)
# A tap raises at most: itself refused or orphaned, a counter gap before it, its interval.
EXCEPTIONS_PER_TAP = 3


class Work(NamedTuple):
    """Work rows large enough for the person with most taps, cards and corrections."""

    line: Any
    slots: Any
    drafts: Any
    counts: Any


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


def lay_out(history: History, engine: Engine, settings: Any, as_of_ms: int) -> tuple[Desk, Desk]:
    """Correct the clocks, order the cards, index the registers.

    Returns two desks that share the facts and have work rows of their own; nobody sits there yet.
    """
    taps = engine.table(history.taps)
    clock = correct_clocks(history, taps, settings, engine)
    order, starts = order_cards(history, taps, clock, engine)
    corrections = history.corrections
    decided = np.lexsort((corrections["id"], corrections["at_ms"], corrections["person"]))
    work = make_room(history, starts, engine)
    own = Desk(
        taps=taps,
        clock=clock,
        order=order,
        cards=engine.table(card_rows(history, starts)),
        person_cards=engine.numbers(np.argsort(history.cards["person"], kind="stable")),
        persons=engine.table(person_rows(history)),
        terminals=engine.table(history.terminals),
        batches=engine.table(history.batches),
        activities=engine.table(history.activities),
        corrections=engine.table(correction_rows(corrections, decided)),
        line=work.line,
        slots=work.slots,
        drafts=work.drafts,
        counts=work.counts,
        intervals=engine.room(len(order) + len(corrections), INTERVAL_DTYPE),
        exceptions=engine.room(EXCEPTIONS_PER_TAP * len(order), EXCEPTION_DTYPE),
        policy=settings,
        as_of_ms=as_of_ms,
    )
    return own, own._replace(**make_room(history, starts, engine)._asdict())


def correct_clocks(history: History, taps: Any, settings: Any, engine: Engine) -> Any:
    """Return the corrected times, a row per event."""
    count = len(history.taps)
    registers = (history.terminals, history.cards, history.activities, history.batches)
    sizes = ordering.Sizes(*(len(register) for register in registers))
    found = engine.survey(taps, sizes)
    if found == ordering.UNSOUND:
        raise ValueError("taps: an index leads outside its register")
    order = np.arange(count, dtype=np.int32)
    if found == ordering.UNSORTED:
        order = ordering.by_terminal(history.taps)
    clock = engine.table(np.zeros(count, CLOCK_ROWS))
    work = Boot(
        taps=taps,
        order=engine.numbers(order),
        batches=engine.table(history.batches),
        clock=clock,
        offsets=engine.room(count, OFFSET_ROWS),
        start=0,
        stop=0,
    )
    engine.correct_clocks(work, settings)
    return clock


def order_cards(
    history: History, taps: Any, clock: Any, engine: Engine
) -> tuple[Any, NDArray[np.int64]]:
    """Return the rows that belong to a line, card by card, and where each card begins."""
    starts = engine.numbers(np.zeros(len(history.cards) + 1, np.int64))
    engine.count_cards(taps, clock, starts)
    order = engine.numbers(np.zeros(starts[-1], np.int32))
    engine.fill_cards(taps, clock, engine.numbers(np.array(starts)), order)
    return order, np.array(starts, np.int64)


def starts_of(owners: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return where each owner's rows begin once they are sorted by owner; the last is the end.

    >>> starts_of(np.array([2, 0, 2]), 3).tolist()
    [0, 1, 1, 3]
    """
    return np.concatenate(([0], np.cumsum(np.bincount(owners, minlength=count)))).astype(np.int64)


def card_rows(history: History, starts: NDArray[np.int64]) -> Array:
    """Return the cards with their places in the order of taps."""
    rows = np.zeros(len(history.cards), CARD_ROWS)
    rows["revoked_ms"] = history.cards["revoked_ms"]
    rows["start"], rows["stop"] = starts[:-1], starts[1:]
    return rows


def person_rows(history: History) -> Array:
    """Return the persons with the places of their cards and corrections."""
    rows = np.zeros(len(history.persons), PERSON_ROWS)
    for name in ("minor_until_ms", "guardian", "derive"):
        rows[name] = history.persons[name]
    cards = starts_of(history.cards["person"], len(rows))
    decided = starts_of(history.corrections["person"], len(rows))
    rows["cards"], rows["cards_stop"] = cards[:-1], cards[1:]
    rows["decided"], rows["decided_stop"] = decided[:-1], decided[1:]
    return rows


def correction_rows(corrections: Array, decided: NDArray[np.int64]) -> Array:
    """Return the corrections person by person, each with its row in the array given."""
    rows = np.zeros(len(corrections), CORRECTION_ROWS)
    for name in CORRECTION_ROWS.names or ():
        rows[name] = decided if name == "row" else corrections[decided][name]
    return rows


def make_room(history: History, starts: NDArray[np.int64], engine: Engine) -> Work:
    """Return work rows for the person with most taps, cards and corrections."""
    owners = history.cards["person"]
    entries = int(np.bincount(owners, weights=np.diff(starts), minlength=1).max())
    slots = int(np.bincount(owners, minlength=1).max())
    corrections = int(np.bincount(history.corrections["person"], minlength=1).max())
    return Work(
        line=engine.table(np.zeros(entries, LINE_ROWS)),
        slots=engine.table(np.zeros(slots, SLOT_ROWS)),
        drafts=engine.table(np.zeros(entries + corrections, DRAFT_ROWS)),
        counts=engine.numbers(np.zeros(COUNTS, "i8")),
    )


def rows_of(table: Any, dtype: np.dtype[np.void], count: int | None = None) -> Array:
    """Return the first rows of a table as an array."""
    if isinstance(table, np.ndarray):
        return table[:count]
    count = len(table) if count is None else count
    rows = np.zeros(count, dtype)
    for name in dtype.names or ():
        rows[name] = [table[row][name] for row in range(count)]
    return rows
