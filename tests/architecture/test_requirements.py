# SPDX-License-Identifier: Apache-2.0
"""The table of requirements and the tests named after its rows say the same."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = range(1, 71)
_NAMED = re.compile(r"^ *def (test_(?:s\d\d_)+\w+)", re.MULTILINE)


def named_tests() -> dict[str, set[int]]:
    """Return every test that is named after rows, with the rows."""
    return {
        name: {
            int(row) for row in re.findall(r"s(\d\d)_", re.match(r"test_((?:s\d\d_)+)", name)[1])
        }  # type: ignore[index]
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in _NAMED.findall(path.read_text("utf-8"))
    }


def table() -> dict[int, tuple[str, set[str]]]:
    """Return state and named tests of each row of the page."""
    page = (ROOT / "docs" / "requirements.md").read_text("utf-8")
    lines = re.findall(r"^\| S-(\d\d) \|.*\| (done|planned) \S+ \| (.*) \|$", page, re.MULTILINE)
    return {int(row): (state, set(re.findall(r"`(\w+)`", tests))) for row, state, tests in lines}


def test_every_row_has_a_state() -> None:
    """The table has each row once."""
    assert sorted(table()) == list(ROWS)


def test_what_is_done_names_tests_that_are_there() -> None:
    """A done row names tests, all of them exist and bear its number; a planned row has none."""
    known = named_tests()
    for row, (state, tests) in table().items():
        assert (state == "done") == bool(tests), row
        assert all(row in known.get(name, set()) for name in tests), row


def test_no_row_has_a_test_and_is_not_done() -> None:
    """A test named after a row makes the row a done one."""
    done = {row for row, (state, _) in table().items() if state == "done"}
    assert set().union(*named_tests().values()) <= done
