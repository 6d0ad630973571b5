# SPDX-License-Identifier: Apache-2.0
"""The simulated world: the other histories, those that once found something, and their files."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardware_mocks.world.history import ISSUING, History, make
from hardware_mocks.world.search import Figures, play, search
from tests.stateful.conftest import PARTS, play_part, told

FINDINGS = sorted((Path(__file__).parent / "findings").glob("*.json"))
pytestmark = pytest.mark.usefixtures("quiet_world")


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4, PARTS))
def test_no_history_breaks_an_invariant(part: int) -> None:
    """Three hundred of the five hundred histories keep I1 to I14."""
    play_part(part)


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.stem)
def test_old_findings_stay_mended(path: Path) -> None:
    """A history that once broke an invariant does not any more."""
    assert told(play(History.load(path))) == ""


def test_a_bank_joins_a_history() -> None:
    """Orders, files and losses play among taps; some of the cards are refused at a terminal."""
    figures = Figures()
    seeds = range(0, 20 * ISSUING, ISSUING)
    issuing = [seed for seed in seeds if make(seed).setup.get("issuing")]

    assert issuing == list(seeds)
    assert [told(one) for one in search(issuing[12:15], figures)] == []
    assert figures.counted["issued cards taken"] > 0
    assert figures.counted["orders active"] > 0


def test_keys_change_in_a_history() -> None:
    """Changes of key play among taps; terminals start and upload with one key or the other."""
    figures = Figures()
    seeds = range(ISSUING // 2, 4 * ISSUING, ISSUING)

    assert all(any(step["do"] == "rekey" for step in make(seed).steps) for seed in seeds)
    assert [told(one) for one in search(seeds, figures)] == []
    assert figures.counted["rekeys"] >= len(seeds)


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
