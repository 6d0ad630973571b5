# SPDX-License-Identifier: Apache-2.0
"""The holder's PIN: right, wrong, blocked, changed, reloaded and unblocked, never shown."""

from __future__ import annotations

import pytest

from card.attempts import AttemptGuard
from card.commands import select_name
from card.errors import AuthenticationFailed, Blocked, GuardRefused, LayoutError, MacRejected
from card.operation import Connection, exchange, run
from card.pin import Pin, change_pin, reload_pin, unblock_pin, verify_pin
from hardware_mocks.cards import wallet
from keys.algorithm import Algorithm
from keys.usage import KeyUsage
from tests.contracts.connection_cards import Script, in_process
from tests.unit.card.wallets import BOTH, handle, wallet_chip

OTHER = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
NAME = "wallet/3A-00"
RIGHT = Pin(0x00, wallet.PIN, NAME)
WRONG = Pin(0x00, bytes.fromhex("999999"), NAME)
NEW = Pin(0x00, bytes.fromhex("4711"), NAME)


def selected(algorithm: Algorithm) -> Connection:
    """Return a purse card with its application selected and nothing proved."""
    connection = in_process(wallet_chip(algorithm))
    run(exchange(select_name(wallet.NAME)), connection)
    return connection


@BOTH
def test_a_right_pin_opens_and_gives_attempts_back(algorithm: Algorithm) -> None:
    """A wrong PIN says what is left; a right one forgets it."""
    card, guard = selected(algorithm), AttemptGuard()

    with pytest.raises(AuthenticationFailed) as caught:
        run(verify_pin(WRONG, guard), card)
    run(verify_pin(RIGHT, guard), card)

    assert caught.value.attempts_left == 2
    guard.check(NAME)


def test_the_guard_keeps_the_last_attempt() -> None:
    """After two wrong PINs nothing more is sent."""
    card, guard = selected(Algorithm.TDES), AttemptGuard()
    for _ in range(2):
        with pytest.raises(AuthenticationFailed):
            run(verify_pin(WRONG, guard), card)
    untouched = Script()

    with pytest.raises(GuardRefused):
        run(verify_pin(RIGHT, guard), untouched)

    assert untouched.sent == []


@BOTH
def test_a_pin_is_changed_by_who_knows_it(algorithm: Algorithm) -> None:
    """The old PIN stops working and the new one works; a wrong old one is counted."""
    card, guard = selected(algorithm), AttemptGuard()

    with pytest.raises(AuthenticationFailed):
        run(change_pin(WRONG, NEW.value, guard), card)
    run(change_pin(RIGHT, NEW.value, guard), card)
    run(verify_pin(NEW, guard), card)
    with pytest.raises(AuthenticationFailed):
        run(verify_pin(RIGHT, guard), card)


@BOTH
@pytest.mark.parametrize("how", ["reload", "unblock"])
def test_a_blocked_pin_comes_back_with_the_issuer_s_key(algorithm: Algorithm, how: str) -> None:
    """Three wrong PINs block it; the issuer sets a new one and all attempts are there again."""
    card, careless = selected(algorithm), AttemptGuard()
    for _ in range(3):
        with pytest.raises(AuthenticationFailed):
            run(verify_pin(WRONG, AttemptGuard()), card)
    with pytest.raises(Blocked):
        run(verify_pin(RIGHT, careless), card)

    if how == "reload":
        key = handle(KeyUsage.PIN_RELOAD, wallet.RELOADING, algorithm)
        run(reload_pin(NEW, key, careless), card)
    else:
        key = handle(KeyUsage.PIN_UNBLOCK, wallet.UNBLOCKING, algorithm)
        run(unblock_pin(NEW, key, careless), card)

    run(verify_pin(NEW, careless), card)


@BOTH
@pytest.mark.parametrize("how", ["reload", "unblock"])
def test_a_wrong_issuer_key_is_counted_by_the_guard(algorithm: Algorithm, how: str) -> None:
    """Two wrong MACs are remembered, and the third is never sent: it would block for good."""
    card, guard = selected(algorithm), AttemptGuard()

    def attempt() -> None:
        if how == "reload":
            key = handle(KeyUsage.PIN_RELOAD, OTHER, algorithm)
            run(reload_pin(NEW, key, guard), card)
        else:
            key = handle(KeyUsage.PIN_UNBLOCK, OTHER, algorithm)
            run(unblock_pin(NEW, key, guard), card)

    for _ in range(2):
        with pytest.raises(MacRejected):
            attempt()
    with pytest.raises(GuardRefused):
        attempt()


@pytest.mark.parametrize("value", ["", "01", "0102030405060708AA", "12FF34"])
def test_a_pin_that_cannot_be_one_is_refused(value: str) -> None:
    """Too short, too long or with a filler inside never reaches a card."""
    with pytest.raises(LayoutError):
        Pin(0x00, bytes.fromhex(value), NAME)


def test_a_pin_is_not_shown() -> None:
    """Neither representation nor error repeats a PIN."""
    with pytest.raises(LayoutError) as caught:
        run(change_pin(RIGHT, b"\x01", AttemptGuard()), Script())

    assert "123456" not in repr(RIGHT)
    assert repr(wallet.PIN) not in repr(RIGHT)
    assert "01" not in str(caught.value)
