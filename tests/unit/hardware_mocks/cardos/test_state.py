# SPDX-License-Identifier: Apache-2.0
"""The written form of a card: whole, checked, and equal after reading."""

from __future__ import annotations

import pytest

from hardware_mocks.cardos import psam, state
from hardware_mocks.cardos.cos import VirtualCard
from tests.unit.hardware_mocks.cardos import issuing


@pytest.fixture(scope="module")
def image() -> state.CardImage:
    """The image of a tapped card."""
    card = VirtualCard(contactless=True)
    session = issuing.Session(card.transmit)
    module = issuing.Session(psam.VirtualPsam().transmit)
    issuing.personalise(session)
    issuing.personalise_psam(module)
    issuing.tap(session, module, bytes.fromhex("AA1E") + bytes(30))
    return card.memory.image


def test_image_is_read_back_equal(image: state.CardImage) -> None:
    """Writing and reading a card loses nothing."""
    assert state.load(state.dump(image)) == image


def test_any_flipped_byte_is_noticed(image: state.CardImage) -> None:
    """A damaged image is refused, wherever the damage is."""
    written = state.dump(image)
    for at in range(0, len(written), 97):
        damaged = written[:at] + bytes((written[at] ^ 0x20,)) + written[at + 1 :]
        with pytest.raises(state.NotAnImage):
            state.load(damaged)


def test_a_psam_is_not_a_card(image: state.CardImage) -> None:
    """The two kinds of image are told apart and not taken for one another."""
    card, module = state.dump(image), psam.dump(psam.PsamImage())

    assert (state.kind_of(card), state.kind_of(module)) == ("card", "psam")
    with pytest.raises(state.NotAnImage, match="not a card"):
        state.load(module)
    with pytest.raises(state.NotAnImage, match="not a PSAM"):
        psam.load(card)


def test_card_leaves_twelve_kilobytes_free(image: state.CardImage) -> None:
    """The file set fits the 32 KB class with at least 12 KB to spare."""
    assert image.mf is not None
    assert 32 * 1024 - image.mf.footprint >= 12 * 1024
