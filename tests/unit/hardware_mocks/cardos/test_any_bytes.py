# SPDX-License-Identifier: Apache-2.0
"""Whatever bytes arrive, card and PSAM answer with a status word and keep a readable image."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hardware_mocks.cardos import cos, psam, state
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.psam import VirtualPsam
from tests.unit.hardware_mocks.cardos import issuing

_SELECT = b"\x00\xa4\x04\x00\x06" + issuing.AID
_DATA = st.one_of(st.just(b""), st.binary(min_size=1, max_size=40))
_P = st.one_of(
    st.sampled_from((0x00, 0x01, 0x02, 0x03, 0x95, 0xAA, 0xC4, 0xC8, 0xCC)), st.integers(0, 255)
)


def _apdu(head: tuple[int, int], p1: int, p2: int, data: bytes, le: bytes) -> bytes:
    body = bytes((len(data),)) + data if data else b""
    return bytes((*head, p1, p2)) + body + le


_LE = st.sampled_from((b"", b"\x00", b"\x04", b"\x08"))
_CARD = st.builds(_apdu, st.sampled_from(sorted(cos.COMMANDS)), _P, _P, _DATA, _LE)
_PSAM_HEADS = (
    (0x00, 0xA4),
    (0x00, 0xB0),
    (0x00, 0xD6),
    (0x00, 0x84),
    (0x84, 0xD4),
    (0x80, 0x70),
    (0x80, 0x72),
)
_PSAM = st.builds(_apdu, st.sampled_from(_PSAM_HEADS), _P, _P, _DATA, _LE)


@given(st.lists(st.one_of(_CARD, st.binary(max_size=20)), max_size=12), st.booleans())
@settings(max_examples=120, deadline=None)
def test_issued_card_answers_anything(apdus: list[bytes], contactless: bool) -> None:
    """On an issued card any sequence of commands ends in status words, and the image stays good."""
    card = VirtualCard(contactless=contactless)
    card.memory.image = state.load(_ISSUED)
    card.memory.commit()
    card.reset()
    card.transmit(_SELECT)
    for apdu in apdus:
        assert len(card.transmit(apdu)) >= 2

    card.reset()
    assert state.load(state.dump(card.memory.image)) == card.memory.image


@given(st.lists(st.one_of(_CARD, st.binary(max_size=20)), max_size=12))
@settings(max_examples=80, deadline=None)
def test_blank_card_answers_anything(apdus: list[bytes]) -> None:
    """On a card that has only its MF, where everything is free, the same holds."""
    card = VirtualCard(contactless=True)
    card.transmit(bytes.fromhex(issuing.MF))
    card.transmit(bytes.fromhex(issuing.MF_KEY_FILE))
    for apdu in apdus:
        assert len(card.transmit(apdu)) >= 2

    assert state.load(state.dump(card.memory.image)) == card.memory.image


@given(st.lists(st.one_of(_PSAM, st.binary(max_size=20)), max_size=12))
@settings(max_examples=80, deadline=None)
def test_psam_answers_anything(apdus: list[bytes]) -> None:
    """A PSAM answers anything too, and never gives a number twice."""
    module = VirtualPsam()
    issuing.personalise_psam(issuing.Session(module.transmit))
    for apdu in apdus:
        assert len(module.transmit(apdu)) >= 2

    assert psam.load(psam.dump(module.memory.image)) == module.memory.image


def _issued() -> bytes:
    card = VirtualCard()
    issuing.personalise(issuing.Session(card.transmit))
    return state.dump(card.memory.image)


_ISSUED = _issued()
