# SPDX-License-Identifier: Apache-2.0
"""Cards that lie: answers made up, bent, cut, blown up or repeated without end, to the whole SDK.

Whatever such a card does, an operation of the SDK returns a typed result or raises a CardError,
within a bounded number of commands.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from card import purse
from card.apply import apply
from card.attempts import AttemptGuard
from card.card_keys import CardKeys
from card.commands import select_name
from card.drivers import driver_named
from card.dump import read_dump
from card.errors import CardError, CardRemoved, MuteCard
from card.operation import COMMANDS_MAX, Connection, Operation, exchange, run
from card.personalise import inspect, personalise
from card.pin import Pin, change_pin, reload_pin, unblock_pin, verify_pin
from card.probe import probe
from card.protocol import PARTS_MAX, ByteConnection, T0Connection
from card.psam import open_psam
from card.psam_issuing import PsamData, PsamKeys, personalise_psam
from card.secure_messaging import Proof, authenticate
from card.tap import initialize, presence, prove
from card.updates import UpdateScript, Wanted, apply_update, plan_update, read_contents
from card.volunteer import DeskKeys, read_composite, read_log, select
from hardware_mocks.cardos import state
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.errors import CardGone
from hardware_mocks.cardos.iso.card import IsoCard
from hardware_mocks.cardos.iso.state import Secret
from hardware_mocks.cardos.psam import VirtualPsam
from hardware_mocks.cardos.shell import ChipCard
from hardware_mocks.cards import named, wallet
from hardware_mocks.cards.keyring import keyring
from keys.algorithm import Algorithm
from keys.handle import KeyHandle
from keys.usage import KeyUsage

# A lie of this size overflows any buffer that trusts it; no honest answer has more than 258.
HUGE = 70_000
STATUS = (0x9000, 0x61FF, 0x6100, 0x6C00, 0x6CFF, 0x63C0, 0x6982, 0x6A82, 0x6A83, 0x9303, 0x6281)
# Each command may be followed by a length repeat and GET RESPONSEs; nothing honest comes near.
SENT_MAX = COMMANDS_MAX * (PARTS_MAX + 3)
# An operation against a card in memory takes milliseconds; this is a hang.
HANG_S = 60.0
ASN = named.data_of("issued").asn


@dataclass
class Liar:
    """A card behind the connection's seam: an honest one whose answers pass through a liar."""

    chip: ChipCard
    dice: random.Random
    honesty: float
    sent: int = 0
    log: list[str] = field(default_factory=list)

    def send(self, apdu: bytes) -> bytes:
        """Answer, perhaps honestly."""
        self.sent += 1
        assert self.sent <= SENT_MAX, "commands without end"
        answer = self._honest(apdu)
        if self.dice.random() >= self.honesty:
            answer = self.dice.choice(LIES)(self, answer)
        self.log.append(f"{apdu.hex()} > {answer[:64].hex()}")
        return answer

    def _honest(self, apdu: bytes) -> bytes:
        try:
            return self.chip.transmit(apdu)
        except CardGone:
            raise CardRemoved from None


def _status(liar: Liar, answer: bytes) -> bytes:
    return answer[:-2] + liar.dice.choice(STATUS).to_bytes(2, "big")


def _only_status(liar: Liar, _answer: bytes) -> bytes:
    return liar.dice.randrange(0x10000).to_bytes(2, "big")


def _bit(liar: Liar, answer: bytes) -> bytes:
    place = liar.dice.randrange(8 * len(answer))
    bent = bytearray(answer)
    bent[place // 8] ^= 1 << place % 8
    return bytes(bent)


def _cut(liar: Liar, answer: bytes) -> bytes:
    return answer[: liar.dice.randrange(len(answer) + 1)]


def _longer(liar: Liar, answer: bytes) -> bytes:
    return liar.dice.randbytes(liar.dice.choice((1, 8, 256, HUGE))) + answer


def _made_up(liar: Liar, answer: bytes) -> bytes:
    return liar.dice.randbytes(max(len(answer) - 2, 0)) + b"\x90\x00"


def _same_byte(liar: Liar, answer: bytes) -> bytes:
    return bytes((liar.dice.choice((0x00, 0xFF, 0x7F, 0x80)),)) * (len(answer) - 2) + b"\x90\x00"


def _silent(_liar: Liar, _answer: bytes) -> bytes:
    raise MuteCard


def _gone(_liar: Liar, _answer: bytes) -> bytes:
    raise CardRemoved


LIES: tuple[Callable[[Liar, bytes], bytes], ...] = (
    _status, _status, _only_status, _bit, _bit, _cut, _longer, _made_up, _same_byte, _silent, _gone,
)  # fmt: skip


@cache
def _keys() -> CardKeys:
    return CardKeys.from_store(keyring(), ASN, 1)


def _desk() -> DeskKeys:
    return DeskKeys(_keys()[KeyUsage.DESK_READ], _keys()[KeyUsage.MAINTENANCE], ASN.hex())


def _then(*operations: Operation[object]) -> Operation[object]:
    last: object = None
    for operation in operations:
        last = yield from operation
    return last


def _order(amount: int = 7) -> purse.Order:
    return purse.Order(amount, bytes(6), bytes.fromhex("20261121"), bytes.fromhex("090000"))


def _pin() -> Pin:
    return Pin(0, wallet.PIN, "wallet/3A-00")


@cache
def _honest_dump() -> object:
    return run(read_dump(_desk()), ByteConnection(named.card("issued", contactless=True).transmit))


_U = KeyUsage
_WALLET_KEYS = {
    _U.LOAD: wallet.LOAD, _U.TAC: wallet.INTERNAL, _U.PURCHASE_SOFT: wallet.PURCHASE,
    _U.UNLOAD: wallet.UNLOAD, _U.OVERDRAFT: wallet.LIMIT, _U.CONTROL: wallet.CONTROL,
    _U.PIN_UNBLOCK: wallet.UNBLOCKING, _U.PIN_RELOAD: wallet.RELOADING,
}  # fmt: skip


def _key(usage: KeyUsage) -> KeyHandle[Any]:
    return KeyHandle(usage, 1, _WALLET_KEYS[usage], Algorithm.TDES)


def _open() -> Operation[object]:
    proof = Proof(0x00, _key(_U.CONTROL), "wallet/39-00")
    return _then(exchange(select_name(wallet.NAME)), authenticate(proof, AttemptGuard()))


@cache
def _script() -> UpdateScript:
    connection = ByteConnection(named.card("issued", contactless=True).transmit)
    found = run(read_contents(_desk(), AttemptGuard()), connection)
    return plan_update(found, Wanted(valid_to=dt.date(2035, 1, 1), level=3), dt.date(2026, 12, 1))


def _walk() -> Operation[object]:
    """Walk through what the driver of plain cards offers."""
    driver = driver_named("iso7816")
    guard, pin = AttemptGuard(), Pin(1, b"1234", "iso/1")
    return _then(
        driver.select(b"YIKA"),
        driver.verify_pin(pin, guard),
        driver.read_binary(1, 0, 16),
        driver.update_binary(1, 0, bytes(4)),
        driver.append_record(2, bytes(4)),
        driver.read_record(2, 1),
        driver.update_record(2, 1, bytes(4)),
        driver.get_challenge(),
        driver.internal_authenticate(1, bytes(8)),
        driver.change_pin(pin, b"4321", guard),
    )


def _plain_chip() -> IsoCard:
    """Return a plain card with the files that the walk reads."""
    chip = IsoCard(pins={1: Secret(b"1234")}, keys={1: Secret(bytes(16))}, contactless=True)
    for create in (
        "00E000000F620D8201388302700084 0459494B41",
        "00E00000146212820101830200018002001088010886020011",
        "00E00000176215820406010004830200028002000C88011086020000",
    ):
        assert chip.transmit(bytes.fromhex(create)) == b"\x90\x00", create
    chip.reset()
    return chip


def _half_keys() -> CardKeys:
    return CardKeys.from_store(keyring(), named.data_of("half-issued").asn, 1)


def _module(*, issued: bool) -> VirtualPsam:
    module = VirtualPsam()
    if issued:
        connection = T0Connection(ByteConnection(module.transmit))
        run(personalise_psam(_psam_data(), _psam_keys()), connection)
        module.reset()
    return module


def _psam_data() -> PsamData:
    return PsamData(bytes.fromhex("00005949990000000001"), bytes.fromhex("880000000001"))


def _psam_keys() -> PsamKeys:
    return PsamKeys.from_store(keyring(), _psam_data().serial, 1)


# What is done, and to which card.
OPERATIONS: dict[str, tuple[str, Callable[[], Operation[object]]]] = {
    "inspect": ("issued", inspect),
    "issue": ("fresh", lambda: personalise(named.data_of("issued"), _keys())),
    "issue again": ("issued", lambda: personalise(named.data_of("issued"), _keys())),
    "finish": ("half-issued", lambda: personalise(named.data_of("half-issued"), _half_keys())),
    "face": ("minor", select),
    "tap": ("issued", lambda: _then(select(), read_composite(), presence(bytes(8)),
                                    initialize(1, bytes(6)), prove(0))),
    "log": ("issued", lambda: _then(select(), read_log(_desk(), AttemptGuard()))),
    "contents": ("issued", lambda: read_contents(_desk(), AttemptGuard())),
    "dump": ("issued", lambda: read_dump(_desk())),
    "public dump": ("sm4", read_dump),
    "apply": ("issued", lambda: apply(_honest_dump(), _keys())),  # type: ignore[arg-type]
    "probe": ("issued", lambda: probe(_keys(), 1_795_222_800, 32, AttemptGuard())),
    "balance": ("wallet", purse.balance),
    "settle": ("wallet", lambda: purse.settle(purse.Kind.PURSE_PURCHASE, 0)),
    "purse log": ("wallet", lambda: _then(_open(), purse.read_purse_log())),
    "load": ("wallet", lambda: _then(_open(), purse.load(_order(), _key(_U.LOAD), _key(_U.TAC)))),
    "pay": ("wallet", lambda: _then(_open(), purse.purchase(_order(0), _key(_U.PURCHASE_SOFT), 7))),
    "unload": ("wallet", lambda: _then(_open(), purse.unload(_order(0), _key(_U.UNLOAD)))),
    "limit": ("wallet", lambda: _then(_open(), purse.set_overdraft(_order(), _key(_U.OVERDRAFT)))),
    "unblock": ("wallet", lambda: unblock_pin(_pin(), _key(_U.PIN_UNBLOCK), AttemptGuard())),
    "reload": ("wallet", lambda: reload_pin(_pin(), _key(_U.PIN_RELOAD), AttemptGuard())),
    "update": ("issued", lambda: apply_update(_script(), _desk(), AttemptGuard())),
    "iso": ("iso", _walk),
    "pin": ("wallet", lambda: verify_pin(_pin(), AttemptGuard())),
    "change pin": ("wallet", lambda: change_pin(_pin(), b"12", AttemptGuard())),
    "psam": ("issued psam", open_psam),
    "issue psam": ("psam", lambda: personalise_psam(_psam_data(), _psam_keys())),
}  # fmt: skip


@cache
def _image(name: str) -> bytes:
    return state.dump(named.card(name).memory.image)


def _chip(name: str) -> ChipCard:
    if name.endswith("psam"):
        return _module(issued=name != "psam")
    if name == "iso":
        return _plain_chip()
    chip = VirtualCard.of(_image(name), contactless=True)
    if name.startswith("wallet"):
        chip.transmit(wallet.SELECT)
    return chip


def honest(work: str) -> Liar:
    """Run one operation against a card that never lies.

    Raises:
        CardError: the operation fails by itself.
    """
    card, make = OPERATIONS[work]
    liar = Liar(_chip(card), random.Random(0), honesty=1.0)
    run(make(), T0Connection(ByteConnection(liar.send), strip_le=False))
    return liar


def lie(seed: int, work: str | None = None) -> Liar:
    """Run one operation against one liar; everything about it follows from the seed.

    Raises:
        AssertionError: the operation took commands or time without end.
        Exception: whatever the SDK must not let out; that is a finding.
    """
    dice = random.Random(seed)
    name = work or dice.choice(sorted(OPERATIONS))
    card, make = OPERATIONS[name]
    liar = Liar(_chip(card), dice, dice.choice((0.0, 0.5, 0.9, 0.97, 0.99)))
    liar.log.append(f"{name} on {card}, seed {seed}")
    connection: Connection = ByteConnection(liar.send)
    if dice.random() < 0.8:
        connection = T0Connection(connection, strip_le=False)
    started = time.monotonic()
    with contextlib.suppress(CardError):
        run(make(), connection)
    assert time.monotonic() - started < HANG_S, "an operation without end"
    return liar
