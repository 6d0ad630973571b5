# SPDX-License-Identifier: Apache-2.0
"""A trace on disk: what is saved is what is loaded, and damage is named with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card import trace_file
from card.errors import LayoutError
from card.trace import Exchange, Tape

EXCHANGES = st.builds(
    Exchange,
    st.integers(0, 1 << 40),
    st.text(max_size=8),
    st.binary(max_size=260),
    st.binary(max_size=300),
    st.integers(0, 0xFFFF),
    st.integers(0, 1 << 30),
    error=st.sampled_from(("", "CardRemoved")),
)
TAPES = st.builds(
    Tape,
    st.lists(EXCHANGES, max_size=4).map(tuple),
    st.binary(max_size=33),
    st.text(max_size=8),
    st.integers(0, 1 << 60),
    st.booleans(),
    st.lists(st.binary(max_size=16), max_size=3).map(tuple),
)


@given(TAPES)
def test_a_tape_reads_back_as_it_was_written(tape: Tape) -> None:
    """Text and tape are two forms of the same thing."""
    assert trace_file.loads(trace_file.dumps(tape)) == tape


def test_a_file_is_its_owners_alone(tmp_path: Path) -> None:
    """A trace says whose card was where; others do not read it."""
    path = tmp_path / "day.trace"
    tape = Tape((Exchange(1, "r", b"\x00\x84\x00\x00\x04", b"abcd", 0x9000),))

    trace_file.save(tape, path)

    assert path.stat().st_mode & 0o077 == 0
    assert trace_file.load(path) == tape


def _damaged(**changes: Any) -> str:
    row = {"t_us": 1, "took_us": 1, "reader": "", "command": "0084", "answer": "", "sw": "9000"}
    head = {"yika_trace": 1, "atr": "", "reader": "", "started_us": 0, "revealed": False}
    return json.dumps(head) + "\n" + json.dumps({**row, **changes}) + "\n"


@pytest.mark.parametrize(
    "changes",
    [
        {"command": "00" * 300},
        {"command": "0g"},
        {"sw": "123456"},
        {"t_us": -1},
        {"t_us": True},
        {"reader": 5},
        {"hidden_command": [[1, 5]]},
        {"hidden_command": [[1]]},
        {"answer": None},
    ],
)
def test_damage_is_named_with_its_line(changes: dict[str, Any]) -> None:
    """A field of a wrong kind or beyond its limit stops the reader at its line."""
    with pytest.raises(LayoutError, match="line 2"):
        trace_file.loads(_damaged(**changes))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"yika_trace": 2}', "[" * 100_000, "\x00"])
def test_what_is_no_trace_is_refused(text: str) -> None:
    """Another file, another version or nothing at all is a LayoutError, never a crash."""
    with pytest.raises(LayoutError):
        trace_file.loads(text)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A binary file is a LayoutError as well."""
    path = tmp_path / "x.trace"
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(LayoutError):
        trace_file.load(path)
