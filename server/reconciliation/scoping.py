# SPDX-License-Identifier: Apache-2.0
"""Which parameters apply where and when: sets for activities and sites, resolved before the kernel.

A parameter is looked for at the activity, then at its site, then in the region of that site, then
in what is set for everybody, then in the policy; in each place the newest that has begun counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from server.reconciliation.arrays import Array, History, records
from server.reconciliation.parameters import SCOPED, Policy

# What the kernel reads of one set; a scope's sets follow each other by `from_ms`.
SET_ROWS = np.dtype([("from_ms", "i8"), ("plain", "i8"), *((name, "i8") for name in SCOPED)])
# A set is plain if a span counts as it is: no break, no rounding, no share, no edges of a plan.
PLAIN_SETTINGS = {
    "break_after_ms": 0, "early_counts": 1, "late_counts": 1, "round_minutes": 1,
    "share_percent": 0,
}  # fmt: skip
ACTIVITY_ROWS = np.dtype(
    [
        ("start_ms", "i8"),
        ("end_ms", "i8"),
        ("family", "i8"),
        ("first", "i8"),  # begin and end of its sets
        ("stop", "i8"),
    ]
)
SITE_ROWS = np.dtype(
    [
        ("id", "i8"),
        ("x_m", "i8"),
        ("y_m", "i8"),
        ("z_m", "i8"),
        ("located", "i8"),
        ("first", "i8"),
        ("stop", "i8"),
    ]
)
# Stands before all sites, for taps whose site nobody knows.
NOWHERE = -1
ALWAYS_MS = -(1 << 62)


@dataclass(frozen=True)
class Scopes:
    """The sets, what each was made of, and the registers that lead to them."""

    sets: Array
    made_of: tuple[tuple[int, ...], ...]
    activities: Array
    sites: Array


def resolve(history: History, policy: Policy) -> Scopes:
    """Resolve the parameters of every activity and site."""
    book = _Book(records(history.parameters), policy)
    activities = np.zeros(len(history.activities), ACTIVITY_ROWS)
    regions = dict(zip(history.sites["id"].tolist(), history.sites["region"].tolist(), strict=True))
    for name in ("start_ms", "end_ms", "family"):
        activities[name] = history.activities[name]
    sites = _site_rows(history)
    if not len(history.parameters):
        activities["stop"] = sites["stop"] = 1
        return Scopes(book.table(), book.made_of(), activities, sites)
    for row, item in zip(activities, history.activities, strict=True):
        site = int(item["site"])
        row["first"], row["stop"] = book.scope(int(item["id"]), site, regions.get(site, 0))
    for row in sites:
        site = int(row["id"])
        row["first"], row["stop"] = book.scope(0, max(site, 0), regions.get(site, 0))
    return Scopes(book.table(), book.made_of(), activities, sites)


def _site_rows(history: History) -> Array:
    """Return nowhere, then the sites of the register and of the parameters, by id."""
    ids = np.union1d(history.sites["id"], history.parameters["site"])
    ids = ids[ids > 0]
    rows = np.zeros(len(ids) + 1, SITE_ROWS)
    rows["id"][0] = NOWHERE
    rows["id"][1:] = ids
    at = np.searchsorted(rows["id"], history.sites["id"])
    for name in ("x_m", "y_m", "z_m", "located"):
        rows[name][at] = history.sites[name]
    return rows


class _Book:
    """The sets made so far; equal scopes share their sets."""

    def __init__(self, rows: list[dict[str, int]], policy: Policy) -> None:
        self._rows = sorted(rows, key=lambda row: (_rank(row), row["from_ms"], row["id"]))
        self._defaults = {name: int(getattr(policy, name)) for name in SCOPED}
        self._sets: list[tuple[int, dict[str, int], tuple[int, ...]]] = [
            (ALWAYS_MS, self._defaults, ())
        ]
        self._known: dict[tuple[int, ...], tuple[int, int]] = {(): (0, 1)}

    def scope(self, activity: int, site: int, region: int) -> tuple[int, int]:
        """Return begin and end of the sets of an activity at a site; 0 = not known."""
        own = [
            row
            for row in self._rows
            if row["activity"] in (0, activity)
            and row["site"] in (0, site)
            and row["region"] in (0, region)
        ]
        key = tuple(row["id"] for row in own)
        if key not in self._known:
            first = len(self._sets)
            begins = sorted({ALWAYS_MS, *(row["from_ms"] for row in own)})
            self._sets += [self._at(own, begin) for begin in begins]
            self._known[key] = (first, len(self._sets))
        return self._known[key]

    def _at(
        self, own: list[dict[str, int]], begin_ms: int
    ) -> tuple[int, dict[str, int], tuple[int, ...]]:
        """Return what holds from an instant on: the last row in order of rank decides."""
        values, source = dict(self._defaults), dict.fromkeys(SCOPED, 0)
        for row in own:
            if row["from_ms"] > begin_ms:
                continue
            for name in SCOPED:
                if row[name] >= 0:
                    values[name], source[name] = row[name], row["id"]
        return begin_ms, values, tuple(sorted(set(source.values()) - {0}))

    def table(self) -> Array:
        """Return the sets as the kernel reads them."""
        rows = np.zeros(len(self._sets), SET_ROWS)
        rows["from_ms"] = [begin for begin, _values, _source in self._sets]
        for name in SCOPED:
            rows[name] = [values[name] for _begin, values, _source in self._sets]
        rows["plain"] = [
            all(values[name] == usual for name, usual in PLAIN_SETTINGS.items())
            for _begin, values, _source in self._sets
        ]
        return rows

    def made_of(self) -> tuple[tuple[int, ...], ...]:
        """Return the ids of the parameters behind each set."""
        return tuple(source for _begin, _values, source in self._sets)


def _rank(row: dict[str, int]) -> int:
    """Return how special a row is: for everybody, a region, a site, an activity.

    >>> _rank({"activity": 0, "site": 4, "region": 0})
    2
    """
    return 3 if row["activity"] else 2 if row["site"] else 1 if row["region"] else 0


def values_of(history: History, policy: Policy, ids: Iterable[int]) -> dict[str, int]:
    """Return the values that a set made of these parameters has, for explanations."""
    chosen = set(ids)
    rows = [row for row in records(history.parameters) if row["id"] in chosen]
    values = {name: int(getattr(policy, name)) for name in SCOPED}
    for row in sorted(rows, key=lambda row: (_rank(row), row["from_ms"], row["id"])):
        values |= {name: row[name] for name in SCOPED if row[name] >= 0}
    return values
