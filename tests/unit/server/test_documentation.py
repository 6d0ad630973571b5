# SPDX-License-Identifier: Apache-2.0
"""docs/server.md says what the code does: keys, defaults, verdicts, commands, tables, answers."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from server.cli import cli, load_features
from server.config import Config
from server.db import Base
from server.ingest.verdicts import Verdict
from server.runtime import Runtime

DOCUMENT = (Path(__file__).parents[3] / "docs" / "server.md").read_text("utf-8")
SOURCES = Path(__file__).parents[3] / "server"
OWN = ("people", "terminals", "ingest")


@pytest.mark.parametrize("section", dataclasses.fields(Config), ids=lambda field: field.name)
def test_every_configuration_key_is_documented(section: dataclasses.Field[object]) -> None:
    """Section, key and default of every setting stand in the table."""
    assert f"| `{section.name}` |" in DOCUMENT
    defaults = getattr(Config(), section.name)
    for field in dataclasses.fields(defaults):
        value = getattr(defaults, field.name)
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        row = re.search(rf"\| `{field.name}` \|([^|]*)\|", DOCUMENT)
        assert row, field.name
        assert not shown or row[1].strip() == f"`{shown}`" or not isinstance(value, int)


def test_every_verdict_is_documented() -> None:
    """The ladder names every verdict."""
    assert all(f"| `{verdict.name}` |" in DOCUMENT for verdict in Verdict)


def leaves(command: click.Command, path: str = "") -> Iterator[str]:
    """Give the commands below a group by their words, those of its groups included."""
    if not isinstance(command, click.Group):
        yield path
        return
    for name, below in command.commands.items():
        yield from leaves(below, f"{path} {name}".strip())


def test_every_command_is_documented() -> None:
    """Every command of the server stands in the text with its group, or in its group's row."""
    load_features()
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (`.*) \| .* \|$", DOCUMENT, re.MULTILINE))
    for group, command in cli.commands.items():
        listed = rows.get(group, "").split(" · ")
        for name in leaves(command):
            assert f"{group} {name}".strip() in DOCUMENT or f"`{name}`" in listed


def test_no_group_lists_a_command_it_has_not() -> None:
    """What the rows of the groups name exists."""
    load_features()
    rows = DOCUMENT.split("### Groups of commands")[1].split("\n## ")[0]
    for group, listed in re.findall(r"^\| `([a-z-]+)` \| (`.*) \| .* \|$", rows, re.MULTILINE):
        named = [word.strip("`") for word in listed.split(" · ")]
        assert named == sorted(leaves(cli.commands[group]))


def test_every_table_is_documented() -> None:
    """Every table of people, terminals, ingest and the log is listed."""
    assert Runtime.__name__  # the models are loaded with it
    for table in Base.metadata.tables.values():
        owner = next(
            mapper.class_.__module__
            for mapper in Base.registry.mappers
            if mapper.local_table is table
        )
        if owner == "server.evidence" or owner.split(".")[1] in OWN:
            assert f"`{table.name}`" in DOCUMENT


def test_every_refusal_of_an_upload_is_documented() -> None:
    """Every kind of problem that ingest answers stands in the table of answers."""
    text = "".join(path.read_text("utf-8") for path in sorted((SOURCES / "ingest").glob("*.py")))
    kinds = set(re.findall(r'Problem\(\s*\d{3},\s*"([a-z-]+)"', text))

    assert {"fork", "batch-broken", "key-unknown"} <= kinds
    assert all(f"`{kind}`" in DOCUMENT for kind in kinds)


@pytest.mark.parametrize(
    "table", ["event", "batch", "event_fork", "refused_batch", "audit", "audit_link", "log_record"]
)
def test_append_only_tables_are_marked(table: str) -> None:
    """The table of tables says of each kind of evidence that it is append-only."""
    tables = DOCUMENT.split("## What is kept")[1]
    row = next(
        line for line in tables.splitlines() if line.startswith("|") and f"`{table}`" in line
    )

    assert "**append-only**" in row
