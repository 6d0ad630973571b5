# SPDX-License-Identifier: Apache-2.0
"""The simulated world: histories without a broken invariant, and planted bugs that are found."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from hardware_mocks.world import mutants
from hardware_mocks.world.history import SHORT, History, make
from hardware_mocks.world.search import Figures, Finding, play, quiet, search

HISTORIES, PARTS, SEED = 500, 10, 20_261_122
# Every planted bug is searched for by script/simulate --mutants; these take seconds.
QUICKLY_FOUND = ("beep-before-durable", "clock-set-by-gps", "double-tap-becomes-out")
UNSEEN = 61_803_398
FINDINGS = sorted((Path(__file__).parent / "findings").glob("*.json"))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
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


@pytest.mark.parametrize("part", range(PARTS))
def test_no_history_breaks_an_invariant(part: int) -> None:
    """Five hundred histories of terminals, cards, links, disks and the server keep I1 to I14."""
    size = HISTORIES // PARTS
    figures = Figures()
    seeds = range(SEED + part * size, SEED + (part + 1) * size)
    found = list(search(seeds, figures, SHORT))

    assert [told(one) for one in found] == []
    assert figures.histories == size
    assert figures.counted["beeps"] > size


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.stem)
def test_old_findings_stay_mended(path: Path) -> None:
    """A history that once broke an invariant does not any more."""
    assert told(play(History.load(path))) == ""


def test_a_seed_is_one_history() -> None:
    """The same seed gives the same history, and its file reads back the same."""
    history = make(7)

    assert make(7) == history
    assert history.to_json() == make(7).to_json()


def test_a_history_reads_back_from_its_file(tmp_path: Path) -> None:
    """What is written as JSON is the same history again."""
    path = tmp_path / "history.json"
    path.write_text(make(7).to_json())

    assert History.load(path) == make(7)


@pytest.mark.parametrize("name", mutants.names())
def test_planted_bug_still_applies(name: str) -> None:
    """Every patch of tests/mutants fits the tree as it is."""
    assert mutants.applies(name) == ""


@pytest.mark.parametrize("name", QUICKLY_FOUND)
def test_planted_bug_is_found(name: str) -> None:
    """The search finds a planted bug from a seed it has never seen."""
    found = mutants.find(name, UNSEEN)

    assert found["seed"] is not None
    assert found["rule"] in {"I1", "I9", "R5"}
