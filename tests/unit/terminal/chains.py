# SPDX-License-Identifier: Apache-2.0
"""The chain of a terminal that has just been enrolled, with a clock moved by hand."""

from __future__ import annotations

from pathlib import Path

from swipe.frames import FileHeader
from terminal.chain import Chain
from terminal.clock import Earlier, TerminalTime
from terminal.files import JOURNAL
from terminal.journal import Journal
from tests.factories import KEY_ID, TERMINAL_ID, make_identity
from tests.unit.terminal.clocks import HandClock

DRIFT_PPM = 50


def make_chain(folder: Path) -> Chain:
    """Return a chain on an empty journal in this folder; its clock is right."""
    identity = make_identity()
    Journal.create(folder / JOURNAL, FileHeader(TERMINAL_ID, KEY_ID, identity.public_key))
    clock = HandClock()
    earlier = Earlier(0, clock.utc_ms() - 1000, 0)
    return Chain(
        Journal.open(folder / JOURNAL), identity, TerminalTime(clock, DRIFT_PPM, earlier), 1
    )
