# SPDX-License-Identifier: Apache-2.0
"""The terminal's document says what the program does."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from terminal.cli import cli
from terminal.config import Config
from terminal.keypad import Key
from terminal.modes.policy import Stage
from terminal.policy import Rules
from terminal.wording_table import PROMPTS, SHEETS, SLOTS, VERDICTS

TEXT = (Path(__file__).parents[3] / "docs" / "terminal.md").read_text(encoding="utf-8")
CODED = [sheet for sheet in SHEETS.values() if sheet.code]


@pytest.mark.parametrize("sheet", CODED, ids=lambda sheet: sheet.code)
def test_every_code_is_explained(sheet: object) -> None:
    """Each code stands in the table with the very words of the display."""
    code, zh, en = (getattr(sheet, name) for name in ("code", "zh", "en"))

    assert f"| {code} | {zh} | {en} |" in TEXT


@pytest.mark.parametrize("section", [field.name for field in fields(Config)])
def test_every_configuration_key_is_explained(section: str) -> None:
    """Each section and key of the configuration stands in the table."""
    keys = [key.name for key in fields(getattr(Config(), section))]

    assert f"| `{section}` |" in TEXT
    assert [key for key in keys if f"`{key}`" not in TEXT] == []


@pytest.mark.parametrize("command", list(cli.commands))
def test_every_command_is_explained(command: str) -> None:
    """Each command stands in the table."""
    assert f"| `{command}" in TEXT


def test_every_key_is_explained() -> None:
    """Each key that does something stands in the table of keys."""
    table = TEXT.split("## Keys")[1].split("##")[0]

    shown = {Key.CONFIRM: "✓", Key.CANCEL: "✗"}

    assert [key for key in Key if f"| {shown.get(key, key.digit)} " not in table] == [Key.OUT]
    assert "| 1 / 3 |" in table


def test_every_stage_is_explained() -> None:
    """The first words of each stage and of each slot of a sheet stand in the tables."""
    prompts = [p for stage, p in PROMPTS.items() if stage is not Stage.SETTLED]
    words = [p.zh for p in (*prompts, *SLOTS.values())]
    words += [f"结算 {zh} {en}" for zh, en in VERDICTS.values()]

    assert [word for word in words if word not in TEXT] == []


def test_every_rule_a_site_may_change_is_explained() -> None:
    """The rules of a configuration notice are listed with their defaults."""
    names = [rule.name for rule in fields(Rules) if rule.name != "training"]

    assert [name for name in names if f"`{name}`" not in TEXT] == []
