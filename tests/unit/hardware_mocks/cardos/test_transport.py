# SPDX-License-Identifier: Apache-2.0
"""T=0 and contactless: how the same answer reaches the reader."""

from __future__ import annotations

import pytest

from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.errors import CardGone
from tests.unit.hardware_mocks.cardos import issuing

SELECT = b"\x00\xa4\x04\x00\x06" + issuing.AID


def _card(*, contactless: bool) -> VirtualCard:
    card = VirtualCard(contactless=contactless)
    issuing.personalise(issuing.Session(card.transmit))
    card.reset()
    return card


@pytest.fixture(scope="module")
def contact() -> VirtualCard:
    """A personalised card with contacts."""
    return _card(contactless=False)


@pytest.fixture(scope="module")
def contactless() -> VirtualCard:
    """A personalised card with an antenna."""
    return _card(contactless=True)


def test_data_after_data_wait_for_get_response(contact: VirtualCard) -> None:
    """T=0: SELECT answers 61xx and GET RESPONSE fetches exactly so much."""
    answer = contact.transmit(SELECT)

    assert answer == bytes.fromhex("6147")
    assert contact.transmit(bytes.fromhex("00C0000047"))[-2:] == bytes.fromhex("9000")


def test_get_response_in_pieces(contact: VirtualCard) -> None:
    """T=0: a part may be fetched first; the card says how much is left."""
    contact.transmit(SELECT)

    first = contact.transmit(bytes.fromhex("00C0000010"))
    rest = contact.transmit(bytes.fromhex("00C0000037"))

    assert first[-2:] == bytes.fromhex("6137")
    assert (first[:-2] + rest[:-2])[:2] == bytes.fromhex("6F45")


def test_get_response_for_too_much(contact: VirtualCard) -> None:
    """T=0: asking for more than waits is answered with the right length and loses nothing."""
    contact.transmit(SELECT)

    assert contact.transmit(bytes.fromhex("00C0000048")) == bytes.fromhex("6C47")
    assert len(contact.transmit(bytes.fromhex("00C0000047"))) == 0x47 + 2


def test_another_command_drops_what_waits(contact: VirtualCard) -> None:
    """T=0: data not fetched at once are gone."""
    contact.transmit(SELECT)
    contact.transmit(bytes.fromhex("0084000004"))

    assert contact.transmit(bytes.fromhex("00C0000047")) == bytes.fromhex("6985")


@pytest.mark.parametrize(("le", "expected"), [("00", "6C38"), ("39", "6C38"), ("50", "6C38")])
def test_wrong_le_is_corrected(contact: VirtualCard, le: str, expected: str) -> None:
    """T=0: a wrong Le, 00 included, is answered with the length there is."""
    contact.transmit(SELECT)

    assert contact.transmit(bytes.fromhex("00B09500" + le)) == bytes.fromhex(expected)


def test_part_of_a_file_can_be_read(contact: VirtualCard) -> None:
    """An Le below the length of the file reads the front of it."""
    contact.transmit(SELECT)

    assert contact.transmit(bytes.fromhex("00B095001E")) == issuing.face()[:30] + b"\x90\x00"


def test_contactless_answers_at_once(contactless: VirtualCard) -> None:
    """Without contacts SELECT returns its data, with and without Le."""
    with_le = contactless.transmit(SELECT + b"\x00")

    assert with_le == contactless.transmit(SELECT)
    assert with_le[-2:] == bytes.fromhex("9000")
    assert contactless.transmit(bytes.fromhex("00B0950000"))[:-2] == issuing.face()


def test_contactless_knows_no_get_response(contactless: VirtualCard) -> None:
    """GET RESPONSE belongs to T=0."""
    assert contactless.transmit(bytes.fromhex("00C0000010")) == bytes.fromhex("6D00")


@pytest.mark.parametrize(
    ("apdu", "expected"),
    [
        ("", "6700"),
        ("00A4", "6700"),
        ("00A4040006F059494B41", "6700"),
        ("00A4040006F059494B41010000", "6700"),
        ("0000000000", "6D00"),
        ("00FF000000", "6D00"),
        ("90A4000000", "6E00"),
        ("80A4000000", "6E00"),
        ("04840000", "6E00"),
    ],
)
def test_malformed_and_unknown_commands(contact: VirtualCard, apdu: str, expected: str) -> None:
    """Bytes that are no command of the card get a status word, never silence."""
    assert contact.transmit(bytes.fromhex(apdu)) == bytes.fromhex(expected)


def test_card_without_power_is_gone() -> None:
    """Power off means silence; power on brings the ATR and the state back."""
    card = _card(contactless=False)
    card.power_off()

    with pytest.raises(CardGone):
        card.transmit(SELECT)

    assert card.power_on() == bytes.fromhex("3B66000059494B412009")
    assert card.transmit(SELECT) == bytes.fromhex("6147")
