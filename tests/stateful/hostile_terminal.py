# SPDX-License-Identifier: Apache-2.0
"""Terminals that do anything: to every virtual chip, which must answer and keep its state.

Whatever arrives, the chip answers with a status word and raises nothing; a refused command
changes nothing but the counters of wrong proofs, and the image can always be read back.
"""

from __future__ import annotations

import contextlib
import pickle
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from hardware_mocks.cardos import cos, psam, state
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.iso import card as iso_card
from hardware_mocks.cardos.iso import state as iso_state
from hardware_mocks.cardos.iso.card import IsoCard
from hardware_mocks.cardos.iso.state import Secret
from hardware_mocks.cardos.psam import VirtualPsam
from hardware_mocks.cardos.shell import ChipCard
from hardware_mocks.cards import named, wallet
from hardware_mocks.cards.cashier import Cashier
from keys.algorithm import Algorithm

CARDS = ("fresh", "issued", "wallet", "wallet-sm4", "blocked", "iso", "psam")
COMMANDS = 60
DONE = (0x90, 0x61, 0x62)
PSAM_HEADS = (
    (0x00, 0xA4), (0x00, 0xB0), (0x00, 0xD6), (0x00, 0x84),
    (0x84, 0xD4), (0x80, 0x70), (0x80, 0x72),
)  # fmt: skip
P = (0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x0F, 0x39, 0x80, 0x95, 0x96, 0x97, 0xAA, 0xC4, 0xC8)
LENGTHS = (0, 1, 2, 4, 5, 7, 8, 11, 14, 15, 16, 21, 22, 28, 32, 64, 200, 255)


_FILES = (
    "80E00000073F020001FFFFFF", "80E0001507280020F0F0FFFF", "80E00016072A0410F0F0FFFF",
    "80E00017072C0040F0F0FFFF", "80E00018072E0A17F0F0FFFF", "80E0000207" + "2F0208F000FF18",
    "00D6950004" + "01020304", "00B0950004", "00E200BC05" + "AA03010203", "00B2AAB800",
    "00DCAAB805" + "AA03040506", "00E200C417" + "17" * 23, "00B201C417", "800E000000",
)  # fmt: skip
_READS = ("00A40000023F00", "0084000004", "0084000008", "00B0950000", "00B2AAC800", "805C000204")
# Commands that are right in their place, by card: what an ordinary terminal sends.
RIGHT: dict[str, tuple[str, ...]] = {
    "fresh": ("80E03F000D38FFFFF0F001FFFFFFFFFFFFFF", "0084000004", "00A40000023F00",
              "80E03F01113804FFF0F095FFFFA00000000386980701", "00A40000023F01",
              "80D401000D" + "3AF0EF0133" + "12345FFFFFFFFFFF", "002000000312345F",
              "80D4010115" + "30F0FF0104" + "11" * 16, "0088000108" + "22" * 8, *_FILES),
    "issued": ("00A4040006F059494B4101", "805003020B01" + "00" * 10, "80DCAAC820AA1E" + "00" * 30,
               "805401000F" + "00" * 15, "805A000902" + "0000", "0088000108" + "11" * 8,
               "0082000108" + "33" * 8, "84D6950006" + "44" * 6, *_READS),
    "wallet": ("00A4040009A00000000386980701", "0020000003123456", "80500002" + "0B01" + "00" * 10,
               "80500501" + "0B01" + "00" * 10, "805004010701" + "00" * 6, "00D6960002ABCD",
               "805E010005" + "3456FF1234", "00E200CC10AA0E" + "00" * 14, *_READS),
    "psam": ("00A40000023F00", "00A4000002DF01", "00B0950000", "00B0960006", "0084000004",
             "00D696000600000000" + "0001", "8070000" + "01C" + "00" * 28, "807200000411223344"),
    "iso": ("00A40000023F00", "00A40004023F00", "0084000008", "0020008104" + "31323334",
            "00E000000E620C8201388302700084" + "03F05949", "00A4040002F059",
            "00E00000146212820101830200018002001088010886020010",
            "00E0000017" + "6215820406010004830200028002000C88011086020000",
            "00D6810003010203", "00B0810010", "00E2001004" + "01020304", "00B2011404",
            "0024008108" + "3132333431323334", "00E40000027000"),
}  # fmt: skip
RIGHT["wallet-sm4"] = RIGHT["wallet"]
RIGHT["blocked"] = RIGHT["issued"]


@dataclass
class Vandal:
    """One terminal at one chip; everything it does follows from its dice."""

    chip: ChipCard
    heads: tuple[tuple[int, int], ...]
    dice: random.Random
    image: Callable[[], Any]
    reduced: Callable[[Any], Any]
    right: tuple[str, ...]
    honest: Callable[[Vandal], bytes] | None = None
    log: list[str] = field(default_factory=list)

    def run(self, commands: int = COMMANDS) -> None:
        """Send commands; check each answer, and what it left behind."""
        for _ in range(commands):
            if self.dice.random() < 0.05:
                self.chip.reset()
            before = pickle.dumps(self.image())
            apdu = self._apdu()
            answer = self.chip.transmit(apdu)
            self.log.append(f"{apdu.hex()} > {answer.hex()}")
            assert 2 <= len(answer) <= 258
            if answer[-2] not in DONE:
                after = pickle.dumps(self.image())
                if after != before:
                    # Both were written by this process a moment ago.
                    left, right = pickle.loads(before), pickle.loads(after)
                    assert self.reduced(left) == self.reduced(right), "a refusal left a trace"

    def _apdu(self) -> bytes:
        dice = self.dice
        chance = dice.random()
        if chance < 0.1:
            return dice.randbytes(dice.randrange(1, 40))
        if chance < 0.3 and self.honest:
            return self._bent(self.honest(self))
        if chance < 0.7:
            return self._bent(bytes.fromhex(dice.choice(self.right)))
        head = bytes(dice.choice(self.heads))
        p1p2 = bytes((self._p(), self._p()))
        data = dice.randbytes(dice.choice(LENGTHS))
        body = bytes((len(data),)) + data if data else b""
        return head + p1p2 + body + dice.choice((b"", b"", b"\x00", b"\x04", b"\x08", b"\x10"))

    def _p(self) -> int:
        return self.dice.choice(P) if self.dice.random() < 0.8 else self.dice.randrange(256)

    def _bent(self, apdu: bytes) -> bytes:
        """Pass a right command on, or one with a bit changed."""
        if self.dice.random() < 0.7:
            return apdu
        place = self.dice.randrange(8 * len(apdu))
        bent = bytearray(apdu)
        bent[place // 8] ^= 1 << place % 8
        return bytes(bent)


def _without_tries(image: state.CardImage) -> Any:
    """Return a copy in which wrong proofs have left no mark: they are meant to."""
    copy = state.load(state.dump(image))
    waiting = [copy.mf] if copy.mf else []
    while waiting:
        df = waiting.pop()
        waiting += df.children.values()
        df.block = 0 if df.block == 2 else df.block
        for key in df.key_file.keys if df.key_file else ():
            if key.kind in state.COUNTED_KEYS:
                key.fourth &= 0xF0
    return copy


def _psam_without_tries(image: psam.PsamImage) -> Any:
    copy = psam.load(psam.dump(image))
    copy.control_tries = copy.mac2_wrong = 0
    return copy


def _iso_without_tries(image: iso_state.IsoImage) -> Any:
    copy = iso_state.load(iso_state.dump(image))
    for secret in (*copy.pins.values(), *copy.keys.values()):
        secret.left = secret.unblock_left = 0
    return copy


def _wallet_command(vandal: Vandal) -> bytes:
    """Return the last command of something a cashier would rightly do."""
    sm4 = vandal.log[0].startswith("wallet-sm4")
    algorithm = Algorithm.SM4 if sm4 else Algorithm.TDES
    cashier = Cashier(_Eavesdropper(vandal.chip), algorithm)
    works: tuple[Callable[[], object], ...] = (
        cashier.select,
        cashier.verify_pin,
        lambda: cashier.load(9),
        lambda: cashier.purchase(3),
        lambda: cashier.unload(2),
        lambda: cashier.set_limit(5),
        lambda: cashier.unblock_pin(wallet.PIN),
        cashier.authenticate,
    )
    # Where the chip stands elsewhere, the cashier cannot believe its MAC.
    with contextlib.suppress(AssertionError):
        vandal.dice.choice(works)()
    return cashier.sent[-1]


class _Eavesdropper:
    """Lets a cashier speak to the chip up to its last command but one."""

    def __init__(self, chip: ChipCard) -> None:
        self._chip = chip

    def transmit(self, apdu: bytes) -> bytes:
        """Pass on what prepares; hold back what would write."""
        if apdu[1] in (0x52, 0x54, 0x58, 0x24):
            return b"\x6f\x00"
        return self._chip.transmit(apdu)


@cache
def _image(name: str) -> bytes:
    return state.dump(named.card(name).memory.image)


def vandal(seed: int) -> Vandal:
    """Put a chip before a terminal; which and what follows from the seed."""
    dice = random.Random(seed)
    name = dice.choice(CARDS)
    contactless = dice.random() < 0.7
    chip: VirtualPsam | IsoCard | VirtualCard
    heads, reduced = tuple(sorted(cos.COMMANDS)), _without_tries
    if name == "psam":
        chip, heads, reduced = VirtualPsam(random=dice.randbytes), PSAM_HEADS, _psam_without_tries
    elif name == "iso":
        chip = _plain(dice, contactless=contactless)
        heads, reduced = tuple((0x00, ins) for ins in iso_card.COMMANDS), _iso_without_tries
    else:
        chip = VirtualCard.of(_image(name), contactless=contactless)
        chip.transmit(bytes.fromhex(SELECT) if name == "issued" else wallet.SELECT)
    found = Vandal(chip, heads, dice, lambda: chip.memory.image, reduced, RIGHT[name])
    if name.startswith("wallet") and contactless:
        found.honest = _wallet_command
    found.log.append(f"{name}, seed {seed}")
    return found


def _plain(dice: random.Random, *, contactless: bool) -> IsoCard:
    pins, keys = {1: Secret(b"1234", b"87654321")}, {2: Secret(bytes(16))}
    return IsoCard(pins=pins, keys=keys, contactless=contactless, random=dice.randbytes)


SELECT = "00A4040006F059494B4101"


def attack(seed: int) -> Vandal:
    """Let a terminal loose on a chip.

    Raises:
        AssertionError: an answer is no answer, or a refusal changed the chip.
        Exception: whatever the chip must not raise; that is a finding.
    """
    found = vandal(seed)
    found.run()
    return found
