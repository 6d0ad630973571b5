# SPDX-License-Identifier: Apache-2.0
"""Who has nothing but sound taps is judged the short way: to the bit what the long way gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bench.reconcile_world import AS_OF_MS, START_MS, make_city
from server.reconciliation import arrays
from server.reconciliation.arrays import History, Result
from server.reconciliation.compiled import PLAIN
from server.reconciliation.parameters import DAY_MS, DEFAULT_POLICY, HOUR_MS, SCOPED, Policy
from server.reconciliation.running import derive
from server.reconciliation.sphere import point_m

EVENTS = 1_600


def as_made(history: History) -> History:
    """Leave the city as it is."""
    return history


def without_direction(history: History) -> History:
    """Let a third of the taps say no direction."""
    taps = history.taps.copy()
    taps["type"][(taps["type"] < 3) & (taps["seq"] % 3 == 0)] = 3
    return replace(history, taps=taps)


def planned(history: History) -> History:
    """Give activities of two families plans of some hours, some with settings of their own."""
    activities = history.activities.copy()
    number = activities["id"]
    activities["start_ms"] = START_MS + number % 45 * DAY_MS
    activities["end_ms"] = activities["start_ms"] + (2 + number % 20) * HOUR_MS
    activities["family"] = 1 + number % 2
    rows = arrays.empty(arrays.PARAMETER_DTYPE, 3)
    for name in SCOPED:
        rows[name] = -1
    rows["id"], rows["from_ms"] = [1, 2, 3], START_MS + np.array([0, 10, 20]) * DAY_MS
    rows["site"] = [3, 4, 5]
    rows["round_minutes"][0], rows["min_interval_ms"][1], rows["grace_ms"][2] = 15, HOUR_MS, 0
    return replace(history, activities=activities, parameters=rows)


def located(history: History) -> History:
    """Put every second site on the map, some so far away that nobody was at both."""
    rows = arrays.empty(arrays.SITE_DTYPE, 2_000)
    rows["id"] = np.arange(2_000) + 1
    for row in rows[::2]:
        spread = int(row["id"]) * 4_000
        row["x_m"], row["y_m"], row["z_m"] = point_m(225_500_000 + spread, 1_140_500_000)
        row["located"] = 1
    return replace(history, sites=rows)


def both(history: History, as_of_ms: int, policy: Policy) -> tuple[Result, Result]:
    """Derive the short way and the long way."""
    short = derive(history, PLAIN, policy, as_of_ms)
    return short, derive(history, PLAIN, policy, as_of_ms, short_way=False)


@pytest.mark.parametrize("change", [as_made, without_direction, planned, located])
@pytest.mark.parametrize(
    ("as_of_ms", "policy"),
    [
        (AS_OF_MS, DEFAULT_POLICY),
        (START_MS + 20 * DAY_MS, Policy(max_shift_ms=2 * HOUR_MS, repeated_missing=0)),
        (AS_OF_MS, Policy(duplicate_ms=6 * HOUR_MS, min_interval_ms=2 * HOUR_MS)),
    ],
    ids=["usual", "half way, short shifts", "long repeats"],
)
def test_the_short_way_gives_what_the_long_way_gives(
    change: Callable[[History], History], as_of_ms: int, policy: Policy
) -> None:
    """Intervals are equal byte for byte, exceptions row for row and in their order."""
    history = change(make_city(EVENTS, seed=3).history)
    short, long = both(history, as_of_ms, policy)

    assert len(long.intervals) > 300
    assert short.intervals.tobytes() == long.intervals.tobytes()
    assert short.exceptions.tolist() == long.exceptions.tolist()
