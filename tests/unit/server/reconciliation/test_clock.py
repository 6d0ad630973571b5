# SPDX-License-Identifier: Apache-2.0
"""Time correction against a world whose true times are known (I9)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.reconciliation import arrays
from server.reconciliation.arrays import History
from server.reconciliation.clock import QUARANTINED, UNKNOWN
from server.reconciliation.compiled import PLAIN
from server.reconciliation.parameters import DEFAULT_POLICY, HOUR_MS
from server.reconciliation.running import correct_clocks
from swipe.kinds import EventType, Flag

BOOT_MS = 1_777_564_800_000
# The crystal of the test world is honest to the policy's own word, and no better.
PPM = DEFAULT_POLICY.drift_ppm


def world(rows: list[dict[str, int]]) -> History:
    """Return the events of one boot; each row has up, utc, unc, receipt and received times."""
    moments = sorted({row[name] for row in rows for name in ("receipt", "received")} - {0})
    taps = np.zeros(len(rows), arrays.TAP_DTYPE)
    for number, (tap, row) in enumerate(zip(taps, rows, strict=True)):
        tap["seq"] = number + 1
        tap["up_ms"], tap["utc_ms"], tap["unc_ms"] = row["up"], row["utc"], row["unc"]
        tap["batch"] = moments.index(row["received"])
        tap["anchor"] = moments.index(row["receipt"]) if row["receipt"] else -1
        tap["card"] = tap["activity"] = -1
        tap["type"] = EventType.CONFIG
        tap["flags"] = row.get("flags", 0)
    batches = np.zeros(len(moments), arrays.BATCH_DTYPE)
    batches["id"] = np.arange(len(moments))
    batches["received_ms"] = batches["receipt_ms"] = moments
    terminals = np.zeros(1, arrays.TERMINAL_DTYPE)
    nobody = arrays.empty(arrays.PERSON_DTYPE)
    return History(taps, nobody, arrays.empty(arrays.CARD_DTYPE), terminals, batches)


def corrected(rows: list[dict[str, int]]) -> Any:
    """Return when, radius and note of each event."""
    history = world(rows)
    return correct_clocks(history, PLAIN.table(history.taps), DEFAULT_POLICY, PLAIN)


@st.composite
def boots(draw: st.DrawFn) -> tuple[list[int], list[dict[str, int]]]:
    """Draw a boot: true times, receipts and arrivals that keep causality, claims that may lie."""
    drift = draw(st.integers(-PPM, PPM))
    latest_receipt = draw(st.sampled_from((0, BOOT_MS - HOUR_MS)))
    true_ms, truth, rows = BOOT_MS, [], []
    lie = draw(st.sampled_from((0, 0, 0, -3_600_000, 7_200_000)))
    for _ in range(draw(st.integers(1, 8))):
        true_ms += draw(st.integers(1_000, 4 * HOUR_MS))
        if draw(st.booleans()):
            latest_receipt = true_ms - draw(st.integers(0, 1_000))
        elapsed = true_ms - BOOT_MS
        unc = draw(st.sampled_from((500, 5_000, 60_000)))
        rows.append(
            {
                "up": elapsed + elapsed * drift // 1_000_000,
                "utc": true_ms + lie + draw(st.integers(-unc, unc)),
                "unc": unc,
                "receipt": latest_receipt,
                "received": true_ms + draw(st.sampled_from((0, 300, 60_000, 9 * HOUR_MS))),
            }
        )
        truth.append(true_ms)
    return truth, rows


@settings(max_examples=150)
@given(boots())
def test_truth_lies_within_the_radius(made: tuple[list[int], list[dict[str, int]]]) -> None:
    """An honest clock, or one the receipts catch, is never off by more than the radius."""
    truth, rows = made
    honest = all(
        abs(row["utc"] - true) <= row["unc"] for row, true in zip(rows, truth, strict=True)
    )
    slack = 2 * PPM * (truth[-1] - BOOT_MS) // 1_000_000 + len(rows)
    for true, place in zip(truth, corrected(rows), strict=True):
        if honest:
            assert not place["note"] & QUARANTINED
        if honest or caught(rows, truth):
            assert abs(place["when_ms"] - true) <= place["radius_ms"] + slack


def caught(rows: list[dict[str, int]], truth: list[int]) -> bool:
    """Tell if no claim can pass for possible: each lies beyond a bound of its own event."""
    fresh = len({row["receipt"] for row in rows} - {0, rows[0]["receipt"]}) > 0
    slack = 4 * PPM * (truth[-1] - BOOT_MS) // 1_000_000 + 1
    return fresh and all(
        row["utc"] - row["unc"] > row["received"] + slack
        or row["utc"] + row["unc"] < row["receipt"] - slack
        for row in rows
    )


@settings(max_examples=80)
@given(boots())
def test_lengths_inside_a_boot_are_those_of_its_running_time(
    made: tuple[list[int], list[dict[str, int]]],
) -> None:
    """Whatever the wall clock said, two events of a boot are as far apart as they ran."""
    _, rows = made
    places = corrected(rows)
    allowed = 2 * PPM * (rows[-1]["up"] - rows[0]["up"]) // 1_000_000 + 2 * len(rows)
    for place, row in zip(places, rows, strict=True):
        length = place["when_ms"] - places[0]["when_ms"]

        assert abs(length - (row["up"] - rows[0]["up"])) <= allowed


@pytest.mark.parametrize("known", [True, False])
def test_without_any_claim_bounds_place_the_boot(known: bool) -> None:
    """A boot without a clock lies in the middle of its bounds, or at its arrival."""
    row = {"up": 0, "utc": 0, "unc": 0, "received": BOOT_MS + 2 * HOUR_MS}
    row |= {"receipt": BOOT_MS if known else 0, "flags": int(Flag.CLOCK_UNKNOWN)}
    place = corrected([row])[0]

    assert place["note"] & UNKNOWN
    assert place["when_ms"] == BOOT_MS + (HOUR_MS if known else 2 * HOUR_MS)
    assert place["radius_ms"] == (HOUR_MS if known else 2**31 - 1)
