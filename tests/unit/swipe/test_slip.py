# SPDX-License-Identifier: Apache-2.0
"""Base 45 and the code on a paper slip."""

from __future__ import annotations

import contextlib
import json

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from swipe import base45
from swipe.cli import cli
from swipe.errors import FieldError, SwipeError, WrongLength, WrongMagic
from swipe.slip import SLIP_LENGTH, SLIP_PREFIX, read_slip, slip_code
from tests.factories import make_event, make_identity

RFC_9285 = [
    (b"AB", "BB8"),
    (b"Hello!!", "%69 VD92EX0"),
    (b"base-45", "UJCLQE7W581"),
    (b"ietf!", "QED8WEX0"),
]


@pytest.mark.parametrize(("data", "text"), RFC_9285)
def test_examples_of_the_standard(data: bytes, text: str) -> None:
    """The examples of RFC 9285 come out and go back."""
    assert base45.encode(data) == text
    assert base45.decode(text) == data


@given(st.binary(max_size=300))
def test_bytes_come_back(data: bytes) -> None:
    """Any bytes survive the code, in characters of the alphanumeric mode alone."""
    text = base45.encode(data)

    assert base45.decode(text) == data
    assert set(text) <= set(base45.ALPHABET)


@pytest.mark.parametrize("text", ["GGW", ":::", "::", "A", "AAAA", "a", "A\u00e9B", "ZZ"])
def test_what_no_bytes_give_is_refused(text: str) -> None:
    """Groups beyond 16 or 8 bits, odd lengths and foreign characters are named errors."""
    with pytest.raises(FieldError):
        base45.decode(text)


@given(st.binary(min_size=224, max_size=224))
def test_an_event_comes_back(raw: bytes) -> None:
    """The 224 bytes on paper are the 224 bytes signed."""
    code = slip_code(raw)

    assert len(code) == SLIP_LENGTH
    assert read_slip(code).to_bytes() == raw


def test_other_codes_are_named() -> None:
    """A token, a cut code and nothing at all are told apart."""
    with pytest.raises(WrongMagic):
        read_slip("YT1:ABC")
    with pytest.raises(WrongMagic):
        read_slip("")
    with pytest.raises(WrongLength):
        read_slip(slip_code(bytes(224))[:-1])
    with pytest.raises(WrongLength):
        slip_code(bytes(223))


@given(st.text(max_size=400))
def test_no_text_is_a_surprise(text: str) -> None:
    """Whatever is read from paper, there is an event or a named error."""
    padded = SLIP_PREFIX + (text + "0" * SLIP_LENGTH)[: SLIP_LENGTH - len(SLIP_PREFIX)]
    for candidate in (text, padded):
        with contextlib.suppress(SwipeError):
            assert len(read_slip(candidate).to_bytes()) == 224


def test_the_command_reads_a_slip() -> None:
    """The code of a slip is read, and its signature checked against the terminal's key."""
    identity = make_identity()
    code = slip_code(make_event(identity).to_bytes())
    key, other = identity.public_key.hex(), make_identity("other").public_key.hex()
    run = CliRunner().invoke

    shown = run(cli, ["slip", code, "--public-key", key, "--json"])
    assert (shown.exit_code, json.loads(shown.output)["signed"]) == (0, True)
    assert json.loads(shown.output)["type"] == "IN"
    assert run(cli, ["slip", code, "--public-key", other]).exit_code == 1
    assert run(cli, ["slip"], input=code + "\n").exit_code == 0
    assert run(cli, ["slip", "YT1:X"]).exit_code == 1
