# SPDX-License-Identifier: Apache-2.0
"""Drivers of card operating systems: one interface, two cards, and refusals with their reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card.attempts import AttemptGuard
from card.commands import select_fid
from card.drivers import (
    DRIVERS,
    FMCOS,
    ISO7816,
    VOLUNTEER_NEEDS,
    Capability,
    CardDriver,
    driver_named,
    driver_of_historical,
    historical_bytes,
    probe_driver,
    require,
)
from card.errors import (
    AuthenticationFailed,
    CapabilityMissing,
    DriverUnknown,
    RecordNotFound,
)
from card.operation import Connection, exchange, run
from card.pin import Pin
from card.secure_messaging import Proof
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.iso.card import IsoCard
from hardware_mocks.cardos.iso.state import Secret
from hardware_mocks.cards import wallet
from keys.algorithm import Algorithm
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.contracts.connection_cards import Script, in_process, issued_card
from tests.unit.card.wallets import handle, wallet_chip

ISO_KEY = bytes(range(0x10, 0x20))
ISO_PIN = b"1234"
TDES = Algorithm.TDES


def iso_connection() -> Connection:
    """Return a plain card with a key and a PIN."""
    return in_process(IsoCard(pins={1: Secret(ISO_PIN)}, keys={1: Secret(ISO_KEY)}))


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)
def test_driver_is_named_and_found(driver: CardDriver) -> None:
    """Each driver has a name, words in two languages, and is found by its name."""
    assert driver_named(driver.name) is driver
    assert driver.label.zh
    assert driver.label.en


def test_an_unknown_driver_is_named() -> None:
    """A name nobody bears is an error."""
    with pytest.raises(DriverUnknown, match="jcop"):
        driver_named("jcop")


@pytest.mark.parametrize("capability", Capability, ids=lambda capability: capability.name)
def test_capability_is_labelled(capability: Capability) -> None:
    """Each capability has words in two languages."""
    assert capability.label.zh
    assert capability.label.en


def test_the_volunteer_application_takes_fmcos_and_refuses_a_plain_card() -> None:
    """A profile says which capability a driver lacks and what it is needed for."""
    require("standard", FMCOS.name, FMCOS.capabilities)

    with pytest.raises(CapabilityMissing) as caught:
        require("standard", ISO7816.name, ISO7816.capabilities)

    assert caught.value.card == "iso7816"
    assert caught.value.reason.zh
    assert "create files" in str(caught.value)


@pytest.mark.parametrize("lacking", VOLUNTEER_NEEDS, ids=lambda capability: capability.name)
def test_each_need_is_checked(lacking: Capability) -> None:
    """Whatever single thing a card lacks, the refusal names it."""
    with pytest.raises(CapabilityMissing) as caught:
        require("standard", "card", frozenset(Capability) - {lacking})

    assert caught.value.capability == lacking.label


def test_cards_are_recognised_by_their_historical_bytes() -> None:
    """The ATS of an FM1208 and the ATR of the virtual card point to the FMCOS driver."""
    ats = bytes.fromhex("10788090022009000000000066799D24")

    assert driver_of_historical(historical_bytes(ats)) is FMCOS
    assert driver_of_historical(historical_bytes(VirtualCard().atr)) is FMCOS
    assert driver_of_historical(historical_bytes(VirtualCard(contactless=True).atr)) is FMCOS
    assert driver_of_historical(historical_bytes(IsoCard().atr)) is None


@given(st.binary(max_size=40))
def test_any_answer_to_reset_is_read(answer: bytes) -> None:
    """No bytes a card can send break the recognition."""
    historical = historical_bytes(answer)

    assert historical in answer
    assert driver_of_historical(historical) in (None, FMCOS)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (issued_card, FMCOS),
        (lambda _: wallet_chip(TDES), FMCOS),
        (lambda _: VirtualCard(), FMCOS),
        (lambda _: IsoCard(), ISO7816),
    ],
    ids=["volunteer", "wallet", "blank", "plain"],
)
def test_probing_finds_the_driver_and_changes_nothing(
    store: FileKeyStore, make: Callable[[FileKeyStore], Any], expected: CardDriver
) -> None:
    """Two harmless commands tell a purse card from a plain one; the chip's memory stays as is."""
    chip = make(store)
    writes: list[object] = []
    chip.memory.hook = writes.append

    assert run(probe_driver(), in_process(chip)) is expected
    assert writes == []


def test_a_card_of_neither_kind_has_no_driver() -> None:
    """A card that knows neither command is nobody's."""
    assert run(probe_driver(), Script("6E00", "6E00")) is None


def test_a_plain_card_is_driven() -> None:
    """Challenge, proof of a key, internal authentication and PIN work on a plain card."""
    card, guard = iso_connection(), AttemptGuard()
    key = handle(KeyUsage.CONTROL, ISO_KEY, TDES)
    wrong = handle(KeyUsage.CONTROL, wallet.LOAD, TDES)
    pin = Pin(1, ISO_PIN, "pin")
    new = b"98765"

    with pytest.raises(AuthenticationFailed):
        run(ISO7816.authenticate(Proof(1, wrong, "k"), guard), card)
    run(ISO7816.authenticate(Proof(1, key, "k2"), guard), card)
    proof = run(ISO7816.internal_authenticate(1, bytes(8)), card)
    run(ISO7816.verify_pin(pin, guard), card)
    run(ISO7816.change_pin(pin, new, guard), card)
    run(ISO7816.verify_pin(Pin(1, new, "pin"), guard), card)
    with pytest.raises(AuthenticationFailed):
        run(ISO7816.change_pin(Pin(1, b"00000", "pin"), ISO_PIN, guard), card)

    assert proof == key.encrypt(bytes(8))
    assert len(run(ISO7816.get_challenge(), card)) == 8


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)
def test_both_drivers_read_and_write_through_the_same_names(driver: CardDriver) -> None:
    """Files and records are handled by the same calls whatever the card."""
    sent = Script("9000", "616263 9000", "9000", "0102 9000", "9000", "9000")

    assert run(driver.select(b"12345"), sent) == b""
    assert run(driver.read_binary(1, 0, 3), sent) == b"abc"
    run(driver.update_binary(1, 0, b"x"), sent)
    assert run(driver.read_record(2, 1), sent) == b"\x01\x02"
    run(driver.update_record(2, 1, b"r"), sent)
    run(driver.append_record(2, b"r"), sent)

    assert [apdu[2:4] for apdu in sent.sent] == ["A4", "B0", "D6", "B2", "DC", "E2"]


def test_a_purse_card_is_driven_with_macs() -> None:
    """The FMCOS driver reads and writes a protected file of a purse card under MACs."""
    card, guard = in_process(wallet_chip(TDES)), AttemptGuard()
    control = handle(KeyUsage.CONTROL, wallet.CONTROL, TDES)
    key = handle(KeyUsage.MAINTENANCE, wallet.MAINTENANCE, TDES)
    run(FMCOS.select(wallet.NAME), card)
    run(FMCOS.authenticate(Proof(0, control, "k"), guard), card)

    run(FMCOS.update_binary(0x15, 0, b"abc", key), card)
    run(FMCOS.append_record(0x1A, bytes(16), key), card)

    assert run(FMCOS.read_binary(0x15, 0, 3), card) == b"abc"
    assert run(FMCOS.read_record(0x1A, 1), card) == bytes(16)
    with pytest.raises(RecordNotFound):
        run(FMCOS.read_record(0x1A, 2), card)


def test_a_purse_card_s_pin_is_driven() -> None:
    """PIN operations of the FMCOS driver are those of the dialect."""
    card, guard = in_process(wallet_chip(TDES)), AttemptGuard()
    pin = Pin(0, wallet.PIN, "pin")
    run(exchange(select_fid(0x3F00)), card)
    run(FMCOS.select(wallet.NAME), card)

    run(FMCOS.verify_pin(pin, guard), card)
    run(FMCOS.change_pin(pin, b"4711", guard), card)
    run(FMCOS.reload_pin(pin, handle(KeyUsage.PIN_RELOAD, wallet.RELOADING, TDES), guard), card)
    run(FMCOS.unblock_pin(pin, handle(KeyUsage.PIN_UNBLOCK, wallet.UNBLOCKING, TDES), guard), card)
    run(FMCOS.verify_pin(pin, guard), card)


def test_a_plain_card_refuses_what_it_has_no_command_for() -> None:
    """Nothing is sent for an operation a driver lacks; the error names the capability."""
    key = handle(KeyUsage.MAINTENANCE, wallet.MAINTENANCE, TDES)
    pin, guard, untouched = Pin(1, ISO_PIN, "pin"), AttemptGuard(), Script()
    refused: list[Callable[[], Any]] = [
        lambda: ISO7816.read_binary(1, 0, 1, key),
        lambda: ISO7816.update_binary(1, 0, b"a", key),
        lambda: ISO7816.read_record(1, 1, key),
        lambda: ISO7816.update_record(1, 1, b"a", key),
        lambda: ISO7816.append_record(1, b"a", key),
        lambda: ISO7816.unblock_pin(pin, key, guard),
        lambda: ISO7816.reload_pin(pin, handle(KeyUsage.PIN_RELOAD, ISO_KEY, TDES), guard),
        lambda: ISO7816.create_file(1, b""),
        lambda: ISO7816.write_key((1, 1), b"", key, handle(KeyUsage.CONTROL, ISO_KEY, TDES)),
    ]

    for begin in refused:
        with pytest.raises(CapabilityMissing):
            run(begin(), untouched)

    assert untouched.sent == []
