# SPDX-License-Identifier: Apache-2.0
"""docs/sdk.md runs as it stands and names only what exists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from click.testing import CliRunner

from card.cli import main

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "sdk.md").read_text(encoding="utf-8")


def test_the_python_in_the_document_runs() -> None:
    """The five minutes without a reader are what a reader of the page gets."""
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)

    assert len(blocks) == 1
    exec(compile(blocks[0], "docs/sdk.md", "exec"), {})


def test_the_modules_in_the_document_exist() -> None:
    """Each module the page names can be imported."""
    for name in sorted(set(re.findall(r"`(card\.[a-z_]+)`", TEXT))):
        importlib.import_module(name)


def test_the_commands_in_the_document_exist() -> None:
    """Each command line of the page names a command and options that its help knows."""
    lines = re.findall(r"^\$ yika-card (\w+)([^#\n]*)", TEXT, re.MULTILINE)

    assert len(lines) >= 5
    for command, rest in lines:
        shown = CliRunner().invoke(main, [command, "-h"])
        assert shown.exit_code == 0
        assert all(option in shown.stdout for option in re.findall(r"--[a-z-]+", rest))
