# SPDX-License-Identifier: Apache-2.0
"""Hostile cards against the SDK, hostile terminals against the cards: nine seconds each.

`script/fuzz` does the same for as long as asked, from any seed.
"""

from __future__ import annotations

import time
import tracemalloc

import pytest

from tests.stateful.hostile_card import OPERATIONS, honest, lie
from tests.stateful.hostile_terminal import CARDS, attack

SECONDS = 9.0
FIRST_SEED = 0
# Even a machine that is busy with other things tries so many in the time.
TRIED_MIN = 40
MEMORY_BYTES_MAX = 32 << 20


def test_sdk_survives_every_lie() -> None:
    """Whatever cards answer, operations return or raise a CardError, and always end."""
    ends = time.monotonic() + SECONDS
    seed, works = FIRST_SEED, set()
    while time.monotonic() < ends or seed < TRIED_MIN:
        liar = lie(seed)
        works.add(liar.log[0].split(" on ")[0])
        seed += 1
    assert works <= set(OPERATIONS)
    assert len(works) > len(OPERATIONS) / 2


def test_cards_survive_every_terminal() -> None:
    """Whatever terminals send, every chip answers with a status word and keeps its state."""
    ends = time.monotonic() + SECONDS
    seed, chips, done = FIRST_SEED, set(), 0
    while time.monotonic() < ends or seed < TRIED_MIN:
        vandal = attack(seed)
        chips.add(vandal.log[0].split(",")[0])
        done += sum(line.endswith("9000") for line in vandal.log)
        seed += 1
    assert chips == set(CARDS)
    assert done > seed, "hardly a command was right"


@pytest.mark.parametrize("work", OPERATIONS)
def test_each_operation_survives_silence_and_noise(work: str) -> None:
    """Each operation by itself ends against ten liars."""
    for seed in range(10):
        assert lie(seed, work).sent <= 100_000


@pytest.mark.parametrize("work", OPERATIONS)
def test_each_operation_ends_well_with_an_honest_card(work: str) -> None:
    """Without a lie each operation does its work, so that lies meet every step of it."""
    assert honest(work).sent > 0


@pytest.mark.parametrize("work", ["issue", "dump", "tap", "issue psam"])
def test_memory_stays_bounded(work: str) -> None:
    """Answers of 70 000 bytes are refused, not gathered: the peak stays below 32 MiB."""
    lie(FIRST_SEED, work)  # what is made once and kept is no part of the peak
    tracemalloc.start()
    try:
        for seed in range(5):
            lie(seed, work)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MEMORY_BYTES_MAX
