# SPDX-License-Identifier: Apache-2.0
"""The card SDK: commands of a tap, the host's share of it, issuing, and the codecs.

Virtual cards answer in process, so what is left is this SDK; the cards' own time is measured at the
connection and taken out. TLV is set beside pyemv and the layouts beside plain construct, in turns
in the same run.
"""

from __future__ import annotations

import datetime as dt
import functools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyemv.tlv

from bench.line import Line, check, report, significant
from card.card_keys import CardKeys
from card.commands import select_name
from card.files import VOLUNTEER_AID
from card.layouts import COMPOSITE, LOG_RECORD, SERVICE_DATA
from card.operation import Connection, exchange
from card.operation import run as drive
from card.personalise import personalise
from card.profile import CardData
from card.psam import PsamCard
from card.tap import TapRequest, tapping
from card.volunteer import read_composite, select
from emv.tlv import parse
from hardware_mocks.cardos.cos import VirtualCard
from keys.store import FileKeyStore
from tests.contracts.connection_cards import in_process, issued_psam, make_store

COMMANDS_MAX = 7  # six as this SDK issues them
LAYOUT_RATIO_MIN = 2.5
CARDS, QUICK_CARDS = 60, 8
TAPS, QUICK_TAPS = 1_000, 150
PASSES = 9
REPEATS, QUICK_REPEATS = 2_000, 500
NINE = 1_795_222_800
CHINA = 32


class Clocked:
    """A connection that counts its commands and the time the card takes for them."""

    def __init__(self, inner: Connection) -> None:
        self._inner = inner
        self.commands = 0
        self.card_ns = 0

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Pass the command on."""
        start = time.perf_counter_ns()
        answer = self._inner.transmit(apdu)
        self.card_ns += time.perf_counter_ns() - start
        self.commands += 1
        return answer


def run(quick: bool) -> Iterator[Line]:
    """Measure the SDK; with `quick`, on less of everything."""
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder))
        cards = [VirtualCard() for _ in range(QUICK_CARDS if quick else CARDS)]
        yield from _issuing(store, cards)
        yield from _taps(store, cards, QUICK_TAPS if quick else TAPS)
    fci = drive(exchange(select_name(VOLUNTEER_AID)), in_process(cards[0])).data
    yield from _codecs(fci, QUICK_REPEATS if quick else REPEATS)


def _data(number: int) -> CardData:
    return CardData(
        asn=bytes.fromhex(f"{number:020d}"),
        valid_from=dt.date(2026, 11, 1),
        valid_to=dt.date(2031, 10, 31),
        masked_name="王**",
        name="王小明",
        volunteer_number=f"{number:010d}",
    )


def _issuing(store: FileKeyStore, cards: list[VirtualCard]) -> Iterator[Line]:
    """Issue every card; the rate counts cards of this SDK's making, not of a chip's EEPROM."""
    commands = card_ns = writes = 0
    start = time.perf_counter_ns()
    for number, card in enumerate(cards, 1):
        data = _data(number)
        link = Clocked(in_process(card))
        keys = CardKeys.from_store(store, data.asn, data.key_version)
        writes = drive(personalise(data, keys), link).writes
        card.reset()
        commands, card_ns = link.commands, card_ns + link.card_ns
    spent = time.perf_counter_ns() - start
    host = (spent - card_ns) / len(cards)
    yield report("card", "APDUs to issue and read back a card", commands, "commands")
    yield report("card", "writes of an issued card", writes, "commands")
    yield report("card", "cards issued a minute, in process", _rate(spent, len(cards), 60), "1/min")
    yield report("card", "host for a card, its own time taken out", significant(host / 1e6), "ms")


def _taps(store: FileKeyStore, cards: list[VirtualCard], count: int) -> Iterator[Line]:
    """Tap the cards in turn through a PSAM; both chips' time is taken out."""
    slot = Clocked(in_process(issued_psam(store)))
    psam = PsamCard(slot)
    commands, host = 0, []
    for number in range(count + len(cards)):
        link = Clocked(in_process(cards[number % len(cards)]))
        request = TapRequest(psam, NINE + 60 * number, CHINA, 101, number.to_bytes(8, "big"))
        psam_ns = slot.card_ns
        start = time.perf_counter_ns()
        face = drive(select(), link)
        drive(read_composite(), link)
        drive(tapping(face.diversifier, 1 + number % 2, request), link)
        spent = time.perf_counter_ns() - start
        if number >= len(cards):  # the first round warms up
            commands = max(commands, link.commands)
            host.append((spent - link.card_ns - slot.card_ns + psam_ns) / 1000)
    host.sort()
    yield check("card", "card commands, most in a tap", commands, "commands",
                limit=COMMANDS_MAX, sense="max")  # fmt: skip
    yield report("card", "host for a tap, chips' time taken out, p50", _at(host, 0.50), "us")
    yield report("card", "host for a tap, chips' time taken out, p99", _at(host, 0.99), "us")


def _codecs(fci: bytes, repeats: int) -> Iterator[Line]:
    """Compare TLV with pyemv and the layouts with the construct they are made of."""
    actions = (functools.partial(parse, fci), functools.partial(pyemv.tlv.decode, fci))
    own, other = _least(actions, repeats)
    yield report("card", "FCI parsed, emv.tlv", _per_s(own, repeats), "1/s")
    yield report("card", "FCI parsed, pyemv", _per_s(other, repeats), "1/s")
    worst = float("inf")
    for layout in (LOG_RECORD, COMPOSITE, SERVICE_DATA):
        data = bytes.fromhex(layout.vectors[-1][0].replace(" ", ""))
        fast, slow = _least(
            (functools.partial(layout.parse, data), functools.partial(layout.table.parse, data)),
            repeats,
        )
        worst = min(worst, slow / fast)
        name = f"{layout.title} of {len(data)} bytes"
        yield report("card", f"{name}, to a dataclass", _per_s(fast, repeats), "1/s")
        yield report("card", f"{name}, plain construct", _per_s(slow, repeats), "1/s")
    case = "declared layout, to a dataclass against plain construct, least"
    yield check("card", case, significant(worst), "x",
                limit=LAYOUT_RATIO_MIN, sense="min")  # fmt: skip


def _least(actions: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Time actions in turns, so that a busy machine harms all alike; return the best of each."""
    best = [float("inf")] * len(actions)
    for _ in range(PASSES):
        for number, action in enumerate(actions):
            start = time.perf_counter()
            _many(action, repeats)
            best[number] = min(best[number], time.perf_counter() - start)
    return best


def _many(action: Callable[[], object], repeats: int) -> None:
    for _ in range(repeats):
        action()


def _per_s(seconds: float, repeats: int) -> float:
    return significant(repeats / seconds)


def _rate(spent_ns: int, count: int, seconds: int) -> float:
    return significant(count * seconds / (spent_ns / 1e9))


def _at(ordered: list[float], share: float) -> float:
    return significant(ordered[min(len(ordered) - 1, int(share * len(ordered)))])
