# SPDX-License-Identifier: Apache-2.0
"""yika-server ingest: taps that are missing, sticks that are brought."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from server.cli import cli, load_features
from server.ingest.cli import _numbers
from tests.factories import PASSPHRASE, make_store


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of an initialised server without terminals."""
    load_features()
    folder = tmp_path_factory.mktemp("data")
    make_store(folder / "keys.yks")
    made = {
        "YIKA_DATA_DIR": str(folder),
        "YIKA_KEYS_PASSPHRASE": PASSPHRASE,
        "YIKA_NEW_PASSWORD": "a good password",
    }
    assert call(made, "init").exit_code == 0
    assert call(made, "user", "add", "li", "--role", "staff").exit_code == 0
    return made


def call(environment: dict[str, str], *arguments: str) -> Result:
    """Run one command in this process."""
    return CliRunner(env=environment).invoke(cli, arguments)


def test_nothing_is_missing_where_nothing_is(environment: dict[str, str]) -> None:
    """A server without taps misses none."""
    told = call(environment, "ingest", "missing", "--by", "li", "--json")

    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout) == {"missing": 0, "cards": [], "asked": []}


def test_asking_needs_no_hole(environment: dict[str, str]) -> None:
    """Asking where nothing is missing queues nothing."""
    told = call(environment, "ingest", "missing", "--ask", "--by", "li", "--json")

    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["asked"] == []


def test_stick_without_terminals_is_refused(environment: dict[str, str], tmp_path: Path) -> None:
    """A stick that holds no terminal's folder is told as such."""
    told = call(environment, "ingest", "import", str(tmp_path))

    assert told.exit_code == 1
    assert "no terminal's folder" in str(told.exception)


def test_unknown_terminal_is_named(environment: dict[str, str], tmp_path: Path) -> None:
    """The folder of a terminal that nobody enrolled is refused by name, with exit status 1."""
    (tmp_path / "yika-99").mkdir()
    told = call(environment, "ingest", "import", str(tmp_path), "--json")

    assert told.exit_code == 1
    (one,) = json.loads(told.stdout)["terminals"]
    assert one["terminal_id"] == 99
    assert list(one["refused"]) == ["yika-99"]


@pytest.mark.parametrize(
    ("counters", "text"), [((), ""), ((5,), "5"), ((0, 1, 2), "0-2"), ((1, 3, 4), "1, 3-4")]
)
def test_numbers_are_told_as_runs(counters: tuple[int, ...], text: str) -> None:
    """Missing counters are written as runs."""
    assert _numbers(counters) == text
