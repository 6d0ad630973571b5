# SPDX-License-Identifier: Apache-2.0
"""Pairing by a code that a person carries from the terminal window to the page."""

from __future__ import annotations

import pytest

from card.relay.pairing import (
    CODE_LIFE_S,
    TOKEN_IDLE_S,
    TOKENS_MAX,
    TRIES_IN_ALL,
    TRIES_PER_CODE,
    Pairing,
)
from card.relay.refusals import Refusal
from tests.unit.card.relay.conftest import ORIGIN, Watch


def paired() -> tuple[Pairing, list[str], Watch]:
    """Return a pairing, the codes it shows, and its clock."""
    codes: list[str] = []
    clock = Watch()
    return Pairing(codes.append, clock), codes, clock


def kind(pairing: Pairing, code: str) -> str:
    """Return how a code is refused."""
    with pytest.raises(Refusal) as caught:
        pairing.pair(code, ORIGIN)
    return caught.value.kind


def test_code_serves_once() -> None:
    """The right code gives a token; the same code again is refused, the next one is shown."""
    pairing, codes, _ = paired()
    token = pairing.pair(f" {codes[0][:4]}-{codes[0][4:]} ", ORIGIN)

    assert len(token) >= 43
    assert len(codes) == 2
    assert codes[0] == codes[1] or kind(pairing, codes[0]) == "pairing-code"


def test_old_code_is_refused() -> None:
    """A code that was shown too long ago opens nothing; a new one is shown."""
    pairing, codes, clock = paired()
    clock.at += CODE_LIFE_S + 1

    assert kind(pairing, codes[0]) == "pairing-code"
    assert len(codes) == 2


def test_guessing_ends() -> None:
    """Three wrong codes make a new one; a dozen close the pairing, even for the right code."""
    pairing, codes, _ = paired()
    for _ in range(TRIES_IN_ALL):
        assert kind(pairing, "x") == "pairing-code"

    assert len(codes) == 1 + TRIES_IN_ALL // TRIES_PER_CODE
    assert kind(pairing, codes[-1]) == "pairing-closed"


def test_token_belongs_to_its_origin() -> None:
    """A token that another allowed page got hold of is not taken from it."""
    pairing, codes, _ = paired()
    token = pairing.pair(codes[0], ORIGIN)

    assert pairing.check(f"Bearer {token}", ORIGIN)
    for header, origin in [
        (f"Bearer {token}", "https://other.example"),
        (f"Basic {token}", ORIGIN),
        (token, ORIGIN),
        ("", ORIGIN),
        (f"Bearer {token}x", ORIGIN),
    ]:
        with pytest.raises(Refusal) as caught:
            pairing.check(header, origin)
        assert caught.value.status == 401


def test_token_ends_when_nobody_uses_it() -> None:
    """Used again and again it stays; after a night it is gone."""
    pairing, codes, clock = paired()
    token = pairing.pair(codes[0], ORIGIN)
    for _ in range(3):
        clock.at += TOKEN_IDLE_S - 1
        pairing.check(f"Bearer {token}", ORIGIN)
    clock.at += TOKEN_IDLE_S + 1

    with pytest.raises(Refusal, match="not paired"):
        pairing.check(f"Bearer {token}", ORIGIN)


def test_token_can_be_given_back_and_the_oldest_makes_room() -> None:
    """A token ended is unknown; one more than there is room for ends the one used longest ago."""
    pairing, codes, clock = paired()
    tokens = []
    for _ in range(TOKENS_MAX + 1):
        clock.at += 1
        tokens.append(pairing.pair(codes[-1], ORIGIN))
    with pytest.raises(Refusal):
        pairing.check(f"Bearer {tokens[0]}", ORIGIN)

    pairing.end(pairing.check(f"Bearer {tokens[-1]}", ORIGIN))
    with pytest.raises(Refusal):
        pairing.check(f"Bearer {tokens[-1]}", ORIGIN)
