# SPDX-License-Identifier: Apache-2.0
"""The terminal program: wait for a card, answer it, look after everything else in between.

One thread owns the journal. The uplink runs in another and posts what must be written; it is
served only while no card is at work, so that no tap ever waits for the network.
"""

from __future__ import annotations

import logging
import sys
import threading

from terminal.announce import Announcer
from terminal.asking import Asker
from terminal.care import Care
from terminal.clock import Clock
from terminal.config import Config
from terminal.courier import Courier, Exchanger, Mailbox
from terminal.errors import NotSaved
from terminal.files import sole_writer
from terminal.loop import Around, Loop, Parts
from terminal.modes.comparison import Comparison
from terminal.policy import Say
from terminal.station import Station, open_station
from terminal.updates import UpdateCarrier

__all__ = ["Around", "Loop", "Parts", "Program"]

_LOG = logging.getLogger(__name__)

# A storage or a reader that fails is tried again after this much real time.
RETRY_S = 0.5
COURIER_END_S = 3.0
# The interpreter may not stay longer in the uplink's thread than this while a card waits.
SWITCH_INTERVAL_S = 0.001


class Program:
    """The program of one terminal, from start to SIGTERM."""

    def __init__(self, config: Config, clock: Clock, parts: Parts) -> None:
        self._config = config
        self._clock = clock
        self._parts = parts
        self._stopped = threading.Event()
        self._mailbox = Mailbox()
        self._announcer = Announcer(parts.display, parts.sounder)

    def stop(self) -> None:
        """End after the presentation in progress; may be called from a signal handler."""
        self._stopped.set()

    def run(self) -> None:
        """Run until stopped.

        Raises:
            TerminalError: It cannot start: not enrolled, running already, a foreign journal.
        """
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        with sole_writer(self._config.data_dir):
            station = self._start()
            if station is None:
                return
            try:
                self._serve(station)
            finally:
                station.journal.close()
                self._parts.close()

    def _start(self) -> Station | None:
        """Open the station; a storage that takes no data is shown and tried again."""
        while not self._stopped.is_set():
            try:
                return open_station(
                    self._config, self._clock, self._parts.transport, self._parts.psam
                )
            except NotSaved as exc:
                _LOG.error("%s", exc)
                self._announcer.say(Say.NOT_SAVED)
                self._stopped.wait(RETRY_S)
        return None

    def _serve(self, station: Station) -> None:
        carrier = UpdateCarrier(station.chain, self._parts.quick or self._parts.transport)
        asker = Asker(station.chain, self._parts.transport)
        again = station.uplink.resend
        comparison = Comparison(station.fetcher, asker, station.journal, again)
        exchanger = Exchanger(
            station.uplink, station.journal, comparison, self._mailbox.post, carrier.ask
        )
        keep_alive_s = self._config.server.keep_alive_s
        courier = Courier(exchanger, station.chain.time, self._parts.rng, keep_alive_s)
        desk = station.desk(self._parts.psam, training=self._config.terminal.training)
        desk.online = lambda: courier.standing.online
        around = Around(courier, self._mailbox, carrier, self._announcer, comparison)
        loop = Loop(self._parts, station, desk, around)
        care = Care(self._config, station, loop, self._parts.transport)
        for name in ("printer", "gps", "scanner", "sounder"):
            care.vitals.watch(name, getattr(self._parts, name))
        loop.self_test()
        courier.start()
        try:
            while not self._stopped.is_set():
                if not loop.turn():
                    self._stopped.wait(RETRY_S)
                if not care.turn():
                    break
            loop.take_notes()
        finally:
            care.end()
            self._mailbox.close()
            courier.stop(COURIER_END_S)
