# SPDX-License-Identifier: Apache-2.0
"""A card pulled off at every non-volatile write of all that matters: before, during and after.

Clock in, clock out, load, purchase, cash, unload, limit and issuing, on card and PSAM. After
recovery hours and balance are neither lost nor doubled and every issuing plan is complete. The
number of positions gone through is printed at the end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from card import purse
from card.card_keys import CardKeys
from card.errors import CardRemoved
from card.operation import Connection, run
from card.personalise import CardState, inspect, personalise
from card.psam import PsamCard
from card.psam_issuing import PsamData, PsamKeys, personalise_psam
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.errors import CardGone
from hardware_mocks.cardos.psam import VirtualPsam
from hardware_mocks.cardos.shell import ChipCard
from hardware_mocks.cardos.tear import Moment, Tear
from hardware_mocks.cards import fleet, named, wallet
from hardware_mocks.cards.cashier import Cashier, Result
from hardware_mocks.cards.connection import connect
from hardware_mocks.cards.keyring import SM4_VERSION, keyring
from keys.algorithm import Algorithm
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from swipe.event import Event
from swipe.kinds import PROVEN_TYPES, EventType
from swipe.kinds import Result as TapResult
from terminal.policy import Say
from tests.integration.terminal.bench import (
    Bench,
    issue,
    keys_in,
    psam_chip,
)
from tests.unit.card.wallets import BOTH, handle, opened, wallet_chip
from tests.unit.terminal.clocks import HandClock

THREE = (Moment.BEFORE_WRITE, Moment.HALF_WRITTEN, Moment.RENAMED)
STAY_S = 2 * 3600
SECOND_TRY_S = 10


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """One key store for all gates of this module."""
    return keys_in(tmp_path_factory.mktemp("tears"))


@pytest.fixture(scope="module")
def tally(request: pytest.FixtureRequest) -> Iterator[dict[str, int]]:
    """Positions gone through, by work; the sum is printed after the last test."""
    counted: dict[str, int] = {}
    yield counted
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        sys.stdout.write(f"\ntear positions: {sum(counted.values())} {counted}\n")


def positions(writes: int) -> Iterator[Tear]:
    """Yield three cuts at each of so many writes."""
    for write in range(writes):
        for moment in THREE:
            yield Tear(write=write, moment=moment)


@dataclass
class Gate:
    """One terminal with a hardware PSAM, and one volunteer's card."""

    folder: Path
    store: FileKeyStore

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.card = issue(self.store, 1)
        self.psam = psam_chip(self.store)
        self.clock = HandClock()
        self.bench = self.open()

    def open(self) -> Bench:
        """Start the terminal on what is on its disk, with a PSAM that has power."""
        return Bench(self.folder, self.store, PsamCard(connect(self.psam)), clock=self.clock)

    def tap(self) -> Say:
        """Present the card; a PSAM that was cut off is put back by a restart."""
        if not self.psam.powered:
            self.bench.desk.chain.journal.close()
            self.bench = self.open()
        return self.bench.tap(self.card).say

    def stay(self) -> list[tuple[int, int]]:
        """Return kind and second of each tap that counts, in the order of the card's counter."""
        taps: dict[int, tuple[int, int]] = {}
        for event in self.bench.events():
            if event.type in PROVEN_TYPES and event.result != TapResult.TORN:
                assert event.card_ctr not in taps, "one tap counted twice"
                taps[event.card_ctr] = (_kind(event), event.utc_s)
        return [taps[counter] for counter in sorted(taps)]


def _kind(event: Event) -> int:
    resolved = event.type == EventType.TORN_RESOLVED
    return event.card_acc >> 24 if resolved else int(event.type)


def _come_and_go(gate: Gate, chip: ChipCard, tear: Tear, at: Say) -> None:
    """Clock in, stay, clock out; one of the two is cut and tried again."""
    for say in (Say.IN, Say.OUT):
        chip.tear(tear if say is at else None)
        done = gate.tap()
        chip.tear(None)
        assert (done is say) != (say is at), tear
        if done is not say:
            gate.bench.clock.advance(SECOND_TRY_S)
            done = gate.tap()
        assert done is say
        gate.bench.clock.advance(STAY_S)


@pytest.mark.parametrize("at", [Say.IN, Say.OUT], ids=["clock-in", "clock-out"])
@pytest.mark.parametrize("whose", ["card", "psam"])
def test_hours_survive(
    tmp_path: Path, store: FileKeyStore, tally: dict[str, int], at: Say, whose: str
) -> None:
    """Cut at every write of a tap: one tap in, one tap out, two hours between them."""
    whole = Gate(tmp_path / "whole", store)
    chip: ChipCard = getattr(whole, whose)
    if at is Say.OUT:
        whole.tap()
        whole.bench.clock.advance(STAY_S)
    before = chip.writes
    assert whole.tap() is at
    writes, done = chip.writes - before, 0
    for tear in positions(writes):
        gate = Gate(tmp_path / f"{done}", store)
        _come_and_go(gate, getattr(gate, whose), tear, at)
        (kind_in, came), (kind_out, went) = gate.stay()

        assert (kind_in, kind_out) == (EventType.IN, EventType.OUT), tear
        assert abs(went - came - STAY_S) <= SECOND_TRY_S, tear
        done += 1
    tally[f"{at.name} on the {whose}"] = done
    assert done == 3 * writes > 0


PAYMENTS: dict[str, tuple[int, int, Callable[[Cashier], Result]]] = {
    # transaction type, change of the balance, and how it is done
    "load purse": (0x02, 300, lambda c: c.load(300, wallet.PURSE)),
    "load passbook": (0x01, 300, lambda c: c.load(300, wallet.PASSBOOK)),
    "purchase purse": (0x06, -120, lambda c: c.purchase(120, wallet.PURSE)),
    "purchase passbook": (0x05, -120, lambda c: c.purchase(120, wallet.PASSBOOK)),
    "cash": (0x04, -120, lambda c: c.purchase(120, wallet.PASSBOOK, p1=0x02)),
    "unload": (0x03, -120, lambda c: c.unload(120)),
    "limit": (0x07, 50, lambda c: c.set_limit(50)),
    "composite": (0x09, -1, lambda c: c.purchase(1, p1=0x03, record=wallet.RECORD)),
}
ONLINE = (0x01, 0x02, 0x03, 0x07)


def _till(algorithm: Algorithm) -> Cashier:
    """Return a cashier before a purse card with 500 on passbook and purse."""
    name = "wallet-sm4" if algorithm is Algorithm.SM4 else "wallet"
    cashier = Cashier(named.card(name, contactless=True), algorithm)
    _stand_before(cashier)
    for fid in (wallet.PASSBOOK, wallet.PURSE):
        assert cashier.load(500, fid).done
    return cashier


def _stand_before(cashier: Cashier) -> None:
    cashier.select()
    assert cashier.verify_pin() == 0x9000


@pytest.mark.parametrize("algorithm", [Algorithm.TDES, Algorithm.SM4])
@pytest.mark.parametrize("work", PAYMENTS)
def test_balance_survives(tally: dict[str, int], work: str, algorithm: Algorithm) -> None:
    """Cut at every write of a payment: the proof tells whether to repeat, the balance is right."""
    kind, change, pay = PAYMENTS[work]
    fid = wallet.PURSE if kind in (0x02, 0x06, 0x09) else wallet.PASSBOOK
    sequence = 1 if kind in ONLINE else 0
    whole = _till(algorithm)
    before = whole.chip.writes
    assert pay(whole).done
    writes = whole.chip.writes - before
    done = 0
    for tear in positions(writes):
        cashier = _till(algorithm)
        cashier.chip.tear(tear)
        with pytest.raises(CardGone):
            pay(cashier)
        cashier.chip.power_on()
        _stand_before(cashier)
        _, sw = cashier.prove(kind, sequence)
        assert sw == (0x9000 if tear.moment is Moment.RENAMED else 0x9406), tear
        if sw != 0x9000:
            assert pay(cashier).done
        assert cashier.balance(fid) == 500 + change, tear
        other = wallet.PASSBOOK if fid == wallet.PURSE else wallet.PURSE
        assert cashier.balance(other) == 500
        done += 1
    tally[f"{work} ({algorithm.value})"] = done
    assert done == 3 * writes > 0


def _order(amount: int) -> purse.Order:
    return purse.Order(amount, bytes(6), bytes.fromhex("20261121"), bytes.fromhex("090000"))


def _sdk_load(connection: Connection, algorithm: Algorithm) -> purse.Receipt:
    key = handle(KeyUsage.LOAD, wallet.LOAD, algorithm)
    tac = handle(KeyUsage.TAC, wallet.INTERNAL, algorithm)
    return run(purse.load(_order(300), key, tac), connection)


def _sdk_pay(connection: Connection, algorithm: Algorithm) -> purse.Receipt:
    key = handle(KeyUsage.PURCHASE_SOFT, wallet.PURCHASE, algorithm)
    return run(purse.purchase(_order(120), key, psam_seq=7), connection)


@BOTH
@pytest.mark.parametrize("paying", [False, True], ids=["load", "purchase"])
def test_sdk_settles_what_was_cut(
    tally: dict[str, int], algorithm: Algorithm, paying: bool
) -> None:
    """Cut at every write, `purse.settle` says whether to repeat, and the balance is right."""
    kind = purse.Kind.PURSE_PURCHASE if paying else purse.Kind.PURSE_LOAD
    work = _sdk_pay if paying else _sdk_load
    whole = wallet_chip(algorithm)
    connection = opened(whole, algorithm)
    _sdk_load(connection, algorithm)
    before = whole.writes
    due = work(connection, algorithm)
    writes, done = whole.writes - before, 0
    for tear in positions(writes):
        chip = wallet_chip(algorithm)
        connection = opened(chip, algorithm)
        _sdk_load(connection, algorithm)
        chip.tear(tear)
        with pytest.raises(CardRemoved):
            work(connection, algorithm)
        chip.power_on()
        connection = opened(chip, algorithm)
        if run(purse.settle(kind, due.counter), connection) is None:
            assert tear.moment is not Moment.RENAMED
            work(connection, algorithm)
        assert run(purse.balance(), connection) == due.balance, tear
        done += 1
    tally[f"{kind.name} by the SDK ({algorithm.value})"] = done
    assert done == 3 * writes > 0


def _issue_card(chip: ChipCard, version: int) -> None:
    data = fleet.member(7, version)
    keys = CardKeys.from_store(keyring(), data.asn, version)
    run(personalise(data, keys), connect(chip))


@pytest.mark.parametrize("version", [1, SM4_VERSION], ids=["3des", "sm4"])
def test_issuing_completes(tally: dict[str, int], version: int) -> None:
    """Cut at every write of issuing: another run finishes, and the card is as any other."""
    whole = VirtualCard(uid=b"YIKA")
    start = whole.writes
    _issue_card(whole, version)
    writes = whole.writes - start
    done = 0
    for tear in positions(writes):
        card = VirtualCard(uid=b"YIKA")
        card.tear(tear)
        with pytest.raises(CardRemoved):
            _issue_card(card, version)
        _issue_card(card, version)

        assert card.memory.image == whole.memory.image, tear
        assert run(inspect(), connect(card)).state is CardState.ISSUED
        done += 1
    tally[f"issuing (version {version})"] = done
    assert done == 3 * writes > 60


def _issue_psam(chip: ChipCard) -> None:
    data = PsamData(bytes.fromhex("00005949990000000001"), bytes.fromhex("880000000001"))
    run(personalise_psam(data, PsamKeys.from_store(keyring(), data.serial, 1)), connect(chip))


def test_psam_issuing_completes(tally: dict[str, int]) -> None:
    """Cut at every write of issuing a PSAM: another run finishes it."""
    whole = VirtualPsam()
    start = whole.writes
    _issue_psam(whole)
    writes = whole.writes - start
    done = 0
    for tear in positions(writes):
        psam = VirtualPsam()
        psam.tear(tear)
        try:
            _issue_psam(psam)
        except CardRemoved:
            _finish_psam(psam)
        assert psam.memory.image == whole.memory.image, tear
        done += 1
    tally["issuing a PSAM"] = done
    assert done == 3 * writes > 0


def _finish_psam(psam: VirtualPsam) -> None:
    """Run the plan again unless the module took its last key before it was cut."""
    psam.power_on()
    if not psam.memory.image.issued:
        _issue_psam(psam)
