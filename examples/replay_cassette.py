#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Record a card once, replay it strictly for ever: a test of your program without a card.

    python -m examples.replay_cassette FOLDER

A program that sends another byte than was recorded stops with both commands in the error.
"""

from __future__ import annotations

import sys
from pathlib import Path

from card import trace_file
from card.cassette import Player, minimise
from card.commands import get_challenge
from card.errors import CassetteMismatch
from card.operation import exchange, run
from card.trace import Trace
from card.volunteer import VolunteerCard
from hardware_mocks.cards import named
from hardware_mocks.cards.connection import connect


class Virtual:
    """A virtual card with an answer to reset, as a reader's connection has one."""

    atr = bytes.fromhex("3B6800")

    def __init__(self) -> None:
        self._inner = connect(named.card("issued"))
        self.transmit = self._inner.transmit

    def close(self) -> None:
        """Let go of nothing."""


def main(folder: Path) -> None:
    """Record, replay, and see a difference."""
    trace = Trace("virtual")
    face = VolunteerCard(trace.watch(Virtual())).identity()
    trace_file.save(trace.tape(), folder / "card.trace")

    player = Player(trace_file.load(folder / "card.trace"))
    assert VolunteerCard(player).identity() == face
    player.finish()
    try:
        run(exchange(get_challenge()), Player(trace.tape()))
    except CassetteMismatch as error:
        print(error)
    print("最短失败序列 shortest failing part:", minimise(range(100), lambda p: {7, 40} <= set(p)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
