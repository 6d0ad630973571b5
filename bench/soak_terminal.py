# SPDX-License-Identifier: Apache-2.0
"""The terminal of the soak: the whole program, with cards that never stop coming.

It runs in a process of its own, so that what is measured is the program and nothing of the rig.
Cards and PSAM answer from memory; journal, uplink, notices, status and self-checks are the real
ones. Time runs a fixed number of times faster, in this process as in the server's.
"""

from __future__ import annotations

import random
import signal
import sys
import time
from pathlib import Path

from card.layouts import COMPOSITE, NO_TAP
from card.readers import CardConnection
from card.status_words import OK
from terminal.config import Config
from terminal.config_sections import ServerSection, TerminalSection, UpdateSection
from terminal.program import Parts, Program
from terminal.selftest import TableCard, TablePsam
from terminal.transport import HttpTransport

CARDS = 500
SPEED = 60  # a minute passes in a second: every card comes round after more than a minute
START_MS = 1_795_223_312_000
_UPDATE_CAPP, _READ_RECORD, _INITIALIZE = 0xDC, 0xB2, 0x50
_SERIAL_AT = slice(4, 6)


class FastClock:
    """Real time, made faster; equal in every process of this machine."""

    def __init__(self, origin_ns: int, speed: int) -> None:
        self._origin_ns = origin_ns
        self._speed = speed

    def utc_ms(self) -> int:
        """Return the hurried time of day."""
        return START_MS + self.uptime_ms()

    def uptime_ms(self) -> int:
        """Return the hurried uptime."""
        elapsed_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC) - self._origin_ns
        return 60_000 + elapsed_ns * self._speed // 1_000_000


class SoakCard(TableCard):
    """A card that remembers its last tap and counts, as a real one does."""

    atr = b"\x3b\x00"

    def __init__(self, number: int) -> None:
        super().__init__(asn=bytes.fromhex(f"00005949{number:012d}"))
        self._composite = COMPOSITE.build(NO_TAP)
        self._counter = 0

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Answer from the table, with the counter and the record of this card."""
        answer, status = super().transmit(apdu)
        ins = apdu[1]
        if ins == _UPDATE_CAPP:
            self._composite = apdu[5 : 5 + len(self._composite)]
            self._counter = (self._counter + 1) & 0x7FFF
        elif ins == _READ_RECORD:
            return self._composite, OK
        elif ins == _INITIALIZE:
            answer = answer[:4] + self._counter.to_bytes(2) + answer[6:]
        return answer, status

    def close(self) -> None:
        """Nothing to let go of."""


class SoakReader:
    """A reader on which one card after the other is laid, so many a second."""

    name = "pcsc:Soak"

    def __init__(self, per_second: float) -> None:
        self._cards = [SoakCard(number) for number in range(1, CARDS + 1)]
        self._gap_s = 1 / per_second
        self._next_s = time.monotonic()
        self._at = 0

    def wait_card(self, timeout_s: float) -> bool:
        """Wait until the next card is due."""
        left_s = self._next_s - time.monotonic()
        time.sleep(max(0.0, min(left_s, timeout_s)))
        return left_s <= timeout_s

    def wait_removed(self, timeout_s: float) -> bool:
        """Say that the card has left already."""
        return timeout_s > 0

    def connect(self) -> CardConnection:
        """Return the next card."""
        self._next_s = max(self._next_s + self._gap_s, time.monotonic() - 1)
        self._at = (self._at + 1) % CARDS
        return self._cards[self._at]

    def close(self) -> None:
        """Nothing to let go of."""


def main(folder: str, url: str, origin_ns: str, speed: str, per_second: str) -> None:
    """Run the program until SIGTERM."""
    config = Config(
        terminal=TerminalSection(name="soak", data_dir=folder),
        server=ServerSection(url=url, timeout_s=30),
        update=UpdateSection(dir=str(Path(folder) / "releases")),
    )
    parts = Parts(
        reader=SoakReader(float(per_second)),
        psam=TablePsam(),
        transport=HttpTransport(url, 30),
        rng=random.Random(1),
    )
    program = Program(config, FastClock(int(origin_ns), int(speed)), parts)
    signal.signal(signal.SIGTERM, lambda *_: program.stop())
    program.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
