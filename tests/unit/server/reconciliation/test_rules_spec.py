# SPDX-License-Identifier: Apache-2.0
"""The written rules: their numbers are those of the code and of the tests."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

from server.reconciliation.arrays import GRADE_A
from server.reconciliation.parameters import DEFAULT_POLICY, ENGINE_VERSION
from tests.unit.server.reconciliation.test_rules_all import APPLIED

SPEC = Path(__file__).parents[4] / "docs" / "spec" / "reconciliation.md"
RULES = 58
EXPIRY = 59


def section(first: int, stop: int) -> str:
    """Return the sections from one number up to another."""
    text = SPEC.read_text("utf-8")
    return text[text.index(f"## {first}. ") : text.index(f"## {stop}. ")]


def numbered(text: str) -> list[int]:
    """Return the rule numbers that begin a row of a table."""
    return [int(found) for found in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)]


def test_the_settings_are_those_of_the_code() -> None:
    """Every setting stands in the specification with its value."""
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", section(8, 9), re.MULTILINE)
    assert {name: int(value) for name, value in rows} == asdict(DEFAULT_POLICY)
    assert DEFAULT_POLICY.rescued_grade == GRADE_A


def test_every_rule_is_applied_or_named_as_not() -> None:
    """The applied rules are those with vectors; all others are listed with what happens today."""
    applied, others = numbered(section(3, 8)), numbered(section(9, 10))
    assert sorted(applied) == sorted(APPLIED)
    assert sorted(applied + others) == sorted([*range(1, RULES + 1), EXPIRY])


def test_the_specification_is_of_this_engine() -> None:
    """The specification names the version of the engine it describes."""
    assert f"(engine {ENGINE_VERSION})" in SPEC.read_text("utf-8")
