# SPDX-License-Identifier: Apache-2.0
"""The short way: people with one card and nothing but sound taps are judged in one pass.

Most histories of a city are such. Whatever asks for more than the rules named here (a fault, a
second card, a guardian, a correction, a gap, a journey too quick to be sure) is left to the long
way before anything is written, so that both ways give one result; tests hold them equal.

Rules 1, 5-14, 17, 19, 24, 25, 27, 38, 49, 55. The functions stay inside the subset that numba
compiles; they are inlined, because a call carries the whole desk.
"""

from __future__ import annotations

from server.reconciliation import clock
from server.reconciliation.arrays import CREDITED, EXCEPTION, GRADE_B, OPEN, ZERO, Row
from server.reconciliation.codes import (
    AUTO,
    FLAG_EXPIRED,
    FLAG_HOTLISTED,
    FLAG_OVERRIDE,
    FLAG_TRAINING,
    IN,
    OUT,
    PROOF_TAC,
    RESULT_TORN,
    VERDICT_OK,
)
from server.reconciliation.desk import (
    ALL_RULES,
    DOUBLE,
    EXCEPTIONS,
    IN_AGAIN,
    IN_NEXT_DAY,
    INTERVALS,
    LONG,
    MIDNIGHT,
    MISSING_OUT,
    NEVER,
    NO_PLAN,
    ON_REQUEST,
    PAIRED,
    PERSON,
    SHORT,
    TWO_SITES,
    Desk,
    apart_m2,
    month_number,
    plan_length,
    propose,
    raise_exception,
    service_day,
    set_at,
)
from server.reconciliation.judging import clock_marks, grade_cap, grade_of
from server.reconciliation.pairing import family_rules, reach_m
from server.reconciliation.parameters import MINUTE_MS

# What a tap in training mode, of a bad card or by a leader has; none of it is sound.
ODD_FLAGS = FLAG_TRAINING | FLAG_HOTLISTED | FLAG_EXPIRED | FLAG_OVERRIDE
SOUND_KINDS = (IN, OUT, AUTO)
# What time correction may have done to a sound tap.
SOUND_NOTES = (
    clock.DRIFTED | clock.STEPPED | clock.FUTURE | clock.WIDE | clock.DOUBLED | clock.ENCLOSED
)
# A key is a card's counter before the tap's place among the gathered.
KEY_BITS = 32
PLACE_MASK = (1 << KEY_BITS) - 1


def judge_sound(desk: Desk) -> bool:
    """Derive the person at the desk the short way; tell if that was possible."""
    person = desk.counts[PERSON]
    first = desk.cards_of[person]
    if desk.persons[person]["minor_until_ms"] > 0 or desk.cards_of[person + 1] - first != 1:
        return False
    if desk.decided_of[person] != desk.decided_of[person + 1]:
        return False
    if desk.sheets_of[person] != desk.sheets_of[person + 1]:
        return False
    card = desk.person_cards[first]
    start = desk.order_of[card]
    count = desk.order_of[card + 1] - start
    if desk.cards[card]["revoked_ms"] > 0 or not gather(desk, start, count):
        return False
    sort_keys(desk, count)
    if not in_sequence(desk, count):
        return False
    intervals, exceptions = desk.counts[INTERVALS], desk.counts[EXCEPTIONS]
    if walk_line(desk, count):
        return True
    desk.counts[INTERVALS] = intervals
    desk.counts[EXCEPTIONS] = exceptions
    return False


def gather(desk: Desk, start: int, count: int) -> bool:
    """Bring the taps of a card together, for they lie far apart; tell if all are sound."""
    # Both ends of every row first, nothing else: asked for together, they arrive together.
    touched = 0
    for place in range(start, start + count):
        row = desk.order[place]
        tap = desk.taps[row]
        touched |= tap["up_ms"] | tap["verdict"] | desk.clock[row]["note"]
    odd = 0
    for place in range(count):
        row = desk.order[start + place]
        tap, time = desk.taps[row], desk.clock[row]
        kind, proof, note = tap["type"], tap["proof"], time["note"]
        terminal = desk.terminals[tap["terminal"]]
        odd |= terminal["fork_ms"] | terminal["gap_seq"] | terminal["revoked_ms"]
        odd |= tap["flags"] & ODD_FLAGS | note & ~SOUND_NOTES | PROOF_TAC & ~proof
        odd |= int(tap["verdict"] != VERDICT_OK) | int(tap["result"] == RESULT_TORN)
        odd |= int(kind not in SOUND_KINDS) | int(tap["card_ctr"] < 0)
        marks = clock_marks(note) if note else 0
        entry = desk.sound[place]
        entry["row"] = row
        entry["when_ms"] = time["when_ms"]
        entry["marks"] = marks
        entry["kind"] = kind
        entry["grade"] = max(grade_of(proof), grade_cap(kind, marks))
        entry["terminal"] = tap["terminal"]
        entry["site"] = tap["site"]
        entry["activity"] = tap["activity"]
        entry["tz_q"] = tap["tz_q"]
        desk.keys[place] = (tap["card_ctr"] << KEY_BITS) + place
    return odd == 0 and touched >= 0


def sort_keys(desk: Desk, count: int) -> None:
    """Sort the keys of the gathered taps: Shell's sort, in place."""
    keys = desk.keys
    gap = 1
    while gap < count // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for position in range(gap, count):
            key = keys[position]
            place = position
            while place >= gap and keys[place - gap] > key:
                keys[place] = keys[place - gap]
                place -= gap
            keys[place] = key
        gap //= 3


def in_sequence(desk: Desk, count: int) -> bool:
    """Tell if no counter is missing or there twice, time rises, and every way can be made."""
    for place in range(1, count):
        key, before_key = desk.keys[place], desk.keys[place - 1]
        if (key >> KEY_BITS) - (before_key >> KEY_BITS) != 1:
            return False
        entry, before = desk.sound[key & PLACE_MASK], desk.sound[before_key & PLACE_MASK]
        if entry["when_ms"] <= before["when_ms"]:
            return False
        if entry["site"] != before["site"] and len(desk.sites) > 1:
            way_m2 = apart_m2(desk, before["site"], entry["site"])
            way_m = reach_m(desk, entry["when_ms"] - before["when_ms"])
            if way_m2 > way_m * way_m:  # only the radii could tell
                return False
    return True


def walk_line(desk: Desk, count: int) -> bool:
    """Pair the sorted taps and write what comes of them; tell if nothing asked for more."""
    walk = desk.walk[0]
    walk["opened"] = -1
    walk["last"] = -1
    walk["last_out"] = -1
    walk["closed"] = -1
    walk["queued"] = 0
    walk["month"] = -1
    walk["repeated"] = 0
    for place in range(count):
        number = desk.keys[place] & PLACE_MASK
        entry = desk.sound[number]
        if walk["last"] >= 0 and repeats(desk, desk.sound[walk["last"]], entry):
            desk.sound[walk["last"]]["marks"] |= DOUBLE
            if walk["closed"] >= 0:
                desk.intervals[walk["closed"]]["rules"] |= DOUBLE
            continue
        walk["last"] = number
        walk["closed"] = -1
        if goes_out(desk, walk, entry):
            possible = go_out(desk, walk, number)
            walk["last_out"] = number
        else:
            possible = come_in(desk, walk, number)
        if not possible:
            return False
    if walk["opened"] >= 0:
        over = is_overdue(desk, desk.sound[walk["opened"]])
        stay_open(desk, walk, -1, over)
    return True


def repeats(desk: Desk, last: Row, entry: Row) -> bool:
    """Tell if a tap repeats the last one: same terminal, or same kind anywhere (rule 5)."""
    if entry["when_ms"] - last["when_ms"] > desk.policy.duplicate_ms:
        return False
    return entry["kind"] == last["kind"] or entry["terminal"] == last["terminal"]


def goes_out(desk: Desk, walk: Row, entry: Row) -> bool:
    """Tell if a tap goes out; one without a direction does if somebody is in."""
    if entry["kind"] != AUTO:
        return entry["kind"] == OUT
    if walk["opened"] < 0:
        return False
    return entry["when_ms"] - desk.sound[walk["opened"]]["when_ms"] <= desk.policy.max_shift_ms


def come_in(desk: Desk, walk: Row, number: int) -> bool:
    """Open; whoever was in already forgot to tap out (rules 8, 9)."""
    if walk["opened"] >= 0:
        stay_open(desk, walk, number, True)
    walk["opened"] = number
    return True


def go_out(desk: Desk, walk: Row, number: int) -> bool:
    """Close, or list a tap-out without a tap-in (rules 10, 11)."""
    last = desk.sound[number]
    if walk["opened"] < 0:
        return list_lone_out(desk, walk, last, walk["last_out"])
    first = desk.sound[walk["opened"]]
    span = last["when_ms"] - first["when_ms"]
    if span <= desk.policy.duplicate_ms and first["terminal"] != last["terminal"]:
        walk["opened"] = -1
        return True  # in and out again at once: nobody served (rule 6)
    chosen = set_of(desk, first)
    if span > desk.policy.max_shift_ms and not planned_until(desk, first, last, chosen):
        stay_open(desk, walk, -1, True)
        walk["opened"] = -1
        return list_lone_out(desk, walk, last, -1)
    return close_pair(desk, walk, number, chosen)


def list_lone_out(desk: Desk, walk: Row, entry: Row, last_out: int) -> bool:
    """List a tap-out that closes nothing, unless a draft waits in the queue: drafts come last."""
    if walk["queued"] > 0:
        return False
    rule, other_row = 10, -1
    if last_out >= 0:
        before = desk.sound[last_out]
        if entry["when_ms"] - before["when_ms"] <= desk.policy.max_shift_ms:
            rule, other_row = 11, before["row"]
    raise_exception(desk, rule, entry["row"], other_row)
    return True


def set_of(desk: Desk, entry: Row) -> int:
    """Return the set of parameters for a tap-in; mostly there is but one."""
    if len(desk.sets) == 1:
        return 0
    return set_at(desk, entry["row"], entry["activity"], entry["when_ms"])


def planned_until(desk: Desk, first: Row, last: Row, chosen: int) -> bool:
    """Tell if a plan foresaw that somebody would still be there (rule 38)."""
    if plan_length(desk, first["activity"]) == 0:
        return False
    end_ms = desk.activities[first["activity"]]["end_ms"]
    return last["when_ms"] <= end_ms + desk.sets[chosen]["grace_ms"]


def close_pair(desk: Desk, walk: Row, number: int, chosen: int) -> bool:
    """Write the interval between a tap-in and its tap-out."""
    first, last = desk.sound[walk["opened"]], desk.sound[number]
    settings = desk.sets[chosen]
    two_sites = first["site"] != last["site"]
    if not settings["plain"] or (two_sites and not settings["travel_counts"]):
        return False
    if two_sites and family_rules(desk, first["activity"], last["activity"]):
        return False
    span = last["when_ms"] - first["when_ms"]
    rules = PAIRED | first["marks"] | last["marks"]
    zone = first["tz_q"]
    day = service_day(first["when_ms"], zone)
    if two_sites:
        rules |= TWO_SITES
    if day != service_day(last["when_ms"], zone):
        rules |= MIDNIGHT
    counted = span
    if span > desk.policy.max_shift_ms:
        rules |= LONG
        length_ms = plan_length(desk, first["activity"])
        counted = min(span, desk.policy.max_shift_ms, length_ms)
        raise_exception(desk, 38, first["row"], last["row"])
        walk["queued"] += 1
    position = desk.counts[INTERVALS]
    out = desk.intervals[position]
    if span < settings["min_interval_ms"]:
        rules |= SHORT
        out["minutes"] = 0
        out["state"] = ZERO
    else:
        out["minutes"] = counted // MINUTE_MS
        out["state"] = CREDITED
    out["end_ms"] = last["when_ms"]
    out["out_row"] = last["row"]
    out["grade"] = max(first["grade"], last["grade"])
    write_start(desk, first, chosen, day)
    out["rules"] = rules & ALL_RULES & ~1
    walk["opened"] = -1
    walk["closed"] = position
    return True


def write_start(desk: Desk, first: Row, chosen: int, day: int) -> None:
    """Write what an interval has of its tap-in, and count it."""
    position = desk.counts[INTERVALS]
    desk.counts[INTERVALS] = position + 1
    out = desk.intervals[position]
    out["start_ms"] = first["when_ms"]
    out["person"] = desk.counts[PERSON]
    out["in_row"] = first["row"]
    out["correction"] = -1
    out["parameters"] = chosen
    out["service_day"] = day


def is_overdue(desk: Desk, first: Row) -> bool:
    """Tell if no tap-out can be expected: plan and grace, or a whole shift, have passed."""
    if plan_length(desk, first["activity"]) > 0:
        planned_ms = max(first["when_ms"], desk.activities[first["activity"]]["end_ms"])
        return desk.as_of_ms >= planned_ms + desk.sets[set_of(desk, first)]["grace_ms"]
    return desk.as_of_ms >= first["when_ms"] + desk.policy.max_shift_ms


def stay_open(desk: Desk, walk: Row, again: int, over: bool) -> None:
    """Write the open tap-in without tap-out; `again` is the next tap-in, -1 if none came."""
    first = desk.sound[walk["opened"]]
    start_ms = first["when_ms"]
    day = service_day(start_ms, first["tz_q"])
    rules = first["marks"]
    presence_ms = NEVER
    if again >= 0:
        next_ms = desk.sound[again]["when_ms"]
        same_day = day == service_day(next_ms, first["tz_q"])
        if same_day and next_ms - start_ms <= desk.policy.max_shift_ms:
            rules |= IN_AGAIN
            presence_ms = next_ms
        else:
            rules |= IN_NEXT_DAY
    state = OPEN
    if over:
        length_ms = plan_length(desk, first["activity"])
        main = 13
        until_ms = presence_ms
        if length_ms > 0 and desk.activities[first["activity"]]["end_ms"] > start_ms:
            main = 12
            state = EXCEPTION
            until_ms = min(desk.activities[first["activity"]]["end_ms"], start_ms + length_ms)
            if rules & IN_AGAIN:
                until_ms = min(until_ms, presence_ms)
        rules |= MISSING_OUT if main == 12 else NO_PLAN
        if is_repeated(desk, walk, day):
            rules |= ON_REQUEST
        raise_exception(desk, main, first["row"], -1)
        walk["queued"] += 1
        if until_ms > start_ms:
            propose(desk, start_ms, until_ms)
    out = desk.intervals[desk.counts[INTERVALS]]
    out["end_ms"] = start_ms
    out["out_row"] = -1
    out["minutes"] = 0
    out["grade"] = max(first["grade"], GRADE_B)
    out["state"] = state
    out["rules"] = rules & ALL_RULES & ~1
    write_start(desk, first, set_of(desk, first), day)


def is_repeated(desk: Desk, walk: Row, day: int) -> bool:
    """Count a missing tap-out; tell if there were too many in its month (rule 14)."""
    month = month_number(day)
    walk["repeated"] = walk["repeated"] + 1 if month == walk["month"] else 1
    walk["month"] = month
    return walk["repeated"] > desk.policy.repeated_missing


HOT = (
    judge_sound,
    gather,
    sort_keys,
    in_sequence,
    walk_line,
    repeats,
    goes_out,
    come_in,
    go_out,
    set_of,
    close_pair,
    write_start,
)
HELPERS = (
    list_lone_out,
    planned_until,
    is_overdue,
    stay_open,
    is_repeated,
)
