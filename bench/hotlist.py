# SPDX-License-Identifier: Apache-2.0
"""How large a hotlist is, whole and as a change, beside eight bytes for each card."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from bench.line import Line, check, report
from keys.identity import Identity
from swipe.hotlist import OWN_PREFIX, CardSet, HotlistBitmap

CARDS = 2_000_000
SHARES = (1_000, 20_000, 200_000)
NEWLY_LOST = 10
BYTES_A_CARD = 8  # what a plain list of serials costs
SEED = 20261122


def run(quick: bool) -> Iterator[Line]:
    """Give sizes in bytes, for cards lost at random and for whole boxes."""
    identity = Identity.from_seed(bytes(32))
    dice = random.Random(SEED)
    for listed in SHARES[:2] if quick else SHARES:
        drawn = dice.sample(range(1, CARDS), listed + NEWLY_LOST)
        old = _signed(1, drawn[:listed], identity)
        new = _signed(2, drawn, identity)
        whole, change = len(new.to_bytes()), len(new.since(old))
        case = f"{listed} of {CARDS} cards"
        yield check("hotlist", f"{case}, whole", whole, "bytes",
                    limit=BYTES_A_CARD * listed, sense="max")  # fmt: skip
        yield report("hotlist", f"{case}, {NEWLY_LOST} more as a change", change, "bytes")
    box = _signed(1, range(500_000, 510_000), identity)
    yield report("hotlist", "a box of 10000 cards in a row", len(box.to_bytes()), "bytes")


def _signed(version: int, numbers: Iterable[int], identity: Identity) -> HotlistBitmap:
    serials = (OWN_PREFIX + bytes.fromhex(f"{number:016d}") for number in numbers)
    return HotlistBitmap(version, 0, CardSet.of(serials)).signed(identity)
