# SPDX-License-Identifier: Apache-2.0
"""The line of one card: its taps in the order of the card's own counter.

Events with the same counter are one tap, a torn tap with its rescue, or a clone. What cannot
stand as a tap raises an exception; what can becomes one entry of the line. The functions stay
inside the subset that numba compiles.
"""

from __future__ import annotations

from typing import NamedTuple

from server.reconciliation import clock
from server.reconciliation.arrays import GRADE_B, GRADE_C, Numbers, Row, Rows
from server.reconciliation.codes import (
    AUTO,
    GUARDIAN,
    IN,
    OUT,
    PRESENCE,
    PROOF_ANSWER,
    PROOF_CARD,
    PROOF_CG2,
    PROOF_TAC,
    PROOF_TOKEN,
    SWITCH,
    TRAINING,
    VERDICT_FORKED,
)
from server.reconciliation.desk import (
    DISORDER,
    ENTRIES,
    EXCUSED,
    LOGGED,
    NEVER,
    NO_CLOCK,
    PHONE,
    QUARANTINE,
    RESCUED,
    TORN,
    TWICE,
    UNPROVEN,
    Desk,
    raise_exception,
)
from server.reconciliation.judging import (
    FULL,
    HALF,
    LISTED,
    REFUSED,
    RESCUE,
    card_marks,
    clock_marks,
    counter_proven,
    grade_cap,
    grade_of,
    kind_of,
    occupies,
    refusal_rule,
    same_boot,
    same_tap,
    stance,
    terminal_marks,
)
from server.reconciliation.ordering import sort_card


class Place(NamedTuple):
    """Where in the person's line the events at hand belong: order[start:stop] share a counter."""

    card: int
    slot: int  # which of the person's cards
    gap: int  # gaps in the card's counter so far
    start: int
    stop: int
    later_proven: bool  # a later counter of this card is proven by a cryptogram


def build_line(desk: Desk, card: int, slot: int) -> None:
    """Append the entries of one card to the person's line."""
    taps, order = desk.taps, desk.order
    first = desk.counts[ENTRIES]
    position = desk.order_of[card]
    end = desk.order_of[card + 1]
    sort_card(taps, desk.clock, order, position, end)
    proven = highest_proven(taps, order, position, end)
    gap = 0
    seen = -1
    while position < end:
        counter = taps[order[position]]["card_ctr"]
        stop = position + 1
        shown = occupies(taps[order[position]])
        while stop < end and taps[order[stop]]["card_ctr"] == counter:
            shown = shown or occupies(taps[order[stop]])
            stop += 1
        if shown:
            if 0 <= seen < counter - 1:
                gap += 1
            seen = counter
        place = Place(card, slot, gap, position, stop, proven > counter)
        if stop - position == 1:
            judge_single(desk, place, order[position])
        else:
            judge_group(desk, place)
        position = stop
    settle_order(desk, first, desk.counts[ENTRIES])


def highest_proven(taps: Rows, order: Numbers, start: int, stop: int) -> int:
    """Return the highest counter in order[start:stop] that a cryptogram covers, -1 if none."""
    for position in range(stop - 1, start - 1, -1):
        tap = taps[order[position]]
        if counter_proven(tap):
            return tap["card_ctr"]
    return -1


def judge_single(desk: Desk, place: Place, row: int) -> None:
    """Judge the only event with its counter."""
    kind = stance(desk.taps[row])
    if kind == FULL:
        add_full(desk, place, row, 0)
    elif kind == REFUSED:
        refuse(desk, row)
    elif kind == RESCUE:
        add_rescue(desk, place, row)
    elif kind == LISTED:
        add_listed(desk, place, row)
    else:
        add_half(desk, place, row)


def judge_group(desk: Desk, place: Place) -> None:
    """Judge several events with one counter (rules 29, 30, 35, 36, 56)."""
    taps, order = desk.taps, desk.order
    full = 0
    for position in range(place.start, place.stop):
        kind = stance(taps[order[position]])
        if kind == REFUSED:
            refuse(desk, order[position])
        elif kind == FULL:
            full += 1
    if full == 0:
        if not judge_torn(desk, place):
            add_listed(desk, place, first_of(desk, place, LISTED))
        return
    need = PROOF_CARD if proven_with(desk, place, PROOF_CARD) > 0 else PROOF_ANSWER
    proven = proven_with(desk, place, need)
    if proven > 1:
        list_clones(desk, place, need)
    elif proven == 1:
        judge_against(desk, place, first_with(desk, place, need))
    else:
        # Cards without a counter of their own: every event is a tap, in order of time.
        for position in range(place.start, place.stop):
            if stance(taps[order[position]]) == FULL:
                add_full(desk, place, order[position], 0)


def proven_with(desk: Desk, place: Place, need: int) -> int:
    """Count the complete events that carry all the proofs needed."""
    count = 0
    for position in range(place.start, place.stop):
        tap = desk.taps[desk.order[position]]
        if stance(tap) == FULL and tap["proof"] & need == need:
            count += 1
    return count


def first_with(desk: Desk, place: Place, need: int) -> int:
    """Return the row of the first complete event that carries all the proofs needed."""
    for position in range(place.start, place.stop):
        tap = desk.taps[desk.order[position]]
        if stance(tap) == FULL and tap["proof"] & need == need:
            return desk.order[position]
    return -1


def list_clones(desk: Desk, place: Place, need: int) -> None:
    """Quarantine all events of a counter that the card cannot have used twice (rule 29)."""
    first = first_with(desk, place, need)
    for position in range(place.start, place.stop):
        row = desk.order[position]
        tap = desk.taps[row]
        if row != first and stance(tap) == FULL and tap["proof"] & need == need:
            raise_exception(desk, 29, row, first)


def judge_against(desk: Desk, place: Place, winner: int) -> None:
    """Keep the one proven event; the others are copies of it, retries or contradictions."""
    marks = 0
    for position in range(place.start, place.stop):
        row = desk.order[position]
        kind = stance(desk.taps[row])
        if row == winner or kind in (REFUSED, HALF, LISTED):
            continue  # a half with the winner's counter is a try that the card never committed
        if kind == FULL:
            raise_exception(desk, 30, row, winner)
        elif same_tap(desk.taps[row], desk.taps[winner]):
            marks |= TWICE
        else:
            raise_exception(desk, 29, row, winner)
    add_full(desk, place, winner, marks)


def judge_torn(desk: Desk, place: Place) -> bool:
    """Judge a counter that only torn taps and rescues speak of (rules 35, 36); tell if any do.

    A record of the card's log says no more than they do.
    """
    half, rescue = torn_pair(desk, place)
    if rescue < 0:
        rescue = first_of(desk, place, RESCUE)
    if rescue < 0 and first_of(desk, place, HALF) < 0:
        return first_of(desk, place, LISTED) < 0
    strangers = 0
    for position in range(place.start, place.stop):
        row = desk.order[position]
        if rescue < 0 or stance(desk.taps[row]) != RESCUE:
            continue
        if not same_tap(desk.taps[row], desk.taps[rescue]):
            strangers += 1
            raise_exception(desk, 29, row, rescue)
    if half >= 0:
        add_pair(desk, place, half, rescue)
    elif rescue < 0:
        judge_halves(desk, place)
    elif strangers == 0:
        add_rescue(desk, place, rescue)
    return True


def torn_pair(desk: Desk, place: Place) -> tuple[int, int]:
    """Return the rows of a torn tap and its rescue, (-1, -1) if no two belong together."""
    for position in range(place.start, place.stop):
        half = desk.order[position]
        if stance(desk.taps[half]) != HALF:
            continue
        for candidate in range(place.start, place.stop):
            rescue = desk.order[candidate]
            tap = desk.taps[rescue]
            if stance(tap) == RESCUE and same_tap(desk.taps[half], tap):
                return half, rescue
    return -1, -1


def first_of(desk: Desk, place: Place, wanted: int) -> int:
    """Return the row of the first event that stands for something, -1 if there is none."""
    for position in range(place.start, place.stop):
        if stance(desk.taps[desk.order[position]]) == wanted:
            return desk.order[position]
    return -1


def judge_halves(desk: Desk, place: Place) -> None:
    """Judge torn taps without any rescue: one alone may count, of several nobody knows which."""
    halves = 0
    last = -1
    for position in range(place.start, place.stop):
        if stance(desk.taps[desk.order[position]]) == HALF:
            halves += 1
            last = desk.order[position]
    if halves == 1:
        add_half(desk, place, last)
    elif halves > 1:
        raise_exception(desk, 36, last, -1)
        add_entry(desk, place, last, PRESENCE, 0)


def refuse(desk: Desk, row: int) -> None:
    """List an event that stands for no tap."""
    raise_exception(desk, refusal_rule(desk.taps[row]), row, -1)


def add_full(desk: Desk, place: Place, row: int, marks: int) -> None:
    """Add a complete tap, unless the volunteer took it back."""
    if desk.clock[row]["note"] & clock.VOIDED:
        return
    tap = desk.taps[row]
    if not tap["proof"] & PROOF_TAC:
        judge_unproven(desk, place, row, marks)
        return
    entry = add_entry(desk, place, row, kind_of(tap), marks)
    grade_entry(desk.line[entry], tap["proof"])


def judge_unproven(desk: Desk, place: Place, row: int, marks: int) -> None:
    """Add a tap without TAC: by phone (51), in a declared outage, or for a leader (32)."""
    tap = desk.taps[row]
    revoked_ms = desk.terminals[tap["terminal"]]["revoked_ms"]
    phone = tap["proof"] & PROOF_TOKEN != 0
    if not phone and 0 < revoked_ms <= desk.batches[tap["batch"]]["received_ms"]:
        raise_exception(desk, 30, row, -1)  # neither card nor terminal speaks for it (57)
        return
    excused = desk.clock[row]["note"] & clock.ENCLOSED != 0 and tap["proof"] & PROOF_CG2 != 0
    if phone:
        marks |= PHONE
    else:
        marks |= EXCUSED if excused else UNPROVEN
    line = desk.line[add_entry(desk, place, row, kind_of(tap), marks)]
    grade_entry(line, tap["proof"])
    if phone:
        line["grade"] = desk.policy.token_grade
    elif excused:
        line["grade"] = GRADE_B
    line["grade"] = max(line["grade"], grade_cap(line["kind"], line["marks"]))


def add_listed(desk: Desk, place: Place, row: int) -> None:
    """Add a record of the card's log: direction by order, grade C, for a leader (rule 37)."""
    line = desk.line[add_entry(desk, place, row, AUTO, LOGGED)]
    line["grade"] = GRADE_C


def add_pair(desk: Desk, place: Place, half: int, rescue: int) -> None:
    """Add a torn tap with its rescue: direction and time from its own terminal (rules 35, 56)."""
    tap = desk.taps[half]
    entry = add_entry(desk, place, half, kind_of(tap), RESCUED | TWICE)
    grade_entry(desk.line[entry], tap["proof"] | desk.taps[rescue]["proof"] & PROOF_ANSWER)
    line = desk.line[entry]
    line["grade"] = max(line["grade"], desk.policy.rescued_grade)


def add_rescue(desk: Desk, place: Place, row: int) -> None:
    """Add a rescue alone: what it was by the card's hint, grade B at most (rule 35)."""
    tap = desk.taps[row]
    hint = tap["hint"]
    kind = hint if hint in (IN, OUT, SWITCH, GUARDIAN, TRAINING) else AUTO
    line = desk.line[add_entry(desk, place, row, kind, RESCUED)]
    grade_entry(line, tap["proof"])
    line["grade"] = max(line["grade"], GRADE_B)


def add_half(desk: Desk, place: Place, row: int) -> None:
    """Add a torn tap that was never rescued: it counts if the card went on (rule 36)."""
    if place.later_proven:
        add_entry(desk, place, row, kind_of(desk.taps[row]), TORN)
    else:
        raise_exception(desk, 36, row, -1)
        add_entry(desk, place, row, PRESENCE, 0)


def add_entry(desk: Desk, place: Place, row: int, kind: int, marks: int) -> int:
    """Append an entry of grade B to the line and return its position."""
    position = desk.counts[ENTRIES]
    desk.counts[ENTRIES] = position + 1
    tap, time = desk.taps[row], desk.clock[row]
    latest_ms = time["when_ms"] + time["radius_ms"]
    terminal = desk.terminals[tap["terminal"]]
    told = terminal["fork_ms"] | terminal["gap_seq"] | terminal["revoked_ms"]
    if told > 0 or tap["verdict"] == VERDICT_FORKED:
        received_ms = desk.batches[tap["batch"]]["received_ms"]
        marks |= terminal_marks(tap, terminal, received_ms)
    marks |= card_marks(tap, latest_ms, desk.cards[place.card]["revoked_ms"])
    if time["note"]:
        marks |= clock_marks(time["note"])
    line = desk.line[position]
    line["row"] = row
    line["when_ms"] = time["when_ms"]
    line["radius_ms"] = time["radius_ms"]
    line["marks"] = marks
    line["kind"] = kind
    line["grade"] = GRADE_B
    line["slot"] = place.slot
    line["gap"] = place.gap
    return position


def grade_entry(line: Row, proof: int) -> None:
    """Set the grade of an entry from what was proven of it."""
    line["grade"] = max(grade_of(proof), grade_cap(line["kind"], line["marks"]))


def settle_order(desk: Desk, first: int, stop: int) -> None:
    """Hold counter against time (rule 53); within the uncertainties the counter decides."""
    line = desk.line
    before = -1
    turned = False
    for position in range(first, stop):
        entry = line[position]
        if entry["marks"] & (QUARANTINE | LOGGED):
            continue  # what proves nothing contradicts nobody
        if before >= 0:
            earliest = line[before]["when_ms"] - line[before]["radius_ms"]
            if earliest > entry["when_ms"] + entry["radius_ms"]:
                line[before]["marks"] |= DISORDER
                entry["marks"] |= DISORDER
            turned = turned or line[before]["when_ms"] > entry["when_ms"]
        before = position
    if turned:
        give_way(desk, first, stop)
    reached = NEVER
    listed = False
    for position in range(first, stop):
        entry = line[position]
        if entry["marks"] & LOGGED:
            listed = True
            continue
        if not entry["marks"] & (QUARANTINE | DISORDER):
            reached = max(reached, entry["when_ms"])
            entry["when_ms"] = reached
    if listed:
        place_listed(line, first, stop)


def give_way(desk: Desk, first: int, stop: int) -> None:
    """Move each tap before the next surer one of its card, as far as its own bounds allow (53).

    Radii are compared in whole seconds: less is the drift of a day. Taps of one boot without a
    clock move together. Until the lines are merged, `merged` of an
    entry names the next one that is surer than it.
    """
    line = desk.line
    following = -1
    for position in range(stop - 1, first - 1, -1):
        entry = line[position]
        if entry["marks"] & (QUARANTINE | DISORDER | LOGGED):
            continue
        surer = following
        within_s = entry["radius_ms"] // clock.SECOND_MS
        while surer >= 0 and line[surer]["radius_ms"] // clock.SECOND_MS >= within_s:
            surer = line[surer]["merged"]
        entry["merged"] = surer
        latest_ms = entry["when_ms"]
        if surer >= 0:
            latest_ms = min(latest_ms, line[surer]["when_ms"])
        if following >= 0 and entry["marks"] & line[following]["marks"] & NO_CLOCK:
            tap, next_tap = desk.taps[entry["row"]], desk.taps[line[following]["row"]]
            if same_boot(tap, next_tap):
                ran_ms = next_tap["up_ms"] - tap["up_ms"]
                latest_ms = min(latest_ms, line[following]["when_ms"] - ran_ms)
        entry["when_ms"] = max(latest_ms, entry["when_ms"] - entry["radius_ms"])
        following = position


def place_listed(line: Rows, first: int, stop: int) -> None:
    """Keep records of the log between the taps around them: the counter says where they belong."""
    latest = -NEVER
    for position in range(stop - 1, first - 1, -1):
        entry = line[position]
        if entry["marks"] & LOGGED:
            entry["when_ms"] = min(entry["when_ms"], latest)
        elif not entry["marks"] & (QUARANTINE | DISORDER):
            latest = entry["when_ms"]
    reached = NEVER
    for position in range(first, stop):
        entry = line[position]
        if entry["marks"] & (QUARANTINE | DISORDER):
            continue
        reached = max(reached, entry["when_ms"])
        entry["when_ms"] = reached


HOT = (
    judge_single,
    add_full,
    add_entry,
    grade_entry,
)
HELPERS = (
    build_line,
    highest_proven,
    judge_group,
    proven_with,
    first_with,
    list_clones,
    judge_against,
    judge_torn,
    torn_pair,
    first_of,
    add_listed,
    judge_unproven,
    judge_halves,
    refuse,
    add_pair,
    add_rescue,
    add_half,
    settle_order,
    give_way,
    place_listed,
)
