# SPDX-License-Identifier: Apache-2.0
"""docs/readers.md names every model, every finding of the doctor, and only what exists."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from card import doctor, doctor_machine, errors
from card.cli import main
from card.readers.serial_models import MODELS

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "readers.md").read_text(encoding="utf-8")


def test_every_model_stands_in_the_table() -> None:
    """Name, number of slots and echo are those of the code."""
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (\d) \| (yes|no) \|", TEXT, re.MULTILINE)

    assert rows == [
        (model.name, str(model.slots), "yes" if model.echoes else "no") for model in MODELS.values()
    ]


def test_every_finding_of_the_table_exists() -> None:
    """The codes are those of errors or of the doctor's own findings."""
    codes = set(re.findall(r"^\| `([A-Z]\w+)` \|", TEXT, re.MULTILINE))
    own = {doctor.CARD_BLOCKED, doctor.APPLICATION_BLOCKED, doctor.APPLICATION_BLOCKED_FOR_GOOD}
    known = {*vars(errors), *vars(doctor_machine), *own}

    assert codes <= known
    assert own <= codes


def test_every_command_exists() -> None:
    """Commands and options of `yika-card` are spelled as they are."""
    lines = re.findall(r"yika-card ((?:[a-z]+ ?)+)((?: ?--[a-z]+)*)", TEXT)
    assert len(lines) > 8
    for words, options in lines:
        command: click.Command = main
        for word in words.split():
            if isinstance(command, click.Group):
                command = command.commands[word]
        known = {name for parameter in command.params for name in parameter.opts}
        assert set(options.split()) <= known, (words, options)


@pytest.mark.parametrize("link", re.findall(r"\]\((adr/[\w.-]+)\)", TEXT))
def test_every_link_leads_somewhere(link: str) -> None:
    """Decisions are where the text says."""
    assert (DOCS / link).exists()
