# SPDX-License-Identifier: Apache-2.0
"""What the tests of the simulated world share; they stand in two files, for two workers."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from hardware_mocks.world.history import SHORT
from hardware_mocks.world.search import Figures, Finding, quiet, search

HISTORIES, PARTS, SEED = 500, 10, 20_261_122


@pytest.fixture
def quiet_world() -> Iterator[None]:
    """Let the programs log to the simulator's ear alone; undone at the end."""
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    quiet()
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


def told(found: Finding | None) -> str:
    """Return what to read when a history breaks an invariant."""
    return "" if found is None else f"seed {found.seed}: {found.rule}: {found.fact}"


def play_part(part: int) -> None:
    """Play one of the ten parts of the suite's histories; none may break anything."""
    size = HISTORIES // PARTS
    figures = Figures()
    seeds = range(SEED + part * size, SEED + (part + 1) * size)
    found = list(search(seeds, figures, SHORT))

    assert [told(one) for one in found] == []
    assert figures.histories == size
    assert figures.counted["beeps"] > size
