# SPDX-License-Identifier: Apache-2.0
"""Training and pre-service by taps: applicants show the code of their electronic card.

The terminal is the real program's parts in this process, on the day clock, with its journal on
disk; what it holds goes over HTTP to the server that is running.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardware_mocks.clock import DayClock, FileClock
from keys.psam import Psam
from server.db import Database
from server.phone_cards import services as phone_cards
from server.phone_cards.services import Signer
from swipe.kinds import BatchKind
from terminal.config import Config
from terminal.config_sections import TerminalSection
from terminal.courier import Exchanger
from terminal.phone_token import present_token
from terminal.policy import Say
from terminal.station import Station, open_station
from terminal.transport import HttpTransport

PACE_MS = 2_000  # one after the other at the door
PIECE = 100  # codes asked for in one unit of work; they live for two minutes
TIMEOUT_S = 60.0
DONE = (Say.IN, Say.OUT, Say.RECORDED, Say.TRAINING)


class NotTaken(RuntimeError):
    """The terminal did not take a code as it must."""

    def __init__(self, say: Say) -> None:
        super().__init__(f"the terminal answers {say.name} to an applicant's code")


@dataclass(slots=True)
class Door:
    """The terminal at the door, and those who come by."""

    station: Station
    psam: Psam
    clock: DayClock
    database: Database
    signer: Signer

    def all_pass(self, people: Sequence[int], at_ms: int, *, training: bool = False) -> int:
        """Let everybody show a code, from an instant on; return how many did."""
        desk = self.station.desk(self.psam, training=training)
        for low in range(0, len(people), PIECE):
            piece = people[low : low + PIECE]
            for number, person in enumerate(piece, low):
                self.clock.leap_to(max(self.clock.utc_ms(), at_ms + PACE_MS * number))
                with self.database.writing() as session:
                    code = phone_cards.issue_code(session, self.signer, person, self.clock.utc_ms())
                said = present_token(desk, code.text.encode()).say
                if said not in DONE:
                    raise NotTaken(said)
        return len(people)

    def upload(self) -> None:
        """Send everything and fetch what is new."""
        exchanger = Exchanger(
            self.station.uplink, self.station.journal, self.station.fetcher, lambda job: job()
        )
        while self.station.journal.state.unsent:
            exchanger.round(BatchKind.LIVE, everything=True)

    def close(self) -> None:
        """Close the journal."""
        self.station.journal.close()


def open_door(data_dir: Path, clock: DayClock, url: str, psam: Psam) -> Station:
    """Switch the terminal on."""
    config = Config(terminal=TerminalSection(name="POS C", data_dir=str(data_dir)))
    return open_station(config, FileClock(clock.path), HttpTransport(url, TIMEOUT_S), psam)
