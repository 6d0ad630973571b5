# SPDX-License-Identifier: Apache-2.0
"""Runs of stored sequence numbers."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from server.ingest.ranges import Run, is_new, joined, touching

RUNS = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 6)).map(lambda p: Run(p[0], p[0] + p[1])),
    min_size=1,
    max_size=8,
)


@given(RUNS)
def test_runs_hold_the_set_of_numbers(uploads: list[Run]) -> None:
    """However runs arrive, the stored runs hold exactly the numbers seen and never touch."""
    stored: list[Run] = []
    seen: set[int] = set()
    for new in uploads:
        near = touching(stored, new)
        fresh = is_new(near, new)
        numbers = set(range(new.first, new.last + 1))
        assert {new.first + i for i, f in enumerate(fresh) if f} == numbers - seen
        seen |= numbers
        stored = joined(stored, new)

    assert {n for run in stored for n in range(run.first, run.last + 1)} == seen
    assert all(b.first > a.last + 1 for a, b in itertools.pairwise(stored))


def test_a_run_knows_its_numbers() -> None:
    """Both ends belong to a run."""
    run = Run(3, 5)

    assert [seq for seq in range(1, 8) if seq in run] == [3, 4, 5]
