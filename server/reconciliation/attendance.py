# SPDX-License-Identifier: Apache-2.0
"""Late arrival and early leave: what the plan and the taps say of each other, kept on record."""

from __future__ import annotations

from dataclasses import dataclass

from server.reconciliation.parameters import MINUTE_MS


@dataclass(frozen=True, slots=True)
class Attendance:
    """Whole minutes somebody came after the planned start, and left before the planned end."""

    late_minutes: int
    early_minutes: int


def attendance(service: tuple[int, int | None], plan: tuple[int, int]) -> Attendance | None:
    """Hold a service against its plan (both ms UTC); None if the two do not meet.

    Without a tap-out nobody knows when somebody left.

    >>> hour = 3_600_000
    >>> attendance((20 * 60_000, 150 * 60_000), (0, 3 * hour))
    Attendance(late_minutes=20, early_minutes=30)
    >>> attendance((-5, None), (0, 3 * hour))
    Attendance(late_minutes=0, early_minutes=0)
    >>> attendance((4 * hour, 5 * hour), (0, 3 * hour)) is None
    True
    """
    start_ms, end_ms = service
    plan_start_ms, plan_end_ms = plan
    if plan_end_ms <= plan_start_ms or start_ms >= plan_end_ms:
        return None
    if end_ms is not None and end_ms <= plan_start_ms:
        return None
    early_ms = 0 if end_ms is None else max(0, plan_end_ms - end_ms)
    return Attendance(max(0, start_ms - plan_start_ms) // MINUTE_MS, early_ms // MINUTE_MS)
