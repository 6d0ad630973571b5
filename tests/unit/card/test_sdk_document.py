# SPDX-License-Identifier: Apache-2.0
"""docs/sdk.md runs as it stands and names only what exists."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import click
from click.testing import CliRunner

from card.cli import main

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "sdk.md").read_text(encoding="utf-8")
AT_A_READER = "# at a reader"  # run by the integration tests, with a reader


def test_the_python_in_the_document_runs() -> None:
    """The five minutes without a reader are what a reader of the page gets."""
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    without = [block for block in blocks if not block.startswith(AT_A_READER)]

    assert len(without) == len(blocks) - 1 == 1
    exec(compile(without[0], "docs/sdk.md", "exec"), {})


def test_a_card_is_read_in_five_lines() -> None:
    """What stands at the top of the page is no more than five lines of code."""
    block = re.findall(rf"```python\n({AT_A_READER}.*?)```", TEXT, re.DOTALL)[0]
    lines = [line for line in block.splitlines() if line and not line.startswith("#")]

    assert len(lines) == 5


def test_the_modules_in_the_document_exist() -> None:
    """Each module the page names can be imported."""
    for name in sorted(set(re.findall(r"`(card\.[a-z_]+)`", TEXT))):
        importlib.import_module(name)


def test_the_files_in_the_document_exist() -> None:
    """Each link leads somewhere, and each example that uses a card stands in the table."""
    for link in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / "docs" / link).exists(), link
    for path in ROOT.glob("examples/*.py"):
        if re.search(r"^from card\b", path.read_text("utf-8"), re.MULTILINE):
            assert f"../examples/{path.name}" in TEXT


def test_the_commands_in_the_document_exist() -> None:
    """Each command line of the page names a command and options that its help knows."""
    lines = re.findall(r"^\$ yika-card ([^#\n]*)", TEXT, re.MULTILINE)

    assert len(lines) >= 20
    for line in lines:
        path, command = [], main
        words = shlex.split(line)
        while isinstance(command, click.Group):
            path.append(words.pop(0))
            command = command.commands[path[-1]]
        shown = CliRunner().invoke(main, [*path, "-h"]).stdout
        options = words[: words.index("--") if "--" in words else None]
        assert all(option in shown for option in options if option.startswith("--")), line
