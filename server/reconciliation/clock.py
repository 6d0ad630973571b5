# SPDX-License-Identifier: Apache-2.0
"""Time correction: where each event really lies, from receipts and the monotonic clock.

Inside one boot of a terminal, true time = running time + offset. Every event bounds that offset:
it happened after the receipt it names was made and before it arrived at the server. The bounds
of all events of the boot meet at each event, loosened by the drift of the crystal over the
running time between them. The claimed wall clock only chooses a point between the bounds.

All functions stay inside the language subset that numba compiles; plain Python gives the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from server.reconciliation.arrays import Numbers, Rows
from server.reconciliation.codes import (
    ELSEWHEN_TYPES,
    FLAG_CLOCK_UNKNOWN,
    FLAG_DUPLICATE,
    OUTAGE,
    PROOFLESS_PARTS,
    REJECTED,
    VOID_LAST,
)
from server.reconciliation.parameters import Policy

# Bits of `note`.
DROPPED = 1  # the same event once more (rule 2)
DRIFTED = 2  # corrected within or just beyond its uncertainty (rule 24)
STEPPED = 4  # the wall clock had jumped, the monotonic clock decided (rule 25)
UNKNOWN = 8  # the terminal knew no time; only bounds place the event (rule 26)
FUTURE = 16  # the claim lay ahead of its bounds and was corrected (rule 27)
QUARANTINED = 32  # the claim is impossible and nothing bounds the truth yet (rule 27)
WIDE = 64  # the bounds lie far apart (rule 55)
VOIDED = 128  # taken back by VOID_LAST
DOUBLED = 256  # a suppressed duplicate names it (rule 5)
ENCLOSED = 512  # made while the terminal could not ask for a proof, as it said itself (rule 32)

NO_LOW = -(1 << 62)
NO_HIGH = 1 << 62
MAX_RADIUS_MS = (1 << 31) - 1
PPM = 1_000_000
SECOND_MS = 1_000
# An undo or a duplicate names a tap of the last minute; a terminal makes fewer events in one.
NAMED_REACH = 256


# Per event: its corrected time, the radius around it, and what was done to it.
CLOCK_ROWS = np.dtype([("when_ms", "i8"), ("radius_ms", "i4"), ("note", "i2")])
# Work rows, as many as the longest boot has events: the bounds of each event's offset.
OFFSET_ROWS = np.dtype([("low", "i8"), ("high", "i8")])


class Span(NamedTuple):
    """What a whole boot says of its one offset, and what kind of boot it is."""

    low: int  # NO_LOW without any receipt
    high: int
    fresh: bool  # a receipt arrived within it
    naming: bool  # it has events that speak of other taps


class Boot(NamedTuple):
    """One boot of one terminal: the events order[start:stop], the work on them, the results."""

    taps: Rows
    order: Numbers  # all events by terminal, then sequence number
    batches: Rows
    clock: Rows
    offsets: Rows
    start: int
    stop: int


def drift_ms(span_ms: int, ppm: int) -> int:
    """Return how far two clocks may part over a span, rounded up.

    >>> drift_ms(3_600_000, 50)
    180
    """
    return (abs(span_ms) * ppm + PPM - 1) // PPM


def correct_clocks(history: Boot, policy: Policy) -> None:
    """Correct all events of all boots in order[history.start:history.stop]; no boot is cut."""
    taps, order = history.taps, history.order
    start = history.start
    while start < history.stop:
        stop = boot_end(taps, order, start)
        boot = Boot(
            taps,
            order,
            history.batches,
            history.clock,
            history.offsets,
            start,
            stop,
        )
        span = bound_offsets(boot, policy)
        best = surest_claim(boot, True)
        if best >= 0:
            follow_claim(boot, span, best, policy)
        else:
            follow_bounds(boot, span)
        if span.naming:
            place_resolved(boot, policy.resolved_radius_ms)
            mark_named(boot, policy.void_ms)
        start = stop


def boot_end(taps: Rows, order: Numbers, start: int) -> int:
    """Return the position after the last event of the boot that begins at `start`."""
    first = taps[order[start]]
    stop = start + 1
    while stop < len(order):
        tap = taps[order[stop]]
        if tap["terminal"] != first["terminal"] or tap["boot"] != first["boot"]:
            break
        stop += 1
    return stop


def bound_offsets(boot: Boot, policy: Policy) -> Span:
    """Bound each event's offset by all events of the boot; return the tightest bounds of all.

    A forward and a backward pass carry the tightest bound along, loosened by the drift. The
    forward pass also drops an event that is there twice: terminal and number are its identity.
    The backward pass marks events whose bounds lie further apart than the policy trusts (55).
    """
    ppm = policy.drift_ppm
    taps = boot.taps
    first = taps[boot.order[boot.start]]
    low = NO_LOW
    high = NO_HIGH
    before_ms = first["up_ms"]
    last_seq = -1
    fresh = False
    naming = False
    for position in range(boot.start, boot.stop):
        row = boot.order[position]
        tap = taps[row]
        up_ms = tap["up_ms"]
        slack = drift_ms(up_ms - before_ms, ppm)
        before_ms = up_ms
        low -= slack
        if tap["anchor"] >= 0:
            low = max(low, boot.batches[tap["anchor"]]["receipt_ms"] - up_ms)
            fresh = fresh or tap["anchor"] != first["anchor"]
        high = min(high + slack, boot.batches[tap["batch"]]["received_ms"] - up_ms)
        offset = boot.offsets[position - boot.start]
        offset["low"] = low
        offset["high"] = high
        boot.clock[row]["note"] = DROPPED if tap["seq"] == last_seq else 0
        last_seq = tap["seq"]
        kind = tap["type"]
        naming = naming or kind in ELSEWHEN_TYPES or kind in (VOID_LAST, REJECTED, OUTAGE)
    tight_low = low
    tight_high = high
    for position in range(boot.stop - 1, boot.start - 1, -1):
        row = boot.order[position]
        up_ms = taps[row]["up_ms"]
        slack = drift_ms(up_ms - before_ms, ppm)
        before_ms = up_ms
        offset = boot.offsets[position - boot.start]
        low = max(low - slack, offset["low"])
        high = min(high + slack, offset["high"])
        # A server clock that was set back a little may cross the bounds: they still enclose.
        offset["low"] = min(low, high) if low > NO_LOW // 2 else NO_LOW
        offset["high"] = max(low, high)
        if low <= NO_LOW // 2 or abs(high - low) > policy.time_width_ms:
            boot.clock[row]["note"] |= WIDE
        tight_low = max(tight_low, low)
        tight_high = min(tight_high, high)
    if tight_low < NO_LOW // 2:
        tight_low = NO_LOW
    return Span(min(tight_low, tight_high), max(tight_low, tight_high), fresh, naming)


def surest_claim(boot: Boot, possible: bool) -> int:
    """Return the position of the first claim with the least uncertainty, -1 if there is none.

    With `possible`, only claims count that reach into their bounds. A resolved torn tap carries
    another terminal's wall clock and claims nothing here.
    """
    taps = boot.taps
    best = -1
    best_unc = 0
    for position in range(boot.start, boot.stop):
        row = boot.order[position]
        unc = taps[row]["unc_ms"]
        if best >= 0 and unc >= best_unc:
            continue
        if taps[row]["type"] in ELSEWHEN_TYPES or taps[row]["flags"] & FLAG_CLOCK_UNKNOWN:
            continue
        claim = taps[row]["utc_ms"] - taps[row]["up_ms"]
        below = claim + unc < boot.offsets[position - boot.start]["low"]
        above = claim - unc > boot.offsets[position - boot.start]["high"]
        if not possible or not (below or above):
            best = position
            best_unc = unc
    return best


def follow_claim(boot: Boot, span: Span, best: int, policy: Policy) -> None:
    """Apply the surest possible claim's offset to every event of the boot (rules 24, 25).

    One offset for all, within the bounds of all: lengths inside a boot stay what they were.
    """
    taps = boot.taps
    chosen = boot.order[best]
    up_chosen = taps[chosen]["up_ms"]
    unc_chosen = taps[chosen]["unc_ms"]
    claim = taps[chosen]["utc_ms"] - up_chosen
    claim = min(max(claim, span.low), span.high)
    for position in range(boot.start, boot.stop):
        row = boot.order[position]
        up = taps[row]["up_ms"]
        low = boot.offsets[position - boot.start]["low"]
        high = boot.offsets[position - boot.start]["high"]
        offset = min(max(claim, low), high)
        radius = unc_chosen + drift_ms(up - up_chosen, policy.drift_ppm)
        boot.clock[row]["when_ms"] = up + offset
        boot.clock[row]["radius_ms"] = min(radius, max(high - offset, offset - low), MAX_RADIUS_MS)
        if taps[row]["flags"] & FLAG_CLOCK_UNKNOWN:
            continue
        moved = abs(up + offset - taps[row]["utc_ms"])
        if moved > taps[row]["unc_ms"] + radius + policy.clock_notice_ms:
            boot.clock[row]["note"] |= STEPPED
            received_ms = boot.batches[taps[row]["batch"]]["received_ms"]
            if taps[row]["utc_ms"] - taps[row]["unc_ms"] > received_ms:
                boot.clock[row]["note"] |= FUTURE
        elif moved > policy.clock_notice_ms:
            boot.clock[row]["note"] |= DRIFTED


def follow_bounds(boot: Boot, span: Span) -> None:
    """Place the events of a boot without a possible claim (rules 24, 26, 27)."""
    claiming = surest_claim(boot, False)
    known = span.low > NO_LOW
    note = UNKNOWN
    target = (span.low + span.high) // 2 if known else span.high
    if claiming >= 0:
        chosen = boot.taps[boot.order[claiming]]
        claim = chosen["utc_ms"] - chosen["up_ms"]
        if not span.fresh:
            note = QUARANTINED
            target = min(claim, span.high)
        elif claim > boot.offsets[claiming - boot.start]["high"]:
            note = FUTURE
            target = span.high
        else:
            note = DRIFTED
            target = span.low
    for position in range(boot.start, boot.stop):
        row = boot.order[position]
        low = boot.offsets[position - boot.start]["low"]
        high = boot.offsets[position - boot.start]["high"]
        radius = min(high - low, MAX_RADIUS_MS) if known else MAX_RADIUS_MS
        if note == UNKNOWN and known:
            radius = (radius + 1) // 2
        offset = target if note == QUARANTINED else min(max(target, low), high)
        place = boot.clock[row]
        place["when_ms"] = boot.taps[row]["up_ms"] + offset
        place["radius_ms"] = radius
        place["note"] |= note


def place_resolved(boot: Boot, radius_ms: int) -> None:
    """Take the time of a resolved or recovered tap from the card, never later than its rescue."""
    for position in range(boot.start, boot.stop):
        row = boot.order[position]
        if boot.taps[row]["type"] not in ELSEWHEN_TYPES:
            continue
        rescued = boot.clock[row]["when_ms"]
        claim = boot.taps[row]["utc_ms"]
        boot.clock[row]["note"] &= DROPPED | QUARANTINED | WIDE
        if claim - radius_ms > rescued + boot.clock[row]["radius_ms"]:
            boot.clock[row]["note"] |= QUARANTINED
        boot.clock[row]["when_ms"] = min(claim, rescued)
        boot.clock[row]["radius_ms"] = max(radius_ms, boot.taps[row]["unc_ms"])


def mark_named(boot: Boot, void_ms: int) -> None:
    """Mark the tap that a VOID_LAST takes back in time, and the one a duplicate repeats."""
    for position in range(boot.start, boot.stop):
        row = boot.order[position]
        kind = boot.taps[row]["type"]
        if kind == VOID_LAST:
            named = named_tap(boot, position)
            if named >= 0:
                soon = boot.clock[row]["when_ms"] - boot.clock[named]["when_ms"] <= void_ms
                boot.clock[named]["note"] |= VOIDED if soon else 0
        elif kind == REJECTED and boot.taps[row]["flags"] & FLAG_DUPLICATE:
            named = named_tap(boot, position)
            if named >= 0:
                boot.clock[named]["note"] |= DOUBLED
        elif kind == OUTAGE and boot.taps[row]["hint"] in PROOFLESS_PARTS:
            mark_enclosed(boot, position)


def mark_enclosed(boot: Boot, position: int) -> None:
    """Mark the taps before an OUTAGE whose wall clock lies within it: one clock told both."""
    outage = boot.taps[boot.order[position]]
    ended_ms = outage["ref"] * SECOND_MS if outage["ref"] > 0 else outage["utc_ms"]
    for back in range(boot.start, position):
        row = boot.order[back]
        if outage["psam"] * SECOND_MS <= boot.taps[row]["utc_ms"] <= ended_ms:
            boot.clock[row]["note"] |= ENCLOSED


def named_tap(boot: Boot, position: int) -> int:
    """Return the row of the earlier tap of the same card that an event names, -1 if none is."""
    row = boot.order[position]
    for back in range(position - 1, max(boot.start, position - NAMED_REACH) - 1, -1):
        named = boot.order[back]
        if boot.clock[named]["note"] & DROPPED:
            continue
        if boot.taps[named]["seq"] == boot.taps[row]["ref"]:
            return named if boot.taps[named]["card"] == boot.taps[row]["card"] else -1
    return -1


HOT = (drift_ms,)
HELPERS = (
    boot_end,
    bound_offsets,
    surest_claim,
    follow_claim,
    follow_bounds,
    place_resolved,
    mark_named,
    mark_enclosed,
    named_tap,
)
