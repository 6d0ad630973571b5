# SPDX-License-Identifier: Apache-2.0
"""Verdicts and the order of PSAM numbers."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.ingest.policy import Findings, gaps, rising, verdicts
from server.ingest.verdicts import Verdict

LADDER = [
    ("well_formed", Verdict.MALFORMED),
    ("signed", Verdict.BAD_SIGNATURE),
    ("after_fork", Verdict.FORKED),
    ("proven", Verdict.SYSTEM),
    ("sound", Verdict.BAD_PROOF),
    ("psam_known", Verdict.UNKNOWN_PSAM),
    ("in_order", Verdict.PSAM_ORDER),
    ("card_known", Verdict.UNKNOWN_CARD),
]


def findings(*wrong: str) -> Findings:
    """Return the findings of one event with some of them wrong."""
    values = {}
    for field in dataclasses.fields(Findings):
        good = field.name != "after_fork"
        values[field.name] = np.array([good != (field.name in wrong)])
    return Findings(**values)


def test_event_without_a_fault_is_ok() -> None:
    """Nothing found means OK."""
    assert verdicts(findings()).tolist() == [Verdict.OK]


@pytest.mark.parametrize(("fault", "verdict"), LADDER)
def test_each_fault_has_its_verdict(fault: str, verdict: Verdict) -> None:
    """One fault alone gives its own verdict."""
    assert verdicts(findings(fault)).tolist() == [verdict]


@pytest.mark.parametrize("step", range(len(LADDER) - 1))
def test_first_fault_of_the_ladder_decides(step: int) -> None:
    """Of several faults the first on the ladder gives the verdict."""
    faults = [name for name, _ in LADDER[step:]]

    assert verdicts(findings(*faults)).tolist() == [LADDER[step][1]]


@given(st.lists(st.integers(1, 30), max_size=12), st.integers(0, 10))
def test_rising_keeps_a_strictly_rising_line(numbers: list[int], floor: int) -> None:
    """What is found in order rises strictly above the floor."""
    good = rising(np.array(numbers, dtype=np.int64), floor, None)

    kept = [number for number, fine in zip(numbers, good, strict=True) if fine]
    line = [floor, *kept]
    assert all(a < b for a, b in itertools.pairwise(line))
    assert len(good) == len(numbers)


def test_gap_between_two_known_taps_is_not_counted_again() -> None:
    """A pair of which neither tap is new adds nothing."""
    counted = np.array([False, False, True])

    assert gaps(np.array([1, 100, 102]), counted).tolist() == [0, 1]
