# SPDX-License-Identifier: Apache-2.0
"""What one event is worth: what it can stand for, its grade, the rules that touch it."""

from __future__ import annotations

from server.reconciliation import clock
from server.reconciliation.arrays import GRADE_A, GRADE_B, GRADE_C, Row
from server.reconciliation.codes import (
    AUTO,
    ELSEWHEN_TYPES,
    FLAG_EXPIRED,
    FLAG_HOTLISTED,
    FLAG_OVERRIDE,
    FLAG_TRAINING,
    PROOF_ANSWER,
    PROOF_CARD,
    PROOF_CG2,
    PROOF_HARDWARE,
    PROOF_TAC,
    RECOVERED,
    RESULT_TORN,
    TORN_RESOLVED,
    TRAINING,
    VERDICT_BAD_SIGNATURE,
    VERDICT_FORKED,
    VERDICT_OK,
    VERDICT_PSAM_ORDER,
    VERDICT_SYSTEM,
)
from server.reconciliation.desk import (
    AFTER_REVOCATION,
    DOUBLE,
    DRIFT,
    EXPIRED,
    FORKED,
    FUTURE,
    GROUP,
    HOTLISTED,
    NO_CLOCK,
    PENDING,
    QUARANTINE,
    REVOKED,
    STEP,
    WIDE_BOUNDS,
)

# What one event can stand for.
REFUSED, FULL, HALF, RESCUE, LISTED = 0, 1, 2, 3, 4


def stance(tap: Row) -> int:
    """Tell what an event can stand for: a tap, half of a torn one, its rescue, or nothing.

    A record of the card's log (LISTED) proves nothing and is a tap for a leader to judge.
    An event after a fork still stands if the card itself answered: it is then recorded under
    rule 3. One with a wrong proof never stands for a tap (rules 30, 31).
    """
    verdict = tap["verdict"]
    proof = tap["proof"]
    if tap["type"] == RECOVERED:
        return LISTED if verdict == VERDICT_SYSTEM else REFUSED
    if verdict not in (VERDICT_OK, VERDICT_FORKED):
        return REFUSED
    if tap["result"] == RESULT_TORN:
        return HALF if proof & PROOF_CG2 else REFUSED
    if verdict == VERDICT_FORKED and proof & PROOF_ANSWER != PROOF_ANSWER:
        return REFUSED
    if tap["type"] == TORN_RESOLVED:
        return RESCUE if proof & PROOF_ANSWER == PROOF_ANSWER else REFUSED
    return FULL


def refusal_rule(tap: Row) -> int:
    """Return the rule under which a refused event is listed."""
    verdict = tap["verdict"]
    if verdict == VERDICT_BAD_SIGNATURE and tap["proof"] & PROOF_TAC:
        return 31
    if verdict == VERDICT_PSAM_ORDER:
        return 54
    if verdict == VERDICT_FORKED:
        return 3
    return 30


def occupies(tap: Row) -> bool:
    """Tell if an event shows that the card really counted this number."""
    if tap["proof"] & PROOF_ANSWER == PROOF_ANSWER:
        return True
    return stance(tap) != REFUSED


def counter_proven(tap: Row) -> bool:
    """Tell if a cryptogram of the card covers the event's counter."""
    if tap["proof"] & PROOF_ANSWER != PROOF_ANSWER:
        return False
    return stance(tap) in (FULL, RESCUE)


def same_tap(one: Row, other: Row) -> bool:
    """Tell if two events name the same transaction of the same PSAM."""
    return one["psam"] == other["psam"] and one["ref"] == other["ref"]


def same_boot(one: Row, other: Row) -> bool:
    """Tell if one running clock saw both taps; what is told of a tap later has no such clock."""
    if one["type"] in ELSEWHEN_TYPES or other["type"] in ELSEWHEN_TYPES:
        return False
    return one["terminal"] == other["terminal"] and one["boot"] == other["boot"]


def grade_of(proof: int) -> int:
    """Return the grade that the proven parts of one tap earn.

    >>> [grade_of(proof) for proof in (31, 15, 23, 7, 1)]  # A: all, on a hardware PSAM
    [1, 2, 2, 3, 3]
    """
    if proof & PROOF_ANSWER != PROOF_ANSWER:
        return GRADE_C
    if proof & PROOF_HARDWARE:
        return GRADE_A if proof & PROOF_CG2 else GRADE_B
    return GRADE_B if proof & PROOF_CARD == PROOF_CARD else GRADE_C


def kind_of(tap: Row) -> int:
    """Return what the tap was meant as; a tap in training mode is training."""
    return TRAINING if tap["flags"] & FLAG_TRAINING else tap["type"]


def grade_cap(kind: int, marks: int) -> int:
    """Return the best grade left to a tap of this kind with these marks (rules 4, 45, 55)."""
    return GRADE_B if kind == AUTO or marks & (PENDING | WIDE_BOUNDS | GROUP) else GRADE_A


def clock_marks(note: int) -> int:
    """Translate the notes of time correction into rule bits."""
    marks = 0
    if note & clock.DRIFTED:
        marks |= DRIFT
    if note & clock.STEPPED:
        marks |= STEP
    if note & clock.UNKNOWN:
        marks |= NO_CLOCK
    if note & clock.FUTURE:
        marks |= FUTURE
    if note & clock.QUARANTINED:
        marks |= FUTURE | QUARANTINE
    if note & clock.WIDE:
        marks |= WIDE_BOUNDS
    if note & clock.DOUBLED:
        marks |= DOUBLE
    return marks


def terminal_marks(tap: Row, terminal: Row, received_ms: int) -> int:
    """Return what the terminal's own history says against an event (rules 3, 4, 57)."""
    marks = 0
    if tap["verdict"] == VERDICT_FORKED:
        marks |= FORKED
    # What was acknowledged before the contradiction was known stays valid.
    if 0 < terminal["fork_ms"] <= received_ms and tap["seq"] >= terminal["fork_seq"]:
        marks |= FORKED
    if 0 < terminal["gap_seq"] < tap["seq"]:
        marks |= PENDING
    if 0 < terminal["revoked_ms"] <= received_ms:
        marks |= AFTER_REVOCATION
    return marks


def card_marks(tap: Row, latest_ms: int, revoked_ms: int) -> int:
    """Return what stands against the tap when it was made (rules 33, 34, 45, expiry).

    `latest_ms` is the latest instant at which the tap can have been made.
    """
    marks = 0
    # The flags of a rescue tell what was known then, not at the tap.
    if tap["type"] not in ELSEWHEN_TYPES:
        if tap["flags"] & FLAG_HOTLISTED:
            marks |= HOTLISTED
        if tap["flags"] & FLAG_EXPIRED:
            marks |= EXPIRED
        if tap["flags"] & FLAG_OVERRIDE:
            marks |= GROUP
    if 0 < revoked_ms <= latest_ms and not marks & HOTLISTED:
        marks |= REVOKED
    return marks


HOT = (
    stance,
    occupies,
    counter_proven,
    grade_of,
    kind_of,
    grade_cap,
    clock_marks,
    terminal_marks,
    card_marks,
)
HELPERS = (
    refusal_rule,
    same_tap,
    same_boot,
)
