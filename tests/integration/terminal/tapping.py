# SPDX-License-Identifier: Apache-2.0
"""The terminal program as a process of its own, with a queue of people in front of the reader.

Run as `python -m tests.integration.terminal.tapping CONFIG PSAM STORE`; SIGTERM ends it.
"""

from __future__ import annotations

import itertools
import signal
import sys
import threading
from pathlib import Path

from card.readers import CardConnection
from hardware_mocks.cardos.shell import ChipCard
from keys.psam import SoftwarePsam
from keys.store import FileKeyStore
from terminal.clock import SystemClock
from terminal.config import load
from terminal.links import open_transport
from terminal.program import Parts, Program
from tests.factories import PASSPHRASE
from tests.integration.terminal.bench import connect, issue
from tests.integration.terminal.devices import HandConnection

CARDS = 8
# Between two people; enough to keep both cores of a small machine busy with taps and uploads.
GAP_S = 0.02


class Queue:
    """A reader in front of which one person follows the other."""

    name = "pcsc:Queue"

    def __init__(self, cards: list[ChipCard]) -> None:
        self._cards = itertools.cycle(cards)
        self._pause = threading.Event()

    def wait_card(self, timeout_s: float) -> bool:
        """Say that the next card is there."""
        self._pause.wait(min(timeout_s, GAP_S))
        return True

    def wait_removed(self, timeout_s: float) -> bool:
        """Say that the card has left."""
        return True

    def connect(self) -> CardConnection:
        """Power the next card."""
        return HandConnection(connect(next(self._cards)))

    def close(self) -> None:
        """Do nothing: there is no device."""


def main(config_path: Path, psam_path: Path, store_path: Path) -> None:
    """Tap until told to end."""
    config = load(config_path)
    store = FileKeyStore.open(store_path, PASSPHRASE)
    parts = Parts(
        reader=Queue([issue(store, number) for number in range(1, CARDS + 1)]),
        psam=SoftwarePsam.open(psam_path, PASSPHRASE),
        transport=open_transport(config.server),
    )
    program = Program(config, SystemClock(), parts)
    signal.signal(signal.SIGTERM, lambda *_: program.stop())
    program.run()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
