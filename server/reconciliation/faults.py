# SPDX-License-Identifier: Apache-2.0
"""What keeps time from being credited: the faults of taps and of pairs, and what follows."""

from __future__ import annotations

from server.reconciliation.arrays import EXCEPTION, HELD, ZERO
from server.reconciliation.desk import (
    AFTER_REVOCATION,
    COUNTER_GAP,
    DISORDER,
    EXPIRED,
    FOREIGN,
    FORKED,
    HOTLISTED,
    LOGGED,
    QUARANTINE,
    REVOKED,
    UNPROVEN,
    Desk,
)

# What keeps a tap from being credited whatever its partner is.
FAULTS = (
    FORKED | UNPROVEN | HOTLISTED | REVOKED | DISORDER | EXPIRED | QUARANTINE
    | LOGGED | AFTER_REVOCATION
)  # fmt: skip
# What keeps an interval from being credited and no tap of it.
SPAN_FAULTS = COUNTER_GAP | FOREIGN
# Every fault with the rule it is listed under, the gravest first.
GRAVITY = (
    (FORKED, 3), (HOTLISTED, 33), (EXPIRED, 59), (REVOKED, 34), (AFTER_REVOCATION, 57),
    (QUARANTINE, 27), (DISORDER, 53), (UNPROVEN, 32), (LOGGED, 37), (FOREIGN, 19),
    (COUNTER_GAP, 28),
)  # fmt: skip


def main_fault(marks: int) -> int:
    """Return the gravest rule that keeps a tap from being credited, 0 if none does.

    >>> main_fault(HOTLISTED | DISORDER), main_fault(QUARANTINE), main_fault(LOGGED)
    (33, 27, 37)
    """
    if not marks & (FAULTS | SPAN_FAULTS):
        return 0
    for bit, rule in GRAVITY:
        if marks & bit:
            return rule
    return 0


def fault_state(desk: Desk, rule: int, end_ms: int) -> int:
    """Return the state of an interval under a fault: final, waiting for records, or for people."""
    if rule in (33, 59):
        return ZERO
    if rule == 28 and desk.as_of_ms - end_ms >= desk.policy.gap_wait_ms:
        return EXCEPTION  # whoever has the missing record is lost
    return HELD if rule in (27, 28) else EXCEPTION


HOT = (main_fault,)
HELPERS = (fault_state,)
