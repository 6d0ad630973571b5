# SPDX-License-Identifier: Apache-2.0
"""End a box that can still speak: its last event says so, and everything is uploaded."""

from __future__ import annotations

import enum

from swipe.kinds import BatchKind, EventType
from terminal.actions import close_period
from terminal.clock import Clock
from terminal.config import Config
from terminal.courier import Exchanger, Job
from terminal.errors import TerminalError
from terminal.files import sole_writer
from terminal.report import Report, figures
from terminal.state import State
from terminal.station import open_station
from terminal.transport import Transport


class Reason(enum.IntEnum):
    """Why a box ends; the number stands in the event."""

    REPLACED = 1
    CLOSED = 2
    BROKEN = 3


class Decommissioned(TerminalError):
    """Report a terminal that was ended: it taps no more."""

    advice = ("请使用新终端", "use the new terminal")
    short = "此终端已停用|TERMINAL RETIRED"
    exit_status = 3  # `RestartPreventExitStatus` of the service: another start would end the same

    def __str__(self) -> str:
        return "此终端已停用 · this terminal was ended"


def is_ended(state: State) -> bool:
    """Say whether the journal holds the terminal's last event."""
    return int(EventType.DECOMMISSION) in state.kinds


def decommission(config: Config, clock: Clock, transport: Transport, reason: Reason) -> Report:
    """Close the service, record the end, upload everything; a second call uploads what is left.

    Raises:
        AlreadyRunning: The program holds the journal.
        ServerError, NotSaved: It broke off; do it again.
    """
    with sole_writer(config.data_dir):
        station = open_station(config, clock, transport, None)
        try:
            state = station.journal.state
            if not is_ended(state):
                if state.has_open_period:
                    close_period(station.chain)
                station.chain.record(
                    EventType.DECOMMISSION, reason=int(reason), psam_last=state.psam_last
                )
            exchanger = Exchanger(station.uplink, station.journal, station.fetcher, _do)
            exchanger.round(BatchKind.SETTLEMENT, everything=True)
            return {"reason": reason.name.lower(), **figures(station.journal.state)}
        finally:
            station.journal.close()


def _do(job: Job) -> None:
    job()
