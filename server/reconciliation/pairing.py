# SPDX-License-Identifier: Apache-2.0
"""Pairing: a person's line of taps becomes draft intervals, each with the rules that shaped it.

A tap-in opens, the next tap-out closes; what stays open is closed by rule and never spoils what
follows. The functions stay inside the subset that numba compiles.
"""

from __future__ import annotations

from server.reconciliation.arrays import (
    APPROVED,
    CREDITED,
    EXCEPTION,
    GRADE_B,
    OPEN,
    ZERO,
    Row,
)
from server.reconciliation.codes import AUTO, GUARDIAN, IN, OUT, PRESENCE, SWITCH
from server.reconciliation.desk import (
    COUNTER_GAP,
    DOUBLE,
    DRAFTS,
    ENTRIES,
    FOREIGN,
    IN_AGAIN,
    IN_NEXT_DAY,
    LATE_OUT,
    LOGGED,
    LONG,
    MIDNIGHT,
    MISSING_OUT,
    NEVER,
    NO_CLOCK,
    NO_PLAN,
    PAIRED,
    SHORT,
    SWITCHED,
    TRAVELLED,
    TWO_CARDS,
    TWO_SITES,
    Desk,
    apart_m2,
    decision_on,
    plan_length,
    raise_exception,
    service_day,
    set_at,
)
from server.reconciliation.faults import FAULTS, fault_state, main_fault
from server.reconciliation.judging import same_boot

# Half way round the Earth: nobody is farther away than that.
FARTHEST_M = 20_000_000
MS_PER_HOUR_BY_KM = 3_600


def merge_lines(desk: Desk, cards: int) -> None:
    """Order the entries of several cards by time, each card's own order untouched (rule 49)."""
    line, slots = desk.line, desk.slots
    entries = desk.counts[ENTRIES]
    for position in range(entries):
        line[position]["merged"] = position
    if cards < 2:
        return
    for position in range(entries):
        best = -1
        for slot in range(cards):
            head = slots[slot]["head"]
            if head < slots[slot]["end"] and (best < 0 or earlier(desk, head, best)):
                best = head
        line[position]["merged"] = best
        slots[line[best]["slot"]]["head"] += 1


def earlier(desk: Desk, one: int, other: int) -> bool:
    """Tell if an entry comes before another: by time, then terminal, then sequence number."""
    this, that = desk.line[one], desk.line[other]
    if this["when_ms"] != that["when_ms"]:
        return this["when_ms"] < that["when_ms"]
    tap, other_tap = desk.taps[this["row"]], desk.taps[that["row"]]
    if tap["terminal"] != other_tap["terminal"]:
        return tap["terminal"] < other_tap["terminal"]
    return tap["seq"] < other_tap["seq"]


def judge_travel(desk: Desk) -> None:
    """Mark taps at two sites that nobody can have made one after the other (rule 21)."""
    before = -1
    for place in range(desk.counts[ENTRIES]):
        position = desk.line[place]["merged"]
        entry = desk.line[position]
        if entry["marks"] & (FAULTS | NO_CLOCK) or entry["kind"] not in (IN, OUT, AUTO, SWITCH):
            continue
        if (
            before >= 0
            and desk.taps[desk.line[before]["row"]]["site"] != (desk.taps[entry["row"]]["site"])
        ):
            judge_way(desk, before, position)
        before = position


def judge_way(desk: Desk, before: int, position: int) -> None:
    """Hold the way between two taps against the time between them, as long as it can have been."""
    first, last = desk.line[before], desk.line[position]
    way_m2 = apart_m2(desk, desk.taps[first["row"]]["site"], desk.taps[last["row"]]["site"])
    time_ms = last["when_ms"] + last["radius_ms"] - first["when_ms"] + first["radius_ms"]
    way_m = reach_m(desk, time_ms)
    if way_m2 <= way_m * way_m:
        return
    raise_exception(desk, 21, last["row"], first["row"])
    for number in (before, position):
        entry = desk.line[number]
        entry["marks"] |= TRAVELLED
        entry["grade"] = max(entry["grade"], GRADE_B)


def reach_m(desk: Desk, time_ms: int) -> int:
    """Return how far anybody can have come in a time, in metres."""
    return min(desk.policy.travel_kmh * max(0, time_ms) // MS_PER_HOUR_BY_KM, FARTHEST_M)


def pair_line(desk: Desk, cards: int) -> None:
    """Turn the merged line into drafts."""
    slots = desk.slots
    for number in range(cards):
        slot = slots[number]
        slot["open"] = -1
        slot["last"] = -1
        slot["gap"] = 0
        slot["presence_ms"] = NEVER
    last_out = -1
    for place in range(desk.counts[ENTRIES]):
        entry = desk.line[place]["merged"]
        if listen(desk, entry, cards) and take_tap(desk, entry, cards, last_out):
            last_out = entry
    for number in range(cards):
        opened = slots[number]["open"]
        if opened >= 0:
            leave_open(desk, opened, -1, overdue(desk, opened))


def listen(desk: Desk, position: int, cards: int) -> bool:
    """Note gaps and presence; tell if the entry is a new tap in or out and no double (rule 5)."""
    entry = desk.line[position]
    slot = desk.slots[entry["slot"]]
    kind = entry["kind"]
    if entry["gap"] > slot["gap"]:
        slot["gap"] = entry["gap"]
        if slot["open"] < 0:
            raise_exception(desk, 28, entry["row"], -1)
    if kind in (IN, OUT, AUTO, SWITCH):
        last = slot["last"]
        if last >= 0 and is_double(desk, desk.line[last], entry):
            desk.line[last]["marks"] |= DOUBLE
            return False
        slot["last"] = position
        return True
    if kind in (PRESENCE, GUARDIAN):
        for other in range(cards):
            note_presence(desk, desk.slots[other], entry)
    return False


def note_presence(desk: Desk, slot: Row, entry: Row) -> None:
    """Keep the latest proof that a person with an open tap-in was still there."""
    if slot["open"] < 0 or entry["marks"] & FAULTS:
        return
    since = entry["when_ms"] - desk.line[slot["open"]]["when_ms"]
    if 0 <= since <= desk.policy.max_shift_ms:
        slot["presence_ms"] = max(slot["presence_ms"], entry["when_ms"])


def is_double(desk: Desk, last: Row, entry: Row) -> bool:
    """Tell if a tap repeats the card's last one: same terminal, or same kind anywhere (rule 5).

    A record of the card's log makes no proven tap a double.
    """
    if last["marks"] & LOGGED and not entry["marks"] & LOGGED:
        return False
    if abs(entry["when_ms"] - last["when_ms"]) > desk.policy.duplicate_ms:
        return False
    tap, before = desk.taps[entry["row"]], desk.taps[last["row"]]
    if (entry["marks"] | last["marks"]) & NO_CLOCK and not same_boot(tap, before):
        return False  # nobody knows how far apart they are
    return entry["kind"] == last["kind"] or tap["terminal"] == before["terminal"]


def take_tap(desk: Desk, position: int, cards: int, last_out: int) -> bool:
    """Open, close or both; tell if the tap went out."""
    entry = desk.line[position]
    opened = open_for(desk, entry, cards)
    kind = entry["kind"]
    if kind == AUTO:
        kind = OUT if opened >= 0 and not too_long(desk, desk.line[opened], entry) else IN
    if kind in (OUT, SWITCH):
        if opened >= 0:
            desk.slots[desk.line[opened]["slot"]]["open"] = -1
            close(desk, opened, position, kind)
        elif kind == OUT:
            list_orphan(desk, entry, last_out)
    if kind in (IN, SWITCH):
        slot = desk.slots[entry["slot"]]
        if slot["open"] >= 0:
            leave_open(desk, slot["open"], position, True)
        slot["open"] = position
        slot["presence_ms"] = NEVER
    return kind == OUT


def open_for(desk: Desk, entry: Row, cards: int) -> int:
    """Return the open tap-in a tap-out would close: its own card's, else another's (rule 43)."""
    own = desk.slots[entry["slot"]]["open"]
    if own >= 0:
        return own
    best = -1
    for slot in range(cards):
        opened = desk.slots[slot]["open"]
        if opened < 0 or too_long(desk, desk.line[opened], entry):
            continue
        if best < 0 or desk.line[opened]["when_ms"] > desk.line[best]["when_ms"]:
            best = opened
    return best


def too_long(desk: Desk, opened: Row, entry: Row) -> bool:
    """Tell if two taps lie further apart than one shift can last."""
    return entry["when_ms"] - opened["when_ms"] > desk.policy.max_shift_ms


def list_orphan(desk: Desk, entry: Row, last_out: int) -> None:
    """List a tap-out without a tap-in (rule 10), or one more after a tap-out (rule 11)."""
    fault = main_fault(entry["marks"])
    if fault > 0:
        raise_exception(desk, fault, entry["row"], -1)
    elif last_out >= 0 and not too_long(desk, desk.line[last_out], entry):
        raise_exception(desk, 11, entry["row"], desk.line[last_out]["row"])
    else:
        raise_exception(desk, 10, entry["row"], -1)


def close(desk: Desk, opened: int, position: int, kind: int) -> None:
    """Make a draft of a tap-in and its tap-out."""
    first, last = desk.line[opened], desk.line[position]
    tap, out_tap = desk.taps[first["row"]], desk.taps[last["row"]]
    span = last["when_ms"] - first["when_ms"]
    marks = first["marks"] | last["marks"]
    long = span > desk.policy.max_shift_ms
    if not marks & FAULTS:
        at_once = span <= desk.policy.duplicate_ms and tap["terminal"] != out_tap["terminal"]
        if at_once and not marks & NO_CLOCK:
            return  # in and out again at once: nobody served (rule 6)
        if long and not within_plan(desk, first, last["when_ms"]):
            leave_open(desk, opened, -1, True)
            if kind == OUT:
                list_orphan(desk, last, -1)
            return
    rules = span_rules(first, last, tap, out_tap)
    if rules & TWO_SITES:
        rules |= family_rules(desk, tap["activity"], out_tap["activity"])
    if long:
        rules |= LONG
    if kind == SWITCH:
        rules |= SWITCHED
    draft = add_draft(desk, opened, position, rules)
    grade = max(first["grade"], last["grade"])
    if marks & NO_CLOCK and not same_boot(tap, out_tap):
        grade = max(grade, GRADE_B)
    draft["grade"] = grade
    if marks & NO_CLOCK:
        keep_certain(desk, draft, first, last)
        span = min(span, draft["end_ms"] - draft["start_ms"])
    settle_draft(desk, draft, marks | rules, span)


def keep_certain(desk: Desk, draft: Row, first: Row, last: Row) -> None:
    """Leave of a pair without a clock what its bounds make certain (rule 26).

    In one boot that is what the running clock counted; else from the latest instant of the one
    tap to the earliest of the other, where the clock of that tap was unknown.
    """
    tap, out_tap = desk.taps[first["row"]], desk.taps[last["row"]]
    start_ms, end_ms = draft["start_ms"], draft["end_ms"]
    if same_boot(tap, out_tap):
        draft["end_ms"] = min(end_ms, start_ms + max(0, out_tap["up_ms"] - tap["up_ms"]))
        return
    if first["marks"] & NO_CLOCK:
        latest_ms = desk.clock[first["row"]]["when_ms"] + first["radius_ms"]
        draft["start_ms"] = min(max(start_ms, latest_ms), end_ms)
    if last["marks"] & NO_CLOCK:
        earliest_ms = desk.clock[last["row"]]["when_ms"] - last["radius_ms"]
        draft["end_ms"] = max(min(end_ms, earliest_ms), draft["start_ms"])


def within_plan(desk: Desk, opened: Row, when_ms: int) -> bool:
    """Tell if a plan foresaw that somebody would still be there (rule 38)."""
    activity = desk.taps[opened["row"]]["activity"]
    if plan_length(desk, activity) == 0:
        return False
    grace_ms = desk.sets[set_at(desk, opened["row"], activity, opened["when_ms"])]["grace_ms"]
    return when_ms <= desk.activities[activity]["end_ms"] + grace_ms


def family_rules(desk: Desk, one: int, other: int) -> int:
    """Return FOREIGN if two activities are known to be of two families (rule 19)."""
    if one < 0 or other < 0:
        return 0
    family, other_family = desk.activities[one]["family"], desk.activities[other]["family"]
    return FOREIGN if 0 < family != other_family > 0 else 0


def span_rules(first: Row, last: Row, tap: Row, out_tap: Row) -> int:
    """Return the rules that show in a pair of taps and in neither alone."""
    rules = PAIRED
    if tap["site"] != out_tap["site"]:
        rules |= TWO_SITES
    if first["slot"] != last["slot"]:
        rules |= TWO_CARDS
    elif first["gap"] != last["gap"]:
        rules |= COUNTER_GAP
    zone = tap["tz_q"]
    if service_day(first["when_ms"], zone) != service_day(last["when_ms"], zone):
        rules |= MIDNIGHT
    return rules


def settle_draft(desk: Desk, draft: Row, marks: int, span: int) -> None:
    """Decide what a pair of taps is worth: credited, zero by rule, held, or an exception."""
    fault = main_fault(marks)
    if fault > 0:
        draft["main"] = fault
        draft["state"] = fault_state(desk, fault, draft["end_ms"])
        if fault not in (27, 53):
            draft["from_ms"] = draft["start_ms"]
            draft["until_ms"] = draft["end_ms"]
        return
    draft["state"] = CREDITED
    if span < desk.sets[draft["set"]]["min_interval_ms"]:
        draft["rules"] |= SHORT
        draft["state"] = ZERO
    if marks & LONG:
        draft["main"] = 38
        draft["limit_ms"] = min(desk.policy.max_shift_ms, draft["cap_ms"])
    if decided_before(desk, draft["in_row"]):
        draft["rules"] |= LATE_OUT


def decided_before(desk: Desk, row: int) -> bool:
    """Tell if a leader had approved an end for this tap-in before the tap-out came (rule 15)."""
    for rule in (12, 13):
        decision = decision_on(desk, rule, row)
        if decision >= 0 and desk.corrections[decision]["decision"] == APPROVED:
            return True
    return False


def leave_open(desk: Desk, opened: int, again: int, over: bool) -> None:
    """Make a draft of a tap-in without tap-out; `again` is the next tap-in, -1 if none came.

    While it is not `over`, the volunteer is on duty.
    """
    first = desk.line[opened]
    rules = 0
    presence_ms = desk.slots[first["slot"]]["presence_ms"]
    if again >= 0:
        following = desk.line[again]
        zone = desk.taps[first["row"]]["tz_q"]
        day = service_day(first["when_ms"], zone)
        same_day = day == service_day(following["when_ms"], zone)
        if same_day and not too_long(desk, first, following):
            rules = IN_AGAIN
            presence_ms = max(presence_ms, following["when_ms"])
        else:
            rules = IN_NEXT_DAY
        if first["gap"] != following["gap"]:
            rules |= COUNTER_GAP
    draft = add_draft(desk, opened, -1, rules)
    draft["grade"] = max(first["grade"], GRADE_B)
    draft["state"] = OPEN
    fault = main_fault(first["marks"])
    if fault > 0:
        draft["main"] = fault
        draft["state"] = fault_state(desk, fault, draft["end_ms"])
    elif over:
        propose_end(desk, draft, presence_ms)


def overdue(desk: Desk, opened: int) -> bool:
    """Tell if no tap-out can be expected: plan and grace, or a whole shift, have passed."""
    first = desk.line[opened]
    activity = desk.taps[first["row"]]["activity"]
    if plan_length(desk, activity) > 0:
        planned_ms = max(first["when_ms"], desk.activities[activity]["end_ms"])
        grace_ms = desk.sets[set_at(desk, first["row"], activity, first["when_ms"])]["grace_ms"]
        return desk.as_of_ms >= planned_ms + grace_ms
    return desk.as_of_ms >= first["when_ms"] + desk.policy.max_shift_ms


def propose_end(desk: Desk, draft: Row, presence_ms: int) -> None:
    """Put a missing tap-out into the queue with the end a leader may approve (rules 12, 13)."""
    start_ms = draft["start_ms"]
    activity = desk.taps[draft["in_row"]]["activity"]
    length_ms = plan_length(desk, activity)
    until_ms = presence_ms
    if length_ms > 0 and desk.activities[activity]["end_ms"] > start_ms:
        draft["main"] = 12
        draft["rules"] |= MISSING_OUT
        draft["state"] = EXCEPTION
        until_ms = min(desk.activities[activity]["end_ms"], start_ms + length_ms)
        if draft["rules"] & IN_AGAIN:
            until_ms = min(until_ms, presence_ms)
    else:
        draft["main"] = 13
        draft["rules"] |= NO_PLAN
    if until_ms > start_ms:
        draft["from_ms"] = start_ms
        draft["until_ms"] = until_ms


def add_draft(desk: Desk, opened: int, position: int, rules: int) -> Row:
    """Append a draft; `position` is the entry of its tap-out, -1 without one."""
    first = desk.line[opened]
    draft = blank_draft(desk)
    draft["in_line"] = opened
    draft["out_line"] = position
    draft["in_row"] = first["row"]
    draft["start_ms"] = first["when_ms"]
    draft["end_ms"] = first["when_ms"]
    if position >= 0:
        draft["out_row"] = desk.line[position]["row"]
        draft["end_ms"] = max(first["when_ms"], desk.line[position]["when_ms"])
    draft["other_row"] = draft["out_row"]
    draft["rules"] = rules
    activity = desk.taps[first["row"]]["activity"]
    draft["activity"] = activity
    draft["cap_ms"] = plan_length(desk, activity)
    draft["set"] = set_at(desk, first["row"], activity, first["when_ms"])
    return draft


def blank_draft(desk: Desk) -> Row:
    """Append a draft without taps."""
    number = desk.counts[DRAFTS]
    desk.counts[DRAFTS] = number + 1
    draft = desk.drafts[number]
    draft["in_row"] = -1
    draft["out_row"] = -1
    draft["in_line"] = -1
    draft["out_line"] = -1
    draft["start_ms"] = 0
    draft["end_ms"] = 0
    draft["rules"] = 0
    draft["grade"] = GRADE_B
    draft["state"] = EXCEPTION
    draft["main"] = 0
    draft["other_row"] = -1
    draft["from_ms"] = 0
    draft["until_ms"] = 0
    draft["cap_ms"] = 0
    draft["limit_ms"] = 0
    draft["correction"] = -1
    draft["minutes"] = 0
    draft["activity"] = -1
    draft["set"] = 0
    draft["counts_ms"] = 0
    draft["present_ms"] = 0
    return draft


HOT = (
    listen,
    is_double,
    take_tap,
    open_for,
    too_long,
    close,
    span_rules,
    settle_draft,
    decided_before,
    add_draft,
    blank_draft,
)
HELPERS = (
    judge_travel,
    judge_way,
    reach_m,
    family_rules,
    merge_lines,
    earlier,
    pair_line,
    note_presence,
    list_orphan,
    within_plan,
    leave_open,
    overdue,
    propose_end,
    keep_certain,
)
