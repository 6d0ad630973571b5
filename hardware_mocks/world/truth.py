# SPDX-License-Identifier: Apache-2.0
"""Credited time against true time: no more than was served, no second twice, order no matter."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from hardware_mocks.world.box import DRIFT_PPM
from hardware_mocks.world.faults import demand
from hardware_mocks.world.staff import check_credited
from server.reconciliation.loading import load
from server.reconciliation.models import ServiceInterval
from server.reconciliation.policy import DEFAULT_POLICY, reconcile_arrays
from swipe.event import Event
from swipe.kinds import EventType, Flag

if TYPE_CHECKING:
    from hardware_mocks.world.box import Box
    from hardware_mocks.world.world import World

UNPROVEN = frozenset({EventType.REJECTED, EventType.TORN, EventType.VOID_LAST, EventType.RECOVERED})
ROWS = frozenset({"in_row", "out_row", "row", "other_row"})  # columns that number the taps
MINUTE_MS = 60_000
UNKNOWN_MS = 0xFFFF_FFFF
SLACK_MS = 1_000  # the server's own error and the drift of a crystal over a history
_CURRENT = sa.select(ServiceInterval).where(ServiceInterval.current)


def check_hours(world: World) -> None:
    """Look at every current interval (I5, I9), and derive once more in another order (I3)."""
    with world.office.database.reading() as session:
        rows = list(session.scalars(_CURRENT))
        session.expunge_all()
        if world.thorough:
            _in_another_order(world, session)
    credited: dict[int, list[tuple[int, int, int]]] = {}
    for row in rows:
        if row.state == "credited" and row.end_ms is not None:
            span = (row.start_ms, row.end_ms, row.credited_minutes)
            credited.setdefault(row.person, []).append(span)
            _served(world, row)
    for person, spans in credited.items():
        spans.sort()
        for (_, end, _), (start, _, _) in pairwise(spans):
            demand(end <= start, "I5", f"person {person} is credited a second twice")
        for start, end, minutes in spans:
            demand(
                minutes * MINUTE_MS <= end - start, "I5", f"person {person}: more than it lasted"
            )


def _in_another_order(world: World, session: sa.orm.Session) -> None:
    now_ms = world.office.clock.utc_ms()
    history = load(session, None).history
    plain = reconcile_arrays(history, now_ms, DEFAULT_POLICY)
    shuffled = np.random.default_rng(world.counted["steps"]).permutation(len(history.taps))
    other = replace(history, taps=history.taps[shuffled])
    again = reconcile_arrays(other, now_ms, DEFAULT_POLICY)
    for ours, theirs in (
        (plain.intervals, again.intervals),
        (plain.exceptions, again.exceptions),
    ):
        same = _rows(ours, None) == _rows(theirs, shuffled)
        demand(same, "I3", "another order of the events gives other hours")


def _rows(table: np.ndarray, order: np.ndarray | None) -> list[tuple[object, ...]]:
    """Return rows with the numbers of taps as they were before the shuffle."""
    names = list(table.dtype.names or ())
    rows = []
    for row in table:
        cells = []
        for name in names:
            value = row[name].item()
            if order is not None and name in ROWS and value >= 0:
                value = int(order[value])
            cells.append(value)
        rows.append(tuple(cells))
    return sorted(rows)


def _vouched(world: World, box: Box, event: Event) -> int:
    """Return how far off an event may be: what it says itself, else the surest of its boot.

    From the moment at which the terminal knew the time, its crystal tells how long ago that was.
    A torn tap that was made good repeats the time of the tap, which may be another boot's.
    """
    if not event.flags & Flag.CLOCK_UNKNOWN and event.unc_ms != UNKNOWN_MS:
        return event.unc_ms
    boot = [other for other in world.book(box).parsed.values() if other.boot == event.boot]
    known = [
        other
        for other in boot
        if not other.flags & Flag.CLOCK_UNKNOWN and other.type != EventType.TORN_RESOLVED
    ]
    vouched = (
        other.unc_ms + abs(other.up_total_ms - event.up_total_ms) * DRIFT_PPM // 1_000_000
        for other in known
        if other.unc_ms != UNKNOWN_MS
    )
    return min(vouched, default=0)


def _served(world: World, row: ServiceInterval) -> None:
    """Minutes between two taps: no more than between the same two taps in truth (I9).

    What a known clock vouches for is allowed; a boot that never knew the time adds nothing.
    """
    ends = ((row.in_terminal, row.in_seq), (row.out_terminal, row.out_seq))
    moments, slack = [], SLACK_MS
    for terminal, seq in ends:
        box = next((box for box in world.boxes if box.terminal_id == terminal), None)
        if box is None or seq is None or world.book(box).waived:
            return
        event = world.book(box).parsed.get(seq)
        if event is not None:
            check_credited(event)
        known = event is not None and event.boot in box.starts
        if event is None or not known or event.type == EventType.TORN_RESOLVED:
            return
        moments.append(box.true_ms(event.boot, event.up_total_ms))
        slack += _vouched(world, box, event)
    served = moments[1] - moments[0] + slack
    served += served * DRIFT_PPM // 1_000_000  # rule 24: a duration is exact but for the drift
    demand(
        row.credited_minutes * MINUTE_MS <= served,
        "I9",
        f"{row.credited_minutes} min credited for {served / MINUTE_MS:.2f} min",
    )
