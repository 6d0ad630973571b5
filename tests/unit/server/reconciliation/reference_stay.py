# SPDX-License-Identifier: Apache-2.0
"""One draft interval of the plain objects, and small questions about taps and spans."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.unit.server.reconciliation.reference import RECOVERED, RESOLVED, Tap


@dataclass(eq=False)
class Stay:
    """A draft interval."""

    first: Tap | None
    last: Tap | None
    start: int
    end: int
    rules: set[Any] = field(default_factory=set)
    grade: int = 2
    state: str = "exception"
    raises: int = 0
    other: int = -1
    proposal: tuple[int, int] = (0, 0)
    plan: int = 0
    limit: int | None = None
    correction: dict[str, int] | None = None
    minutes: int = 0
    alone: int = -1  # the one row of an approved single tap
    alone_in: bool = False
    activity: int = -1
    settings: dict[str, int] = field(default_factory=dict)
    set_of: tuple[int, ...] = ()
    counts: int | None = None  # rule 52: only from here on
    present: int = 0

    def in_row(self) -> int:
        if self.first:
            return self.first.event.row
        return self.alone if self.alone_in else -1

    def out_row(self) -> int:
        if self.last:
            return self.last.event.row
        return -1 if self.alone_in else self.alone


def boot_of(tap: Tap) -> tuple[int, ...]:
    """Return what has one running clock; what is told of a tap later has none in common."""
    if tap.event.type in (RESOLVED, RECOVERED):
        return (tap.event.row,)
    return tap.event.terminal, tap.event.boot


def keep_certain(stay: Stay) -> None:
    """Rule 26: of a pair without a clock only what is certain of its length."""
    first, last = stay.first, stay.last
    if not first or not last or 26 not in first.rules | last.rules:
        return
    if boot_of(first) == boot_of(last):
        ran = max(0, last.event.up_ms - first.event.up_ms)
        stay.end = min(stay.end, stay.start + ran)
        return
    latest, earliest = stay.start, stay.end
    if 26 in first.rules:
        latest = max(latest, first.event.when + first.event.radius)
    if 26 in last.rules:
        earliest = min(earliest, last.event.when - last.event.radius)
    stay.start = min(latest, stay.end)
    stay.end = max(stay.start, earliest)


def gravest(rules: set[Any]) -> int:
    """Return the gravest rule that keeps a tap from being credited, 0 if none does."""
    names = {"quarantine": 27, "unproven": 32, "foreign": 19}
    for rule in (3, 33, 59, 34, 57, "quarantine", 53, "unproven", 37, "foreign", 28):
        if rule in rules:
            return names.get(rule, rule)
    return 0


def without(spans: list[tuple[int, int]], covered: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return what is left of spans once others are taken away."""
    for low, high in covered:
        parts = []
        for start, end in spans:
            parts += [(start, min(end, low)), (max(start, high), end)]
        spans = [(start, end) for start, end in parts if start < end]
    return spans


def length(spans: list[tuple[int, int]]) -> int:
    """Return the length of disjoint spans."""
    return sum(end - start for start, end in spans)
