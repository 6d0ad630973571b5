# SPDX-License-Identifier: Apache-2.0
"""One exchange with the server without the program: upload everything, then end."""

from __future__ import annotations

from keys.identity import fingerprint
from swipe.kinds import BatchKind
from terminal.actions import close_period
from terminal.clock import Clock
from terminal.config import Config
from terminal.courier import Exchanger, Job
from terminal.files import sole_writer
from terminal.report import Report, figures
from terminal.rotation import change_key
from terminal.station import open_journal, open_station
from terminal.storage import Folder
from terminal.transport import Transport


def sync(config: Config, clock: Clock, transport: Transport, *, final: bool) -> Report:
    """Upload what is unsent and return the figures; `final` closes the service period first.

    A journal with nothing to send is left as it is: not even a start is recorded. Only a box that
    the server never answered records one, to be told the time and what is in force. With `final`
    the exchange comes to rest with every event covered by a receipt, because the last receipt
    covers book-keeping only and is stored without another event.

    Raises:
        AlreadyRunning: The program holds the journal.
        ServerError, ReceiptRefused, NotSaved: The exchange broke off; what is settled stays.
    """
    with sole_writer(config.data_dir):
        _, _, journal = open_journal(Folder(config.data_dir))
        state = journal.state
        journal.close()
        close_first = final and state.has_open_period
        idle = not (state.unsent or state.intent or close_first)
        if idle and state.receipt is not None:
            return {"batches": 0, **figures(state)}
        station = open_station(config, clock, transport, None)
        try:
            if close_first:
                close_period(station.chain)
            exchanger = Exchanger(station.uplink, station.journal, station.fetcher, _do)
            kind = BatchKind.SETTLEMENT if final else BatchKind.LIVE
            batches = exchanger.round(kind, everything=True)
            return {"batches": batches, **figures(station.journal.state)}
        finally:
            station.journal.close()


def renew_key(config: Config, clock: Clock, transport: Transport) -> Report:
    """Change the terminal's key, upload everything, and return the new key's number.

    Raises:
        AlreadyRunning: The program holds the journal.
        ServerError, NotSaved: The change or the upload broke off; do it again.
    """
    with sole_writer(config.data_dir):
        station = open_station(config, clock, transport, None)
        try:
            passport = change_key(config.data_dir, station.chain, station.passport, transport)
            exchanger = Exchanger(station.uplink, station.journal, station.fetcher, _do)
            exchanger.round(BatchKind.LIVE, everything=True)
            shown = fingerprint(station.chain.identity.public_key)
            return {"key_id": passport.key_id, "fingerprint": shown}
        finally:
            station.journal.close()


def _do(job: Job) -> None:
    job()
