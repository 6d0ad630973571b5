# SPDX-License-Identifier: Apache-2.0
"""Faults and time: what goes wrong, goes wrong once, where it was planned; time is counted."""

from __future__ import annotations

from typing import Any

import pytest

from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.errors import CardGone, CardMute
from hardware_mocks.cardos.faults import BitError, Mute, Slow, WrongStatus, parse
from hardware_mocks.cardos.latency import PROFILES, Stopwatch
from hardware_mocks.cardos.tear import Moment, Tear
from hardware_mocks.cards import wallet
from hardware_mocks.cards.cashier import Cashier

WRITING = [moment for moment in Moment if moment is not Moment.BEFORE_COMMAND]


@pytest.fixture
def card() -> VirtualCard:
    """A purse card."""
    card = VirtualCard(contactless=True)
    wallet.issue(card)
    return card


@pytest.fixture
def cashier(card: VirtualCard) -> Cashier:
    """The other side, with application selected and PIN entered."""
    cashier = Cashier(card)
    cashier.select()
    cashier.verify_pin()
    return cashier


@pytest.mark.parametrize("moment", WRITING)
@pytest.mark.parametrize("write", range(3))
def test_cut_at_a_write_by_its_number(
    card: VirtualCard, cashier: Cashier, write: int, moment: Moment
) -> None:
    """A cut names the write, whatever command does it; what was before it stays."""
    card.tear(Tear(write=write, moment=moment))
    loads = 0
    with pytest.raises(CardGone):
        while loads < 5:
            cashier.load(10)
            loads += 1
    card.power_on()
    cashier.select()

    assert loads == write
    committed = moment in (Moment.RENAMED, Moment.BEFORE_ANSWER)
    assert cashier.balance() == 10 * (write + committed)


@pytest.mark.parametrize(("executed", "balance"), [(False, 0), (True, 10)])
def test_wrong_status(cashier: Cashier, executed: bool, balance: int) -> None:
    """The answer is another; the command was done or not, as planned, and the next one is right."""
    cashier.chip.plan(WrongStatus(ins=0x52, sw=0x6581, executed=executed))
    assert cashier.load(10).sw == 0x6581
    assert cashier.balance() == balance


def test_bit_error(cashier: Cashier) -> None:
    """One bit of one answer is flipped, the second command of that kind."""
    cashier.chip.plan(BitError(ins=0x5C, commands=1, bit=31))
    assert [cashier.balance() for _ in range(3)] == [0, 1, 0]


@pytest.mark.parametrize(("executed", "balance"), [(False, 0), (True, 10)])
def test_mute(cashier: Cashier, executed: bool, balance: int) -> None:
    """No answer comes, and a reset brings the card back."""
    cashier.chip.plan(Mute(ins=0x52, seconds=0.25, executed=executed))
    with pytest.raises(CardMute) as silence:
        cashier.load(10)
    cashier.chip.reset()
    cashier.select()

    assert silence.value.seconds == 0.25
    assert cashier.balance() == balance


def test_several_faults_wait_for_their_turn(cashier: Cashier) -> None:
    """A plan holds several faults; each strikes in its own command."""
    cashier.chip.plan(WrongStatus(ins=0x5C), BitError(ins=0x5C, commands=1, bit=31))
    assert cashier.send(bytes.fromhex("805C000204"))[1] == 0x6F00
    assert [cashier.balance() for _ in range(2)] == [1, 0]


def test_time_is_counted_by_profile(cashier: Cashier) -> None:
    """The slower the way, the longer a load takes; nothing sleeps."""
    spent = {}
    for name, profile in PROFILES.items():
        watch = Stopwatch()
        cashier.chip.pace(profile, watch)
        cashier.load(1)
        spent[name] = watch.elapsed_us
    cashier.chip.pace(None, watch)
    cashier.load(1)

    assert watch.elapsed_us == spent["contactless-424"]
    assert spent["contactless-424"] < spent["contactless-106"] < spent["contact-t0"]
    assert spent["contact-t1"] < spent["contact-t0"]
    # Two commands and their answers are 61 bytes of 1.25 ms each over T=0.
    assert spent["contact-t0"] > 61 * 1_250


def test_slow_answer(cashier: Cashier) -> None:
    """A slow answer adds its seconds to the clock, once."""
    watch = Stopwatch()
    cashier.chip.pace(None, watch)
    cashier.chip.plan(Slow(seconds=2.5))
    cashier.balance()
    cashier.balance()

    assert watch.elapsed_us == 2_500_000


def test_writes_cost_time(cashier: Cashier) -> None:
    """A command that writes takes longer than one of the same length that is refused."""
    profile, watch = PROFILES["contactless-106"], Stopwatch()
    cashier.chip.pace(profile, watch)
    update = bytes.fromhex("00D6960002AABB")
    cashier.send(update)
    written = watch.elapsed_us
    cashier.send(bytes.fromhex("00D6960002AABB"[:-2] + "CC"))
    assert watch.elapsed_us == 2 * written
    cashier.send(bytes.fromhex("00D69F0002AABB"))

    assert watch.elapsed_us == 3 * written - profile.write_us


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({}, "unknown fault"),
        ({"kind": "fire"}, "unknown fault"),
        ({"kind": "tear", "moment": "later"}, "unknown moment"),
        ({"kind": "tear", "sw": "6F00"}, "no field"),
        ({"kind": "status", "sw": -1}, "cannot be"),
        ({"kind": "status", "sw": "xyz"}, "invalid literal"),
        ({"kind": "mute", "seconds": 1e9}, "cannot be"),
        ({"kind": "mute", "executed": "yes"}, "cannot be"),
        ({"kind": "slow", "commands": True}, "cannot be"),
    ],
)
def test_requests_that_are_no_faults(request_: dict[str, Any], reason: str) -> None:
    """Whatever does not describe a fault is refused with its reason."""
    with pytest.raises(ValueError, match=reason):
        parse(request_)


def test_requests_that_are_faults() -> None:
    """Each kind is built from its fields by name."""
    assert parse({"kind": "status", "sw": "6581", "ins": "52", "executed": True}) == WrongStatus(
        ins=0x52, sw=0x6581, executed=True
    )
    assert parse({"kind": "tear", "write": 3, "moment": "before-write"}) == Tear(
        write=3, moment=Moment.BEFORE_WRITE
    )
    assert parse({"kind": "mute", "seconds": 2}) == Mute(seconds=2.0)
