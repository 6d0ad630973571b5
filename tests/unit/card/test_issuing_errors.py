# SPDX-License-Identifier: Apache-2.0
"""Each way a card can refuse its plan has a name and says what was and was not written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from card.card_keys import CardKeys
from card.errors import CapabilityMissing, CardError, WrongCard
from card.files import VOLUNTEER
from card.issuing_errors import (
    ApplicationBlocked,
    CardFull,
    CardSwapped,
    FileLocked,
    ForeignDialect,
    IssuingStopped,
    KeyBlocked,
    WrongControlKey,
)
from card.operation import Connection, run
from card.personalise import personalise
from card.profile import Profile
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.iso.card import IsoCard
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.contracts.connection_cards import ASN, UID, card_data, in_process, issued_card

OTHER = bytes.fromhex("00000000000000000025")


@pytest.fixture(scope="module")
def keys(store: FileKeyStore) -> CardKeys:
    """The keys of the test card."""
    return CardKeys.from_store(store, ASN, 1)


class Answers:
    """A card that answers one command, known by its first bytes, with a status word of its own."""

    def __init__(self, start: str, sw: int, card: VirtualCard | None = None) -> None:
        self._inner = in_process(card or VirtualCard(uid=UID))
        self._start, self._sw = bytes.fromhex(start), sw

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Answer."""
        if apdu.startswith(self._start):
            return b"", self._sw
        return self._inner.transmit(apdu)


@pytest.mark.parametrize(
    ("start", "sw", "kind", "writes"),
    [
        ("00820000", 0x63C2, WrongControlKey, 1),
        ("00820000", 0x6983, KeyBlocked, 1),
        ("84D401", 0x9302, WrongControlKey, None),
        ("80E0001B", 0x6A84, CardFull, None),
        ("04D69500", 0x6982, FileLocked, None),
        ("80E03F01", 0x6D00, ForeignDialect, 3),
        ("80E03F00", 0x6A80, ForeignDialect, 0),
        ("80E0001B", 0x6581, IssuingStopped, None),
    ],
)
def test_a_refusal_in_mid_plan_has_a_name(
    keys: CardKeys, start: str, sw: int, kind: type[IssuingStopped], writes: int | None
) -> None:
    """The error's class tells the cause; it carries step and number of writes."""
    with pytest.raises(kind) as caught:
        run(personalise(card_data(), keys), Answers(start, sw))

    reached = caught.value.reached
    assert 1 <= reached.step <= reached.steps
    assert reached.label.en in str(caught.value)
    if writes is not None:
        assert reached.writes == writes
    expected = "this run wrote nothing" if not reached.writes else "stay on the card"
    assert expected in str(caught.value)


def test_a_directory_without_room_is_full(keys: CardKeys) -> None:
    """An application smaller than its files answers 6A84 to the first that does not fit."""
    small = dataclasses.replace(VOLUNTEER, space=700)
    profile = Profile("small", application=small)

    with pytest.raises(CardFull) as caught:
        run(personalise(card_data(), keys, profile), in_process(VirtualCard(uid=UID)))

    assert "create file" in caught.value.reached.label.en


def test_a_blocked_application_is_named(store: FileKeyStore, keys: CardKeys) -> None:
    """A card blocked by its issuer is not written to."""
    card = issued_card(store)
    card.memory.image.mf.children[0x3F01].block = 1  # type: ignore[union-attr]
    card.memory.commit()

    with pytest.raises(ApplicationBlocked) as caught:
        run(personalise(card_data(), keys), in_process(card))

    assert caught.value.reached.writes == 0


class Swap:
    """A reader on which somebody exchanges the card before a command, without being noticed."""

    def __init__(self, first: Connection, second: Connection, start: str, skip: int = 0) -> None:
        self._now, self._next = first, second
        self._start, self._skip = bytes.fromhex(start), skip

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Answer from the card that lies there now."""
        if apdu.startswith(self._start):
            if self._skip == 0:
                self._now = self._next
            self._skip -= 1
        return self._now.transmit(apdu)


def _blank(_store: FileKeyStore) -> VirtualCard:
    return VirtualCard(uid=bytes(4))


def _of_another(store: FileKeyStore) -> VirtualCard:
    card = VirtualCard(uid=bytes(4))
    run(personalise(card_data(OTHER), CardKeys.from_store(store, OTHER, 1)), in_process(card))
    card.reset()
    return card


@pytest.mark.parametrize("make", [_blank, _of_another])
@pytest.mark.parametrize(
    ("start", "skip"), [("80E03F01", 0), ("84D401", 0), ("80E00016", 0), ("00A40400", 3)]
)
def test_a_card_swapped_in_mid_plan_is_noticed_and_not_written(
    store: FileKeyStore,
    keys: CardKeys,
    make: Callable[[FileKeyStore], VirtualCard],
    start: str,
    skip: int,
) -> None:
    """Wherever the cards are exchanged, the run ends with a name and the new card is as it was."""
    second = make(store)
    before = repr(second.memory.image)
    swap = Swap(in_process(VirtualCard(uid=UID)), in_process(second), start, skip)

    with pytest.raises(CardSwapped):
        run(personalise(card_data(), keys), swap)

    assert repr(second.memory.image) == before


def test_a_card_that_bears_another_serial_is_wrong_from_the_start(
    store: FileKeyStore, keys: CardKeys
) -> None:
    """The plan says one serial, the card another: no key is tried."""
    with pytest.raises(WrongCard):
        run(personalise(card_data(), keys), in_process(_of_another(store)))


def test_a_card_of_no_known_kind_is_not_written(keys: CardKeys) -> None:
    """A card that knows neither dialect gets no command that writes."""
    sent: list[int] = []

    class Mumbles:
        def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
            sent.append(apdu[1])
            return b"", 0x6E00

    with pytest.raises(ForeignDialect) as caught:
        run(personalise(card_data(), keys), Mumbles())

    assert caught.value.reached.writes == 0
    assert set(sent) <= {0xA4, 0x5C}


def test_a_plain_iso_card_lacks_what_the_application_needs(keys: CardKeys) -> None:
    """A card of the other driver is recognised and refused with the first thing it lacks."""
    with pytest.raises(CapabilityMissing) as caught:
        run(personalise(card_data(), keys), in_process(IsoCard(contactless=True), contactless=True))

    assert caught.value.card == "iso7816"


def test_no_error_shows_a_secret(keys: CardKeys) -> None:
    """Names of people and key bytes are in no message."""
    with pytest.raises(CardError) as caught:
        run(personalise(card_data(), keys), Answers("04D69600", 0x6988))

    assert "王" not in str(caught.value)
    assert keys[KeyUsage.TAC].kcv not in str(caught.value)
