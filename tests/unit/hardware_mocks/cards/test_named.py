# SPDX-License-Identifier: Apache-2.0
"""Named cards are what their names say, seen through the SDK; a fleet is as good as issued."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from card.card_keys import CardKeys
from card.errors import (
    BlankCard,
    Blocked,
    CardError,
    CounterExhausted,
    ForeignCard,
    MuteCard,
)
from card.operation import run
from card.personalise import CardState, inspect, personalise
from card.profile import REDUCED, STANDARD
from card.tap import initialize
from card.volunteer import VolunteerCard
from hardware_mocks.cardos import state
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.faults import Mute
from hardware_mocks.cards import fleet, named, wallet
from hardware_mocks.cards.cashier import Cashier
from hardware_mocks.cards.connection import connect
from hardware_mocks.cards.keyring import SM4_VERSION, keyring
from keys.algorithm import Algorithm

DAY = dt.date(2026, 11, 21)
READABLE = (
    "issued", "minor", "expired", "not-yet-valid", "counter-worn", "counter-near-end",
    "counter-used-up", "key-nearly-blocked", "key-blocked", "sm4", "reduced",
)  # fmt: skip


@pytest.mark.parametrize("name", READABLE)
def test_readable_cards_say_who_they_are(name: str) -> None:
    """Every card that a phone could read shows serial, masked name and validity."""
    public = VolunteerCard(connect(named.card(name))).identity()
    data = named.data_of(name)

    assert (public.asn, public.masked_name) == (data.asn, data.masked_name)
    assert (public.valid_from <= DAY <= public.valid_to) is (
        name not in ("expired", "not-yet-valid")
    )
    assert (public.birth_date is not None) is (name == "minor")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("fresh", BlankCard),
        ("blocked", Blocked),
        ("blocked-for-good", Blocked),
        ("dead", CardError),
        ("foreign", ForeignCard),
        ("wallet", ForeignCard),
        ("full", ForeignCard),
    ],
)
def test_other_cards_are_refused_by_name(name: str, error: type[CardError]) -> None:
    """A card that is no volunteer card, or no longer one, is a named error."""
    with pytest.raises(error):
        VolunteerCard(connect(named.card(name))).identity()


@pytest.mark.parametrize(
    ("name", "counter"), [("counter-worn", 60_000), ("counter-near-end", 65_534)]
)
def test_worn_cards_still_tap(name: str, counter: int) -> None:
    """A worn card begins a purchase and says how far it has counted."""
    connection = connect(named.card(name))
    VolunteerCard(connection).identity()
    assert run(initialize(1, bytes(6)), connection).card_ctr == counter


def test_used_up_card_begins_no_tap() -> None:
    """A card at the end of its counter refuses by name."""
    connection = connect(named.card("counter-used-up"))
    VolunteerCard(connection).identity()
    with pytest.raises(CounterExhausted):
        run(initialize(1, bytes(6)), connection)


def test_half_issued_card_is_finished() -> None:
    """A card pulled off while it was issued is completed by another run."""
    data = named.data_of("half-issued")
    connection = connect(named.card("half-issued"))
    done = run(personalise(data, CardKeys.from_store(keyring(), data.asn, 1)), connection)

    assert done.found is CardState.STARTED
    assert run(inspect(), connection).state is CardState.ISSUED


def test_full_chip_takes_no_application() -> None:
    """On a chip without room issuing ends with the card's own word for it."""
    data = named.data_of("full")
    keys = CardKeys.from_store(keyring(), data.asn, 1)
    with pytest.raises(CardError, match="6A84"):
        run(personalise(data, keys), connect(named.card("full")))


def test_blocked_pin_is_unblocked_by_its_key() -> None:
    """The PIN of that purse takes no more tries until it is unblocked."""
    cashier = Cashier(named.card("pin-blocked", contactless=True))
    cashier.select()
    assert cashier.verify_pin() == 0x6983
    assert cashier.unblock_pin(wallet.PIN) == 0x9000
    assert cashier.verify_pin() == 0x9000


def test_sm4_wallet_pays() -> None:
    """The purse with SM4 keys loads and pays."""
    cashier = Cashier(named.card("wallet-sm4", contactless=True), Algorithm.SM4)
    cashier.select()
    cashier.verify_pin()
    assert cashier.load(5).done
    assert cashier.purchase(5).done


def test_cards_are_new_at_each_call() -> None:
    """What one test does to a card no other test sees."""
    first = named.card("wallet", contactless=True)
    cashier = Cashier(first)
    cashier.select()
    cashier.verify_pin()
    cashier.load(5)
    assert named.card("wallet").memory.image != first.memory.image


def test_silent_card_is_mute_for_the_sdk() -> None:
    """Silence and removal are told apart on an in-process connection."""
    card = named.card("issued")
    connection = connect(card)
    card.plan(Mute())
    with pytest.raises(MuteCard):
        VolunteerCard(connection).identity()


@pytest.mark.parametrize("version", [1, SM4_VERSION])
def test_fleet_of_a_thousand(version: int) -> None:
    """A thousand cards differ in serial and keys, and issuing any of them again writes nothing."""
    cards = fleet.fleet(1000, version=version)
    assert len({card.data.asn for card in cards}) == len({card.written for card in cards}) == 1000
    for card in cards[::333]:
        chip = card.chip()
        keys = CardKeys.from_store(keyring(), card.data.asn, version)
        done = run(personalise(card.data, keys), connect(chip))
        assert (done.found, done.writes) == (CardState.ISSUED, 0)


@pytest.mark.parametrize("profile", [STANDARD, REDUCED], ids=["standard", "reduced"])
def test_clone_equals_an_issued_card(profile: object) -> None:
    """The image of a clone is that of a card issued by itself, to the byte."""
    chosen = REDUCED if profile is REDUCED else STANDARD
    clone = fleet.fleet(8, profile=chosen)[7]
    alone = state.load(fleet.issue(clone.data, keyring(), chosen))
    assert state.load(clone.written) == replace(alone, uid=clone.data.asn[-4:])


def test_saved_card_is_found_again(tmp_path: object) -> None:
    """A saved card opens as the card it is."""
    path = tmp_path / "v.card"  # type: ignore[operator]
    named.save("issued", path)
    assert VirtualCard(path).memory.image == named.card("issued").memory.image
