# SPDX-License-Identifier: Apache-2.0
"""Minors: their time waits for the word or the company of a guardian (rule 52)."""

from __future__ import annotations

from server.reconciliation.arrays import CREDITED, HELD, Row
from server.reconciliation.codes import GUARDIAN
from server.reconciliation.desk import DRAFTS, ENTRIES, GUARDIAN_MISSING, PERSON, Desk
from server.reconciliation.faults import FAULTS


def hold_minor(desk: Desk, guardian: Desk) -> None:
    """Hold a minor's intervals that no guardian stands beside (rule 52).

    `guardian` is the desk of the linked guardian, already paired; without one it is empty.
    """
    until_ms = desk.persons[desk.counts[PERSON]]["minor_until_ms"]
    for number in range(desk.counts[DRAFTS]):
        draft = desk.drafts[number]
        site = desk.taps[draft["in_row"]]["site"]
        when_ms = draft["start_ms"]
        if when_ms >= until_ms or attested(guardian, site, when_ms):
            continue
        if serving(guardian, site, when_ms):
            continue
        draft["rules"] |= GUARDIAN_MISSING
        draft["counts_ms"] = guarded_from(guardian, site, when_ms, draft["end_ms"])
        if draft["state"] == CREDITED and draft["counts_ms"] == 0:
            draft["main"] = 52
            draft["state"] = HELD
            draft["from_ms"] = draft["start_ms"]
            draft["until_ms"] = draft["end_ms"]


def attested(guardian: Desk, site: int, when_ms: int) -> bool:
    """Tell if the guardian gave a word at this site around an instant."""
    for entry in range(guardian.counts[ENTRIES]):
        line = guardian.line[entry]
        if line["kind"] != GUARDIAN or line["marks"] & FAULTS:
            continue
        near = abs(line["when_ms"] - when_ms) <= guardian.policy.guardian_ms
        if near and guardian.taps[line["row"]]["site"] == site:
            return True
    return False


def serving(guardian: Desk, site: int, when_ms: int) -> bool:
    """Tell if the guardian served at this site around an instant."""
    near_ms = guardian.policy.guardian_ms
    for number in range(guardian.counts[DRAFTS]):
        draft = guardian.drafts[number]
        if guardian.taps[draft["in_row"]]["site"] != site or at_fault(guardian, draft):
            continue
        if draft["start_ms"] - near_ms <= when_ms <= draft["end_ms"] + near_ms:
            return True
    return False


def guarded_from(guardian: Desk, site: int, start_ms: int, end_ms: int) -> int:
    """Return when the guardian came or spoke during a minor's stay at a site, 0 if never."""
    first_ms = end_ms
    for entry in range(guardian.counts[ENTRIES]):
        line = guardian.line[entry]
        if line["kind"] != GUARDIAN or line["marks"] & FAULTS:
            continue
        if start_ms < line["when_ms"] and guardian.taps[line["row"]]["site"] == site:
            first_ms = min(first_ms, line["when_ms"])
    for number in range(guardian.counts[DRAFTS]):
        draft = guardian.drafts[number]
        if guardian.taps[draft["in_row"]]["site"] != site or at_fault(guardian, draft):
            continue
        if start_ms < draft["start_ms"]:
            first_ms = min(first_ms, draft["start_ms"])
    return first_ms if first_ms < end_ms else 0


def at_fault(desk: Desk, draft: Row) -> bool:
    """Tell if a tap of the draft cannot be credited whatever its partner is."""
    marks = desk.line[draft["in_line"]]["marks"]
    if draft["out_line"] >= 0:
        marks |= desk.line[draft["out_line"]]["marks"]
    return marks & FAULTS != 0


HOT = ()
HELPERS = (
    hold_minor,
    attested,
    serving,
    guarded_from,
    at_fault,
)
