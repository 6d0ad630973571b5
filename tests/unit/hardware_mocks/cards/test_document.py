# SPDX-License-Identifier: Apache-2.0
"""docs/virtual-card.md says what is there: its example runs, its tables hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardware_mocks.cardos.faults import KINDS
from hardware_mocks.cardos.latency import PROFILES, Stopwatch
from hardware_mocks.cards import named
from hardware_mocks.cards.cashier import Cashier

DOCUMENT = (Path(__file__).parents[4] / "docs" / "virtual-card.md").read_text(encoding="utf-8")


def test_every_card_stands_in_the_table() -> None:
    """The table of test cards is the deck, in its order."""
    rows = [f"| `{name}` | {card.zh} | {card.en} |" for name, card in named.NAMES.items()]
    assert "\n".join(rows) in DOCUMENT


@pytest.mark.parametrize("name", PROFILES)
def test_times_are_those_of_the_profiles(name: str) -> None:
    """Each profile's row gives its byte, its frame and what one load takes."""
    cashier = Cashier(named.card("wallet", contactless=name.startswith("contactless")))
    cashier.select()
    cashier.verify_pin()
    profile, watch = PROFILES[name], Stopwatch()
    cashier.chip.pace(profile, watch)
    cashier.load(1)

    row = f"| `{name}` | {profile.byte_us:.1f} | {profile.frame_bytes} | {watch.elapsed_us} |"
    assert row in DOCUMENT


def test_every_fault_stands_in_the_table() -> None:
    """Each kind of fault has its row."""
    assert all(f"| `{kind}` |" in DOCUMENT for kind in KINDS)


def test_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The example runs as it stands."""
    source = DOCUMENT.split("```python\n")[1].split("```")[0]
    exec(compile(source, "docs/virtual-card.md", "exec"), {})
    assert capsys.readouterr().out.splitlines()[1].startswith("1000 ")
