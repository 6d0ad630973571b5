# SPDX-License-Identifier: Apache-2.0
"""Credit: a person's drafts become intervals with minutes; no second counts twice.

Guardians, overlaps, leaders' decisions, then whole minutes. The functions stay inside the subset
that numba compiles.
"""

from __future__ import annotations

from server.reconciliation.arrays import (
    APPROVED,
    CREDITED,
    EXCEPTION,
    GRADE_C,
    REJECTED,
    ZERO,
    Row,
)
from server.reconciliation.codes import IN, MANUAL, VERDICT_SYSTEM
from server.reconciliation.desk import (
    ALL_RULES,
    CORRECTED,
    DRAFTS,
    EXCEPTIONS,
    EXCUSED,
    INTERVALS,
    MISSING_OUT,
    NEVER,
    NO_PLAN,
    ON_REQUEST,
    PERSON,
    RESTED,
    ROUNDED,
    TOO_LITTLE,
    TWO_SITES,
    UNPROVEN,
    Desk,
    apart_m2,
    decision_on,
    month_number,
    plan_length,
    propose,
    raise_exception,
    service_day,
    set_at,
)
from server.reconciliation.judging import refusal_rule
from server.reconciliation.pairing import blank_draft
from server.reconciliation.parameters import MINUTE_MS

SECOND_MS = 1_000
MS_PER_HOUR_BY_KM = 3_600


def sort_drafts(desk: Desk) -> None:
    """Order the drafts by start, then by their first tap; nearly sorted, so by insertion."""
    drafts = desk.drafts
    for number in range(desk.counts[DRAFTS]):
        place = number
        while place > 0 and starts_before(desk, number, drafts[place - 1]["sorted"]):
            drafts[place]["sorted"] = drafts[place - 1]["sorted"]
            place -= 1
        drafts[place]["sorted"] = number


def starts_before(desk: Desk, one: int, other: int) -> bool:
    """Compare two drafts by start, terminal and number of their first tap, and correction."""
    this, that = desk.drafts[one], desk.drafts[other]
    if this["start_ms"] != that["start_ms"]:
        return this["start_ms"] < that["start_ms"]
    row, other_row = first_row(this), first_row(that)
    if row < 0 or other_row < 0:
        if (row < 0) != (other_row < 0):
            return other_row < 0
        return this["correction"] < that["correction"]
    tap, other_tap = desk.taps[row], desk.taps[other_row]
    if tap["terminal"] != other_tap["terminal"]:
        return tap["terminal"] < other_tap["terminal"]
    return tap["seq"] < other_tap["seq"]


def first_row(draft: Row) -> int:
    """Return the tap row that names a draft: its tap-in, else its tap-out, else -1."""
    return draft["in_row"] if draft["in_row"] >= 0 else draft["out_row"]


def part_overlaps(desk: Desk) -> None:
    """Send the later of two overlapping intervals to the queue, with what is left of it (20)."""
    drafts = desk.drafts
    reached_ms = NEVER
    holder_row = -1
    for place in range(desk.counts[DRAFTS]):
        draft = drafts[drafts[place]["sorted"]]
        if draft["state"] != CREDITED:
            continue
        if draft["start_ms"] >= reached_ms:
            reached_ms = draft["end_ms"]
            holder_row = draft["in_row"]
            continue
        draft["main"] = 20
        draft["state"] = EXCEPTION
        draft["other_row"] = holder_row
        if draft["end_ms"] > reached_ms:
            draft["from_ms"] = reached_ms
            draft["until_ms"] = draft["end_ms"]


def mark_repeated(desk: Desk) -> None:
    """Mark missing tap-outs beyond the few that happen to anybody in a month (rule 14)."""
    drafts = desk.drafts
    month = -1
    count = 0
    for place in range(desk.counts[DRAFTS]):
        draft = drafts[drafts[place]["sorted"]]
        if not draft["rules"] & (MISSING_OUT | NO_PLAN):
            continue
        this_month = month_number(draft_day(desk, draft))
        count = count + 1 if this_month == month else 1
        month = this_month
        if count > desk.policy.repeated_missing:
            draft["rules"] |= ON_REQUEST


def draft_day(desk: Desk, draft: Row) -> int:
    """Return the service day: the local day of the tap-in at its site (rule 17)."""
    row = first_row(draft)
    zone = 0
    if row >= 0:
        zone = desk.taps[row]["tz_q"]
    elif draft["correction"] >= 0:
        zone = desk.corrections[draft["correction"]]["tz_q"]
    return service_day(draft["start_ms"], zone)


def list_drafts(desk: Desk) -> None:
    """Raise the exceptions of the drafts and attach the leaders' decisions."""
    drafts = desk.drafts
    for place in range(desk.counts[DRAFTS]):
        draft = drafts[drafts[place]["sorted"]]
        if draft["main"] > 0 and draft["correction"] < 0:
            list_draft(desk, draft)


def list_draft(desk: Desk, draft: Row) -> None:
    """Raise the exception of one draft and attach the leader's decision."""
    rule, row = draft["main"], draft["in_row"]
    raise_exception(desk, rule, row, draft["other_row"])
    propose(desk, draft["from_ms"], draft["until_ms"])
    decision = decision_on(desk, rule, row)
    if decision < 0 or draft["state"] == CREDITED:
        return
    if desk.corrections[decision]["decision"] == APPROVED and approvable(rule):
        draft["correction"] = decision
    elif desk.corrections[decision]["decision"] == REJECTED:
        draft["state"] = ZERO


def approvable(rule: int) -> bool:
    """Tell if a leader may credit time in spite of a rule; evidence of fraud is not theirs.

    >>> [rule for rule in (3, 12, 29, 33, 34, 52, 59) if approvable(rule)]
    [12, 34, 52]
    """
    if rule in (10, 11, 12, 13, 19, 20, 27, 28, 31, 32):
        return True
    return rule in (34, 36, 37, 42, 52, 53, 57)


def list_sheets(desk: Desk) -> None:
    """Put time entered by hand into the queue, within the plan that was entered (rule 42)."""
    person = desk.counts[PERSON]
    for position in range(desk.sheets_of[person], desk.sheets_of[person + 1]):
        row = desk.sheets[position]
        tap = desk.taps[row]
        if tap["verdict"] != VERDICT_SYSTEM:
            raise_exception(desk, refusal_rule(tap), row, -1)
            continue
        raise_exception(desk, 42, row, -1)
        start_ms = tap["psam"] * SECOND_MS
        end_ms = sheet_end(desk, row)
        if end_ms > start_ms:
            propose(desk, start_ms, end_ms)


def sheet_end(desk: Desk, row: int) -> int:
    """Return the latest end that time entered by hand can have."""
    tap = desk.taps[row]
    start_ms = tap["psam"] * SECOND_MS
    longest_ms = desk.policy.max_shift_ms
    if tap["card_ctr"] > 0:
        longest_ms = min(longest_ms, tap["card_ctr"] * MINUTE_MS)
    planned_ms = plan_length(desk, tap["activity"])
    if planned_ms > 0:
        longest_ms = min(longest_ms, planned_ms)
    return min(tap["ref"] * SECOND_MS, start_ms + longest_ms)


def adopt_corrections(desk: Desk, first_exception: int) -> None:
    """Make drafts of approved single taps and of time that a leader entered without any tap."""
    person = desk.counts[PERSON]
    if desk.decided_of[person] == desk.decided_of[person + 1]:
        return
    for position in range(first_exception, desk.counts[EXCEPTIONS]):
        found = desk.exceptions[position]
        settled = found["state"] == APPROVED and found["rule"] != 28
        if settled and approvable(found["rule"]):
            decision = decision_on(desk, found["rule"], found["row"])
            adopt(desk, decision, found["row"], found["rule"])
    for position in range(desk.decided_of[person], desk.decided_of[person + 1]):
        decided = desk.corrections[position]
        if decided["terminal"] < 0 and decided["decision"] == APPROVED:
            adopt(desk, position, -1, 0)


def adopt(desk: Desk, decision: int, row: int, rule: int) -> None:
    """Make a draft that stands on a correction and at most one tap, grade C."""
    decided = desk.corrections[decision]
    draft = blank_draft(desk)
    if row >= 0 and desk.taps[row]["type"] == IN:
        draft["in_row"] = row
    else:
        draft["out_row"] = row
    draft["start_ms"] = decided["start_ms"]
    draft["end_ms"] = decided["start_ms"]
    draft["grade"] = GRADE_C
    draft["main"] = rule
    draft["correction"] = decision
    activity = desk.taps[row]["activity"] if row >= 0 else decided["activity"]
    draft["activity"] = activity
    draft["cap_ms"] = plan_length(desk, activity)
    draft["set"] = set_at(desk, row, activity, decided["start_ms"])
    if row >= 0 and desk.taps[row]["type"] == MANUAL:
        draft["from_ms"] = desk.taps[row]["psam"] * SECOND_MS
        draft["until_ms"] = max(sheet_end(desk, row), draft["from_ms"])


def credit_minutes(desk: Desk) -> None:
    """Credit whole minutes: first what taps prove, then corrections in order of decision."""
    for number in range(desk.counts[DRAFTS]):
        if desk.drafts[number]["state"] == CREDITED:
            credit_proven(desk, desk.drafts[number])
    person = desk.counts[PERSON]
    for position in range(desk.decided_of[person], desk.decided_of[person + 1]):
        for number in range(desk.counts[DRAFTS]):
            draft = desk.drafts[number]
            if draft["correction"] == position and draft["state"] != CREDITED:
                credit_corrected(desk, draft, desk.corrections[position])
    ask_share(desk)


def counted_start(desk: Desk, draft: Row, start_ms: int) -> int:
    """Return from when an interval counts: a guardian's word (52), the planned start (40)."""
    start_ms = max(start_ms, draft["counts_ms"])
    if not desk.sets[draft["set"]]["early_counts"] and draft["cap_ms"] > 0:
        start_ms = max(start_ms, desk.activities[draft["activity"]]["start_ms"])
    return start_ms


def counted_end(desk: Desk, draft: Row, end_ms: int) -> int:
    """Return until when an interval counts: at most the planned end, if so set (rule 40)."""
    if not desk.sets[draft["set"]]["late_counts"] and draft["cap_ms"] > 0:
        return min(end_ms, desk.activities[draft["activity"]]["end_ms"])
    return end_ms


def whole_minutes(desk: Desk, draft: Row, span_ms: int) -> int:
    """Return the minutes of a span after the way (19), the break (39) and rounding (40)."""
    settings = desk.sets[draft["set"]]
    if not settings["travel_counts"] and draft["rules"] & TWO_SITES:
        span_ms = max(0, span_ms - way_ms(desk, draft))
    if 0 < settings["break_after_ms"] < span_ms:
        span_ms = max(settings["break_after_ms"], span_ms - settings["break_ms"])
        draft["rules"] |= RESTED
    minutes = span_ms // MINUTE_MS
    rest = minutes % settings["round_minutes"]
    if rest > 0:
        draft["rules"] |= ROUNDED
    return minutes - rest


def way_ms(desk: Desk, draft: Row) -> int:
    """Return how long the way between the two sites of a draft takes."""
    tap, out_tap = desk.taps[draft["in_row"]], desk.taps[draft["out_row"]]
    way_m = whole_root(apart_m2(desk, tap["site"], out_tap["site"]))
    return way_m * MS_PER_HOUR_BY_KM // desk.policy.pace_kmh


def whole_root(square: int) -> int:
    """Return the square root, rounded down, by Newton's way in whole numbers.

    >>> [whole_root(square) for square in (0, 1, 8, 9, 10**12 - 1)]
    [0, 1, 2, 3, 999999]
    """
    root = square
    better = (root + 1) // 2
    while better < root:
        root = better
        better = (root + square // root) // 2
    return root


def ask_share(desk: Desk) -> None:
    """Take the minutes of those who were there for too small a part of the plan (rule 50)."""
    for number in range(desk.counts[DRAFTS]):
        draft = desk.drafts[number]
        share = desk.sets[draft["set"]]["share_percent"]
        if share == 0 or draft["cap_ms"] == 0 or draft["state"] != CREDITED:
            continue
        present_ms = 0
        for other in range(desk.counts[DRAFTS]):
            part = desk.drafts[other]
            if part["state"] == CREDITED and part["activity"] == draft["activity"]:
                present_ms += part["present_ms"]
        if present_ms * 100 < draft["cap_ms"] * share:
            draft["rules"] |= TOO_LITTLE
    for number in range(desk.counts[DRAFTS]):
        draft = desk.drafts[number]
        if draft["rules"] & TOO_LITTLE:
            draft["minutes"] = 0
            draft["state"] = ZERO


def credit_proven(desk: Desk, draft: Row) -> None:
    """Credit an interval between two taps, or less if a leader said so (rule 41)."""
    start_ms = counted_start(desk, draft, draft["start_ms"])
    end_ms = counted_end(desk, draft, draft["end_ms"])
    span_ms = max(0, end_ms - start_ms)
    if span_ms < draft["end_ms"] - max(draft["start_ms"], draft["counts_ms"]):
        draft["rules"] |= ROUNDED
    if draft["limit_ms"] > 0:
        span_ms = min(span_ms, draft["limit_ms"])
    draft["present_ms"] = span_ms
    draft["minutes"] = whole_minutes(desk, draft, span_ms)
    decision = decision_on(desk, 41, draft["in_row"])
    if decision >= 0 and desk.corrections[decision]["decision"] == APPROVED:
        draft["minutes"] = min(draft["minutes"], desk.corrections[decision]["minutes"])
        draft["rules"] |= CORRECTED
        draft["correction"] = decision


def credit_corrected(desk: Desk, draft: Row, decided: Row) -> None:
    """Credit what a leader approved: never above plan or shift, never a second twice.

    What was proposed is also the most that can be approved.
    """
    start_ms = decided["start_ms"]
    end_ms = decided["end_ms"]
    if draft["until_ms"] > 0:
        start_ms = max(start_ms, draft["from_ms"])
        end_ms = min(end_ms, draft["until_ms"])
    end_ms = min(max(start_ms, end_ms), start_ms + desk.policy.max_shift_ms)
    if draft["cap_ms"] > 0:
        end_ms = min(end_ms, start_ms + draft["cap_ms"])
    counted_from = counted_start(desk, draft, start_ms)
    counted_to = counted_end(desk, draft, end_ms)
    if counted_from > max(start_ms, draft["counts_ms"]) or counted_to < end_ms:
        draft["rules"] |= ROUNDED
    span_ms = free_ms(desk, counted_from, counted_to)
    draft["start_ms"] = start_ms
    draft["end_ms"] = end_ms
    draft["present_ms"] = span_ms
    draft["minutes"] = max(0, min(decided["minutes"], whole_minutes(desk, draft, span_ms)))
    draft["grade"] = max(draft["grade"], decided["grade"])
    draft["rules"] |= CORRECTED
    if draft["grade"] == GRADE_C:
        draft["rules"] |= ON_REQUEST
    draft["state"] = CREDITED


def free_ms(desk: Desk, start_ms: int, end_ms: int) -> int:
    """Return how much of a span no credited interval of the person covers yet."""
    free = 0
    at = start_ms
    while at < end_ms:
        covered = at
        nearest = end_ms
        for number in range(desk.counts[DRAFTS]):
            draft = desk.drafts[number]
            if draft["state"] != CREDITED:
                continue
            if draft["start_ms"] <= at:
                covered = max(covered, draft["end_ms"])
            else:
                nearest = min(nearest, draft["start_ms"])
        if covered > at:
            at = covered
        else:
            free += nearest - at
            at = nearest
    return free


def write_intervals(desk: Desk) -> None:
    """Write the person's drafts to the results, in order of time."""
    for place in range(desk.counts[DRAFTS]):
        position = desk.counts[INTERVALS]
        desk.counts[INTERVALS] = position + 1
        write_interval(desk, desk.drafts[place]["sorted"], position)


def write_interval(desk: Desk, number: int, position: int) -> None:
    """Write one draft to the results."""
    draft = desk.drafts[number]
    rules = draft["rules"] | (1 << draft["main"])
    if draft["in_line"] >= 0:
        rules |= desk.line[draft["in_line"]]["marks"]
    if draft["out_line"] >= 0:
        rules |= desk.line[draft["out_line"]]["marks"]
    if rules & EXCUSED:
        rules |= UNPROVEN
    out = desk.intervals[position]
    out["start_ms"] = draft["start_ms"]
    out["end_ms"] = draft["end_ms"]
    out["rules"] = rules & ALL_RULES & ~1
    out["person"] = desk.counts[PERSON]
    out["in_row"] = draft["in_row"]
    out["out_row"] = draft["out_row"]
    out["correction"] = -1
    if draft["correction"] >= 0:
        out["correction"] = desk.corrections[draft["correction"]]["row"]
    out["parameters"] = draft["set"]
    out["service_day"] = draft_day(desk, draft)
    out["minutes"] = draft["minutes"]
    out["grade"] = draft["grade"]
    out["state"] = draft["state"]


HOT = (
    starts_before,
    first_row,
    draft_day,
    counted_start,
    counted_end,
    whole_minutes,
    credit_proven,
    write_interval,
)
HELPERS = (
    way_ms,
    whole_root,
    ask_share,
    list_sheets,
    sheet_end,
    sort_drafts,
    part_overlaps,
    mark_repeated,
    list_drafts,
    list_draft,
    approvable,
    adopt_corrections,
    adopt,
    credit_minutes,
    credit_corrected,
    free_ms,
    write_intervals,
)
