# SPDX-License-Identifier: Apache-2.0
"""Cards that lie: answers made up, bent, cut, blown up or repeated without end, to the whole SDK.

Whatever such a card does, an operation of the SDK returns a typed result or raises a CardError,
within a bounded number of commands.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from card import purse
from card.apply import apply
from card.attempts import AttemptGuard
from card.card_keys import CardKeys
from card.dump import read_dump
from card.errors import CardError, CardRemoved, MuteCard
from card.operation import COMMANDS_MAX, Connection, Operation, run
from card.personalise import inspect, personalise
from card.pin import Pin, change_pin, verify_pin
from card.probe import probe
from card.protocol import PARTS_MAX, ByteConnection, T0Connection
from card.psam import open_psam
from card.psam_issuing import PsamData, PsamKeys, personalise_psam
from card.tap import initialize, presence, prove
from card.updates import read_contents
from card.volunteer import DeskKeys, read_composite, read_log, select
from hardware_mocks.cardos import state
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.errors import CardGone
from hardware_mocks.cardos.psam import VirtualPsam
from hardware_mocks.cardos.shell import ChipCard
from hardware_mocks.cards import named, wallet
from hardware_mocks.cards.keyring import keyring
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


def _order() -> purse.Order:
    return purse.Order(7, bytes(6), bytes.fromhex("20261121"), bytes.fromhex("090000"))


def _pin() -> Pin:
    return Pin(0, wallet.PIN, "wallet/3A-00")


@cache
def _honest_dump() -> object:
    return run(read_dump(_desk()), ByteConnection(named.card("issued", contactless=True).transmit))


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
    "purse log": ("wallet", purse.read_purse_log),
    "pin": ("wallet", lambda: verify_pin(_pin(), AttemptGuard())),
    "change pin": ("wallet", lambda: change_pin(_pin(), b"12", AttemptGuard())),
    "psam": ("psam", open_psam),
    "issue psam": ("psam", lambda: personalise_psam(_psam_data(), _psam_keys())),
}  # fmt: skip


def _half_keys() -> CardKeys:
    return CardKeys.from_store(keyring(), named.data_of("half-issued").asn, 1)


def _psam_data() -> PsamData:
    return PsamData(bytes.fromhex("00005949990000000001"), bytes.fromhex("880000000001"))


def _psam_keys() -> PsamKeys:
    return PsamKeys.from_store(keyring(), _psam_data().serial, 1)


@cache
def _image(name: str) -> bytes:
    return state.dump(named.card(name).memory.image)


def _chip(name: str) -> ChipCard:
    if name == "psam":
        return VirtualPsam()
    chip = VirtualCard.of(_image(name), contactless=True)
    if name.startswith("wallet"):
        chip.transmit(wallet.SELECT)
    return chip


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
