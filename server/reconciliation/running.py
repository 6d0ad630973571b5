# SPDX-License-Identifier: Apache-2.0
"""Run the kernel over a history: clocks terminal by terminal, people part by part, side by side.

A part is a stretch of the register of persons with work rows and room of its own. Persons do not
depend on each other, so the number of parts cannot change the result.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.reconciliation import ordering
from server.reconciliation.arrays import EXCEPTION_DTYPE, INTERVAL_DTYPE, Array, History, Result
from server.reconciliation.clock import CLOCK_ROWS, OFFSET_ROWS, Boot
from server.reconciliation.compiled import Engine
from server.reconciliation.desk import (
    COUNTS,
    DRAFT_ROWS,
    EXCEPTIONS,
    INTERVALS,
    LINE_ROWS,
    SHORT_WAY,
    SLOT_ROWS,
    SOUND_ROWS,
    WALK_ROWS,
    Desk,
)
from server.reconciliation.parameters import Policy
from server.reconciliation.preparing import (
    Places,
    correction_rows,
    cuts,
    order_cards,
    order_sheets,
    rows_of,
    side_by_side,
    starts_of,
)
from server.reconciliation.scoping import Scopes, resolve

# A tap raises at most: itself refused or orphaned, a way nobody can have made, a counter gap
# before it, its interval; a sheet raises one.
EXCEPTIONS_PER_TAP = 4
# Rows moved at once when the parts are joined: numpy copies what overlaps.
MOVED_ROWS = 65_536


class Part(NamedTuple):
    """A stretch of the register of persons, and where its intervals go."""

    first: int
    stop: int
    taps: int
    room: slice


class Most(NamedTuple):
    """The most that one person has."""

    taps: int
    cards: int
    corrections: int


class Found(NamedTuple):
    """How many intervals and exceptions a part has, and the room with the exceptions."""

    intervals: int
    exceptions: int
    rows: Any


class Bounds(NamedTuple):
    """Person by person, summed up from 0: taps in lines, and intervals that may come of them."""

    taps: NDArray[np.int64]
    intervals: NDArray[np.int64]


def derive(
    history: History, engine: Engine, policy: Policy, as_of_ms: int, *, short_way: bool = True
) -> Result:
    """Correct the clocks, order the cards, judge every part, join the results.

    Without the `short_way` everybody is judged the long way; the result is the same.
    """
    taps = engine.table(history.taps)
    # Times are given away, not kept here: they make room for the results that are joined.
    return judge(
        history,
        (taps, correct_clocks(history, taps, engine.settings(policy), engine)),
        engine,
        policy,
        as_of_ms,
        short_way=short_way,
    )


def judge(
    history: History,
    corrected: tuple[Any, Any],
    engine: Engine,
    policy: Policy,
    as_of_ms: int,
    *,
    short_way: bool = True,
) -> Result:
    """Judge people whose taps have their corrected times already, a row of times per event.

    Only events that take their place in a line and sheets are looked at: others have said all they
    say when the clocks were corrected.
    """
    taps, clock = corrected
    order, places = order_cards(history, taps, clock, engine)
    scopes = resolve(history, policy)
    settings = engine.settings(policy)
    facts = lay_out(history, (taps, clock, order, places), engine, scopes)
    facts = facts._replace(policy=settings, as_of_ms=as_of_ms)
    parts = cut(sum_up(history, places), engine.threads)
    most = most_of_one(history, places)
    del taps, clock, corrected, order, places
    intervals = engine.room(parts[-1].room.stop, INTERVAL_DTYPE)
    if len(parts) > 1:
        engine.sort_guardians(facts)
    desks = [take_seat(most, facts, part, intervals, engine) for part in parts]
    for desk, _ in desks:
        desk.counts[SHORT_WAY] = int(short_way)
    side_by_side(
        engine,
        lambda part, desk: engine.reconcile_persons(*desk, part.first, part.stop),
        zip(parts, desks, strict=True),
    )
    found = [
        Found(desk.counts[INTERVALS], desk.counts[EXCEPTIONS], desk.exceptions) for desk, _ in desks
    ]
    del facts, desks, desk
    return Result(
        joined_intervals(intervals, parts, found), joined_exceptions(found), scopes.made_of
    )


def correct_clocks(history: History, taps: Any, settings: Any, engine: Engine) -> Any:
    """Return the corrected times, a row per event."""
    count = len(history.taps)
    registers = (history.terminals, history.cards, history.activities, history.batches)
    sizes = ordering.Sizes(*(len(register) for register in registers))
    work = [(taps, sizes, first, stop) for first, stop in cuts(count, engine.threads)]
    found = max(side_by_side(engine, engine.survey, work))
    if found == ordering.UNSOUND:
        raise ValueError("taps: an index leads outside its register")
    order = np.arange(count, dtype=np.int32)
    if found == ordering.UNSORTED:
        order = ordering.by_terminal(history.taps)
    clock = engine.table(np.zeros(count, CLOCK_ROWS))
    batches, numbers = engine.table(history.batches), engine.numbers(order)
    edges = terminal_edges(history.taps["terminal"], order, engine.threads)
    boots = [
        Boot(taps, numbers, batches, clock, engine.room(stop - start, OFFSET_ROWS), start, stop)
        for start, stop in itertools.pairwise(edges)
    ]
    side_by_side(engine, engine.correct_clocks, [(boot, settings) for boot in boots])
    return clock


def terminal_edges(terminal: NDArray[Any], order: NDArray[np.int32], parts: int) -> list[int]:
    """Return positions that cut the events into about equal parts, no terminal in two.

    >>> terminal_edges(np.array([0, 0, 0, 1, 1, 2]), np.arange(6), 2)
    [0, 3, 6]
    """
    count = len(order)
    edges = [0]
    for part in range(1, parts):
        position = max(edges[-1], count * part // parts)
        while 0 < position < count and terminal[order[position]] == terminal[order[position - 1]]:
            position += 1
        edges.append(position)
    return [*edges, count]


def lay_out(
    history: History, ordered: tuple[Any, Any, Any, Places], engine: Engine, scopes: Scopes
) -> Desk:
    """Index the registers; nobody sits at the desk and nothing can be written yet."""
    taps, clock, order, places = ordered
    sheets, sheet_starts = order_sheets(history, clock, places.sheets)
    corrections = history.corrections
    owners, persons = history.cards["person"], len(history.persons)
    decided = np.lexsort((corrections["id"], corrections["at_ms"], corrections["person"]))
    nothing = engine.numbers(np.zeros(COUNTS, np.int64))
    return Desk(
        taps=taps,
        clock=clock,
        order=order,
        order_of=engine.numbers(places.starts),
        cards=engine.table(history.cards),
        person_cards=engine.numbers(np.argsort(owners, kind="stable")),
        cards_of=engine.numbers(starts_of(owners, persons)),
        decided_of=engine.numbers(starts_of(corrections["person"], persons)),
        sheets_of=engine.numbers(sheet_starts),
        persons=engine.table(history.persons),
        terminals=engine.table(history.terminals),
        batches=engine.table(history.batches),
        activities=engine.table(scopes.activities),
        sites=engine.table(scopes.sites),
        sets=engine.table(scopes.sets),
        sheets=engine.numbers(sheets),
        corrections=engine.table(correction_rows(corrections, decided)),
        line=engine.room(0, LINE_ROWS),
        slots=engine.room(0, SLOT_ROWS),
        drafts=engine.room(0, DRAFT_ROWS),
        sound=engine.room(0, SOUND_ROWS),
        keys=nothing,
        walk=engine.room(0, WALK_ROWS),
        counts=nothing,
        intervals=engine.room(0, INTERVAL_DTYPE),
        exceptions=engine.room(0, EXCEPTION_DTYPE),
        policy=Policy(),
        as_of_ms=0,
    )


def sum_up(history: History, places: Places) -> Bounds:
    """Return the sums of taps and possible intervals up to each person."""
    owners, persons = history.cards["person"], len(history.persons)
    taps = np.bincount(owners, weights=np.diff(places.starts), minlength=persons)
    opened = np.bincount(owners, weights=places.openings, minlength=persons)
    decided = np.bincount(history.corrections["person"], minlength=persons)
    return Bounds(
        np.concatenate(([0], np.cumsum(taps))).astype(np.int64),
        np.concatenate(([0], np.cumsum(opened + decided))).astype(np.int64),
    )


def cut(bounds: Bounds, parts: int) -> list[Part]:
    """Cut the register of persons into parts with about the same number of taps.

    >>> cut(Bounds(np.array([0, 4, 8, 12]), np.array([0, 2, 4, 6])), 2)
    [Part(first=0, stop=2, taps=8, room=slice(0, 4, None)), \
Part(first=2, stop=3, taps=4, room=slice(4, 6, None))]
    """
    goals = [bounds.taps[-1] * part // parts for part in range(1, parts)]
    inner = [int(np.searchsorted(bounds.taps, goal)) for goal in goals]
    edges = [0, *inner, len(bounds.taps) - 1]
    return [
        Part(
            first,
            stop,
            int(bounds.taps[stop] - bounds.taps[first]),
            slice(int(bounds.intervals[first]), int(bounds.intervals[stop])),
        )
        for first, stop in itertools.pairwise(edges)
    ]


def take_seat(
    most: Most, facts: Desk, part: Part, intervals: Any, engine: Engine
) -> tuple[Desk, Desk]:
    """Return a desk for a part and one for its guardians, with work rows of their own."""
    room = intervals if engine.plain else intervals[part.room]
    room_for = EXCEPTIONS_PER_TAP * part.taps + len(facts.sheets)
    exceptions = engine.room(room_for, EXCEPTION_DTYPE)
    own = facts._replace(intervals=room, exceptions=exceptions)
    return (
        own._replace(**work_rows(most, engine)),
        own._replace(**work_rows(most, engine)),
    )


def most_of_one(history: History, places: Places) -> Most:
    """Return the most taps, cards and corrections that one person has."""
    owners = history.cards["person"]
    return Most(
        int(np.bincount(owners, weights=np.diff(places.starts), minlength=1).max()),
        int(np.bincount(owners, minlength=1).max()),
        int(np.bincount(history.corrections["person"], minlength=1).max()),
    )


def work_rows(most: Most, engine: Engine) -> dict[str, Any]:
    """Return work rows for the person with most taps, cards and corrections."""
    return {
        "line": engine.table(np.zeros(most.taps, LINE_ROWS)),
        "slots": engine.table(np.zeros(most.cards, SLOT_ROWS)),
        "drafts": engine.table(np.zeros(most.taps + most.corrections, DRAFT_ROWS)),
        "sound": engine.table(np.zeros(most.taps, SOUND_ROWS)),
        "keys": engine.numbers(np.zeros(most.taps, np.int64)),
        "walk": engine.table(np.zeros(1, WALK_ROWS)),
        "counts": engine.numbers(np.zeros(COUNTS, np.int64)),
    }


def joined_intervals(intervals: Any, parts: list[Part], found: list[Found]) -> Array:
    """Return the intervals of all parts one after the other, moved together in place."""
    if not isinstance(intervals, np.ndarray):
        return rows_of(intervals, INTERVAL_DTYPE, found[0].intervals)
    # As bytes: rows would be copied field by field.
    plain, size, end = intervals.view(np.uint8), intervals.itemsize, 0
    for part, (counted, *_) in zip(parts, found, strict=True):
        count = int(counted)
        start = part.room.start
        for low in range(0, count if start > end else 0, MOVED_ROWS):
            high = min(count, low + MOVED_ROWS)
            moved = plain[(start + low) * size : (start + high) * size]
            plain[(end + low) * size : (end + high) * size] = moved
        end += count
    return intervals[:end]


def joined_exceptions(found: list[Found]) -> Array:
    """Return the exceptions of all parts one after the other."""
    return np.concatenate([rows_of(part.rows, EXCEPTION_DTYPE, part.exceptions) for part in found])
