# SPDX-License-Identifier: Apache-2.0
"""The simulated world: the first histories without a broken invariant, and planted bugs found."""

from __future__ import annotations

import pytest

from hardware_mocks.world import mutants
from tests.stateful.conftest import play_part

# Every planted bug is searched for by script/simulate --mutants; this one takes seconds.
QUICKLY_FOUND = ("beep-before-durable",)
UNSEEN = 61_803_398


@pytest.mark.slow
@pytest.mark.usefixtures("quiet_world")
@pytest.mark.parametrize("part", range(4))
def test_no_history_breaks_an_invariant(part: int) -> None:
    """Two hundred of the five hundred histories keep I1 to I14."""
    play_part(part)


@pytest.mark.parametrize("name", mutants.names())
def test_planted_bug_still_applies(name: str) -> None:
    """Every patch of tests/mutants fits the tree as it is."""
    assert mutants.applies(name) == ""


@pytest.mark.parametrize("name", QUICKLY_FOUND)
def test_planted_bug_is_found(name: str) -> None:
    """The search finds a planted bug from a seed it has never seen."""
    found = mutants.find(name, UNSEEN)

    assert found["seed"] is not None
    assert found["rule"] in {"I1", "R5"}
