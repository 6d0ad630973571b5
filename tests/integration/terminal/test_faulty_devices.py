# SPDX-License-Identifier: Apache-2.0
"""Devices and cards that fail in ways of their own: the person is told, and clocking goes on."""

from __future__ import annotations

import pytest

from card.errors import CardError, CardRemoved, ProtocolFault
from keys.store import FileKeyStore
from tests.integration.terminal.bench import issue
from tests.integration.terminal.post import OTHER, VOLUNTEER, Post


@pytest.mark.parametrize(
    ("refusal", "told"),
    [(ProtocolFault("ATR"), "E14"), (CardRemoved(), "E16")],
    ids=["strange answer to reset", "pulled while powered"],
)
def test_a_card_that_cannot_be_powered_is_told(
    post: Post, store: FileKeyStore, refusal: CardError, told: str
) -> None:
    """A foreign chip, or one pulled too early, gets its answer; the next card is clocked."""
    post.slot.refusal = refusal
    shown = post.tap(issue(store, OTHER), seconds=4)
    post.slot.refusal = None

    assert told in shown
    assert "签到 IN" in post.tap(issue(store, VOLUNTEER))
