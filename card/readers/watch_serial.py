# SPDX-License-Identifier: Apache-2.0
"""Watches one slot of a serial reader by asking for its status a few times a second."""

from __future__ import annotations

import threading
from collections.abc import Callable

from card.errors import NoDriver, ReaderError
from card.readers import serial_shared
from card.readers.ccid import Icc
from card.readers.events import Event, Look, Presence, ReaderBack, ReaderLost
from card.readers.serial_ccid import Patience
from card.readers.serial_name import SerialName
from card.readers.serial_reader import POLL_S, RETRY_S
from card.readers.serial_shared import Shared

_NEVER = 1 << 62  # the count of movements is ours and does not begin again


class SerialWatch:
    """One loop over one serial reader; connections of this program may use it meanwhile.

    Args:
        report: Told of each event; may block.
        name: The reader's name.
        patience: How long the line is waited for.
    """

    def __init__(
        self, report: Callable[[Event], None], name: str, patience: Patience | None = None
    ) -> None:
        self._report = report
        self._name = name
        self._where = SerialName.parse(name)
        self._patience = patience
        self._presence = Presence(name, _NEVER)
        self._lost = False

    def run(self, stop: threading.Event) -> None:
        """Watch until told to stop.

        Raises:
            NoDriver: The library for serial lines is not installed.
        """
        while not stop.is_set():
            shared: Shared | None = None
            try:
                shared = serial_shared.acquire(self._where, self._patience)
                self._watch(shared, stop)
            except NoDriver:
                raise
            except ReaderError:
                self._lose()
                stop.wait(RETRY_S)
            finally:
                if shared is not None:
                    serial_shared.release(shared)

    def _watch(self, shared: Shared, stop: threading.Event) -> None:
        slot = self._where.slot
        while not stop.is_set():
            present = shared.ccid.icc(slot) is not Icc.ABSENT
            if self._lost:
                self._lost = False
                self._report(ReaderBack(self._name))
            count = 0 if slot else shared.ccid.movements
            for event in self._presence.look(Look(present, count)):
                self._report(event)
            stop.wait(POLL_S)

    def _lose(self) -> None:
        for event in self._presence.lose():
            self._report(event)
        if not self._lost:
            self._lost = True
            self._report(ReaderLost(self._name))
