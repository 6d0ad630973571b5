# SPDX-License-Identifier: Apache-2.0
"""Personalisation: planned, shown, applied, read back; cut anywhere and finished."""

from __future__ import annotations

import copy
import datetime as dt
from typing import Any

import pytest

from card.attempts import AttemptGuard, KeyDisagrees
from card.card_keys import CardKeys
from card.commands import get_balance
from card.errors import (
    CardRemoved,
    GuardRefused,
    IssuedOtherwise,
    LayoutError,
    ReadBackMismatch,
    WrongCard,
)
from card.issuing_errors import WrongControlKey
from card.operation import run
from card.personalise import CardState, inspect, personalise, plan
from card.volunteer import VolunteerCard
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.tear import Moment, Tear
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.contracts.connection_cards import ASN, UID, card_data, in_process, issued_card

WRITING = {0xE0, 0xD4, 0xD6, 0xDC, 0xE2}
OTHER = bytes.fromhex("00000000000000000025")


@pytest.fixture(scope="module")
def keys(store: FileKeyStore) -> CardKeys:
    """The keys of the test card."""
    return CardKeys.from_store(store, ASN, 1)


@pytest.fixture
def card(store: FileKeyStore) -> VirtualCard:
    """A freshly issued card."""
    return issued_card(store)


def _image(card: VirtualCard) -> Any:
    return copy.deepcopy(card.memory.image)


class Watch:
    """A connection that keeps the instructions it carried."""

    def __init__(self, card: VirtualCard) -> None:
        self._inner = in_process(card)
        self.instructions: list[int] = []

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Keep the instruction and pass the command on."""
        self.instructions.append(apdu[1])
        return self._inner.transmit(apdu)


class _Renumbered:
    """A key that calls itself version 2."""

    version = 2

    def __init__(self, key: Any) -> None:
        self._key = key

    def __getattr__(self, name: str) -> Any:
        return getattr(self._key, name)


def test_a_blank_card_becomes_a_volunteer_card(keys: CardKeys) -> None:
    """After one run the card is issued and says what it was given."""
    card = VirtualCard(uid=UID)
    done = run(personalise(card_data(), keys), in_process(card))

    assert (done.asn, done.found) == (ASN, CardState.BLANK)
    assert VolunteerCard(in_process(card)).identity().enabled
    assert run(inspect(), in_process(card)).state is CardState.ISSUED


def test_a_second_run_writes_nothing(card: VirtualCard, keys: CardKeys) -> None:
    """On a finished card no command that writes is sent, and the image stays as it is."""
    before = _image(card)
    watch = Watch(card)

    done = run(personalise(card_data(), keys), watch)

    assert done.writes == 0
    assert not WRITING & set(watch.instructions)
    assert before == card.memory.image


@pytest.mark.parametrize("contactless", [False, True])
@pytest.mark.parametrize("moment", [Moment.BEFORE_COMMAND, Moment.BEFORE_ANSWER])
def test_a_cut_anywhere_is_finished_by_another_run(
    keys: CardKeys, moment: Moment, contactless: bool
) -> None:
    """Cut at every command in turn and run again: each image equals that of an uncut card."""
    whole = VirtualCard(uid=UID, contactless=contactless)
    run(personalise(card_data(), keys), in_process(whole, contactless=contactless))
    for cut in range(300):
        card = VirtualCard(uid=UID, contactless=contactless)
        connection = in_process(card, contactless=contactless)
        card.tear(Tear(cut, moment=moment))
        try:
            run(personalise(card_data(), keys), connection)
        except CardRemoved:
            card.power_on()
            run(personalise(card_data(), keys), connection)
        else:
            break

        assert whole.memory.image == card.memory.image, cut
    assert cut > 80


def test_three_cuts_in_a_row_are_finished_too(keys: CardKeys) -> None:
    """A card that is cut again and again ends as any other."""
    whole = VirtualCard(uid=UID)
    run(personalise(card_data(), keys), in_process(whole))
    card = VirtualCard(uid=UID)
    for cut in (40, 30, 25):
        card.tear(Tear(cut, moment=Moment.BEFORE_ANSWER))
        with pytest.raises(CardRemoved):
            run(personalise(card_data(), keys), in_process(card))
        card.power_on()

    run(personalise(card_data(), keys), in_process(card))

    assert whole.memory.image == card.memory.image


def test_a_half_issued_card_is_not_enabled(keys: CardKeys) -> None:
    """A card cut before its last write cannot be used and says that it is unfinished."""
    card = VirtualCard(uid=UID)
    # The sixth UPDATE BINARY would be none; the fourth is the switch.
    card.tear(Tear(3, ins=0xD6))
    with pytest.raises(CardRemoved):
        run(personalise(card_data(), keys), in_process(card))
    card.power_on()

    assert run(inspect(), in_process(card)).state is CardState.FILLED
    assert not VolunteerCard(in_process(card)).identity().enabled


def test_the_plan_shows_every_command_and_no_key(keys: CardKeys) -> None:
    """What a dry run prints are the instructions that are sent, without a byte of key or name."""
    shown = plan(card_data(), keys).show()
    card = VirtualCard(uid=UID)
    watch = Watch(card)
    run(personalise(card_data(), keys), watch)
    text = "\n".join(f"{line.step_zh} {line.step_en} {line.apdu}" for line in shown)

    planned = [int(line.apdu[2:4], 16) for line in shown]
    assert [ins for ins in planned if ins in WRITING] == [
        ins for ins in watch.instructions if ins in WRITING
    ]
    assert "王" not in text
    assert "1000000004" not in text
    assert "80E0001507A80038F0F1FFFF" in text
    assert keys[KeyUsage.TAC].kcv in text


def test_live_data_are_left_alone(card: VirtualCard, keys: CardKeys) -> None:
    """A card that has been tapped is still found issued, and its records stay."""
    application = card.memory.image.mf.children[0x3F01]  # type: ignore[union-attr]
    record = bytes.fromhex("AA1E01") + bytes(29)
    application.files[0x19].records[0] = record
    card.memory.commit()

    done = run(personalise(card_data(), keys), in_process(card))

    assert done.writes == 0
    assert application.files[0x19].records == [record]


def test_a_card_with_another_serial_is_refused(card: VirtualCard, store: FileKeyStore) -> None:
    """A card that bears a serial never gets another; no key is tried."""
    watch = Watch(card)

    with pytest.raises(WrongCard) as caught:
        run(personalise(card_data(OTHER), CardKeys.from_store(store, OTHER, 1)), watch)

    assert (caught.value.expected, caught.value.found) == (OTHER, ASN)
    assert 0x82 not in watch.instructions


@pytest.mark.parametrize(
    ("change", "what"),
    [({"valid_to": dt.date(2030, 1, 1)}, "0015"), ({"name": "李四"}, "0016")],
)
def test_other_data_for_an_issued_card_are_refused(
    card: VirtualCard, keys: CardKeys, change: dict[str, Any], what: str
) -> None:
    """Issuing again with other data names the first difference and writes nothing."""
    before = _image(card)

    with pytest.raises(IssuedOtherwise) as caught:
        run(personalise(card_data(**change), keys), in_process(card))

    assert caught.value.what == what
    assert before == card.memory.image


def test_a_blank_with_another_transport_key_costs_one_attempt(
    store: FileKeyStore, keys: CardKeys
) -> None:
    """An unknown control key is tried once; after that the guard forbids the last attempt."""
    card = VirtualCard(uid=UID)
    card.tear(Tear(2, ins=0xD4))
    with pytest.raises(CardRemoved):
        run(personalise(card_data(), keys), in_process(card))
    card.power_on()
    root = card.memory.image.mf
    assert root is not None
    root.key(0x39, 0).value = bytes(16)  # type: ignore[union-attr]
    card.memory.commit()
    guard = AttemptGuard()

    for left in (2, 1):
        with pytest.raises(WrongControlKey) as caught:
            run(personalise(card_data(), keys, guard=guard), in_process(card))
        assert caught.value.attempts_left == left
        card.reset()
    with pytest.raises(GuardRefused):
        run(personalise(card_data(), keys, guard=guard), in_process(card))

    assert root is not None


def test_keys_of_another_store_are_noticed(card: VirtualCard, tmp_path: Any) -> None:
    """An issued card whose keys are not ours is refused as such."""
    from tests.contracts.connection_cards import make_store  # noqa: PLC0415

    foreign = CardKeys.from_store(make_store(tmp_path), ASN, 1)

    with pytest.raises(IssuedOtherwise) as caught:
        run(personalise(card_data(), foreign), in_process(card))

    assert caught.value.what == "key"


def test_a_key_of_another_version_is_not_tried(card: VirtualCard, store: FileKeyStore) -> None:
    """The card says which version it holds; keys of another cost no attempt."""
    newer = CardKeys.from_store(store, ASN, 1)
    newer = CardKeys(
        {usage: _Renumbered(key) for usage, key in newer.by_usage.items()}, 2, newer.transport
    )
    watch = Watch(card)

    with pytest.raises(KeyDisagrees) as caught:
        run(personalise(card_data(key_version=2), newer), watch)

    assert caught.value.known == "v1"
    assert 0x82 not in watch.instructions


def test_a_write_that_did_not_stick_is_found(keys: CardKeys) -> None:
    """Reading back finds a byte the card did not keep."""
    card = VirtualCard(uid=UID)
    plain = in_process(card)

    class Forgetful:
        def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
            data, sw = plain.transmit(apdu)
            if apdu[1] == 0xA4 and b"\x9f\x0c" in data:
                data = data[:-1] + b"\x02"
            return data, sw

    with pytest.raises(ReadBackMismatch) as caught:
        run(personalise(card_data(), keys), Forgetful())

    assert caught.value.what == "0015"


def test_a_balance_is_found() -> None:
    """GET BALANCE of an issued card is zero; the plan never loads it."""
    assert get_balance().to_bytes().hex() == "805c000204"


@pytest.mark.parametrize(
    ("asn", "change"),
    [
        (bytes(9), {}),
        (bytes.fromhex("0000000000000000001A"), {}),
        (ASN, {"valid_to": dt.date(2026, 10, 31)}),
        (ASN, {"name": "名" * 21}),
        (ASN, {"volunteer_number": "１"}),
    ],
)
def test_data_that_do_not_fit_never_reach_a_card(
    keys: CardKeys, asn: bytes, change: dict[str, Any]
) -> None:
    """Bad data fail while planning, with the field and without the value."""
    with pytest.raises(LayoutError):
        plan(card_data(asn, **change), keys)
