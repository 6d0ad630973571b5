# SPDX-License-Identifier: Apache-2.0
"""Codes cut out of a scanner's bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from terminal.devices.scanner import CODE_MAX, GARBAGE_LINES, LINE_OPEN_S, CodeParser


def test_every_line_end_ends_a_code() -> None:
    """CR, LF and both end a code; empty lines are nothing."""
    assert CodeParser().feed(b"A1\rB2\nC3\r\n\r\n", 0.0) == [b"A1", b"B2", b"C3"]


def test_a_code_may_come_in_pieces() -> None:
    """A slow line gives the same code."""
    parser = CodeParser()
    pieces = [parser.feed(bytes([byte]), at * 0.001) for at, byte in enumerate(b"YT1:ABC\r")]

    assert [code for codes in pieces for code in codes] == [b"YT1:ABC"]


def test_half_a_line_is_forgotten() -> None:
    """What has no end within a second does not spoil the next code."""
    parser = CodeParser()
    parser.feed(b"YT1:AB", 0.0)

    assert parser.feed(b"YT1:CD\r", LINE_OPEN_S + 0.1) == [b"YT1:CD"]
    assert parser.spoilt == 0


def test_noise_spoils_its_own_line_alone() -> None:
    """A line with a byte that no code has is dropped, the next is read."""
    parser = CodeParser()

    assert parser.feed(b"AB\x00CD\rEF\r", 0.0) == [b"EF"]


def test_lines_of_noise_are_counted_until_a_code_comes() -> None:
    """Three spoilt lines in a row are another device or another speed."""
    parser = CodeParser()
    parser.feed(b"\xff\r" * GARBAGE_LINES, 0.0)
    assert parser.spoilt == GARBAGE_LINES

    parser.feed(b"YT1:AB\r", 0.0)
    assert parser.spoilt == 0


def test_a_line_has_a_limit() -> None:
    """A longer line is no code, and takes no more memory than the limit."""
    parser = CodeParser()

    assert parser.feed(b"A" * 100_000 + b"\rB\r", 0.0) == [b"B"]
    assert parser.feed(b"A" * CODE_MAX + b"\r", 0.0) == [b"A" * CODE_MAX]


@given(st.lists(st.binary(max_size=80), max_size=8))
def test_no_bytes_are_a_surprise(pieces: list[bytes]) -> None:
    """Whatever comes in whatever pieces, a good line after it is read."""
    parser = CodeParser()
    for at, piece in enumerate(pieces):
        for code in parser.feed(piece, float(at)):
            assert 0 < len(code) <= CODE_MAX

    assert parser.feed(b"\rYT1:OK\r", 100.0)[-1] == b"YT1:OK"
