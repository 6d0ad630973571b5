# SPDX-License-Identifier: Apache-2.0
"""What both the kernel and plain SQL can count of the same taps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from server.reconciliation.arrays import Result


@dataclass(frozen=True)
class Totals:
    """What in_out sides count."""

    intervals: int
    minutes: int
    short: int
    over_midnight: int
    two_sites: int
    by_plan: int
    missing_planned: int
    missing_unplanned: int
    in_again: int
    orphans: int
    out_again: int


def counted(result: Result, simple: Any) -> Totals:
    """Count the same in a result of the kernel, of the persons for whom `simple` is true."""
    found = result.intervals[simple[result.intervals["person"]]]
    queue = result.exceptions[simple[result.exceptions["person"]]]
    rules = found["rules"]
    paired = rules >> 1 & 1 == 1

    def having(rule: int) -> int:
        return int((rules[paired] >> rule & 1).sum())

    def listed(rule: int) -> int:
        return int((queue["rule"] == rule).sum())

    return Totals(
        intervals=int(paired.sum()),
        minutes=int(found["minutes"].sum()),
        short=having(7),
        over_midnight=having(17),
        two_sites=having(19),
        by_plan=having(38),
        missing_planned=listed(12),
        missing_unplanned=listed(13),
        in_again=int((rules >> 8 & 1).sum()),
        orphans=listed(10),
        out_again=listed(11),
    )
