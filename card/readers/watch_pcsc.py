# SPDX-License-Identifier: Apache-2.0
"""Watches all PC/SC readers in one call of the service, and goes on when the service comes back."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection

from card.errors import NoPermission, NoReader, NoService, ReaderError
from card.readers.events import (
    Event,
    Look,
    Presence,
    ReaderBack,
    ReaderLost,
    ServiceBack,
    ServiceLost,
)
from card.readers.pcsc import PREFIX
from card.readers.winscard import (
    EVENT_SHIFT,
    PLUG_AND_PLAY,
    STATE_CHANGED,
    STATE_MUTE,
    STATE_PRESENT,
    STATE_UNAVAILABLE,
    STATE_UNAWARE,
    STATE_UNKNOWN,
    Context,
)

RETRY_S = 0.1  # how often a service that is away is asked for
_COUNTS = 1 << 16
_GONE = STATE_UNKNOWN | STATE_UNAVAILABLE

Report = Callable[[Event], None]


class PcscWatch:
    """One loop over any number of PC/SC readers.

    Args:
        report: Told of each event; may block.
        wanted: Own names of the readers to watch; None for all that are or will be there.
        poll_s: How long one call to the service lasts at most.
        new_context: Begins a session with the service.
    """

    def __init__(
        self,
        report: Report,
        wanted: Collection[str] | None,
        poll_s: float,
        new_context: Callable[[], Context] = Context,
    ) -> None:
        self._report = report
        self._wanted = None if wanted is None else tuple(dict.fromkeys(wanted))
        self._poll_ms = round(poll_s * 1000)
        self._new_context = new_context
        self._service: bool | None = None
        self._lost: set[str] = set()
        self._first_look = True
        self._readers: dict[str, Presence] = {}
        self._states: dict[str, int] = {}

    def run(self, stop: threading.Event) -> None:
        """Watch until told to stop.

        Raises:
            NoDriver: The library for PC/SC is not installed.
        """
        while not stop.is_set():
            try:
                context = self._new_context()
            except (NoService, NoPermission):
                self._lose_service()
                stop.wait(RETRY_S)
                continue
            try:
                self._watch(context, stop)
            except (NoService, NoPermission):
                self._lose_service()
            finally:
                with contextlib.suppress(ReaderError):
                    context.close()

    def _watch(self, context: Context, stop: threading.Event) -> None:
        states_pnp = STATE_UNAWARE
        while not stop.is_set():
            names = context.readers()
            self._find_service()
            self._reconcile(names)
            asked = [(name, self._states[name]) for name in self._readers]
            try:
                found = context.wait_any([*asked, (PLUG_AND_PLAY, states_pnp)], self._poll_ms)
            except NoReader:  # one left between the two calls
                stop.wait(RETRY_S)
                continue
            if found is None:
                continue
            states_pnp = found[-1][0] & ~STATE_CHANGED
            for (name, _), (state, atr) in zip(asked, found, strict=False):
                self._look(name, state, atr)
            if any(state & _GONE for state, _ in found):
                stop.wait(RETRY_S)  # the list of readers may lag behind

    def _look(self, name: str, state: int, atr: bytes) -> None:
        if state & _GONE:
            self._lose_reader(name)
            return
        self._states[name] = state & ~STATE_CHANGED
        mute = bool(state & STATE_MUTE)
        look = Look(bool(state & STATE_PRESENT), state >> EVENT_SHIFT, atr, mute)
        self._tell(self._readers[name].look(look))

    def _reconcile(self, names: list[str]) -> None:
        """Take in readers that came and let go of those that went."""
        there = [name for name in names if self._wanted is None or name in self._wanted]
        for name in there:
            if name not in self._readers:
                self._readers[name] = Presence(PREFIX + name, _COUNTS)
                self._states[name] = STATE_UNAWARE
                if name in self._lost or (self._wanted is None and not self._first_look):
                    self._report(ReaderBack(PREFIX + name))
                self._lost.discard(name)
        for name in [name for name in self._readers if name not in there]:
            self._lose_reader(name)
        for name in self._wanted or ():
            if name not in self._readers and name not in self._lost:
                self._lost.add(name)
                self._report(ReaderLost(PREFIX + name))
        self._first_look = False

    def _lose_reader(self, name: str) -> None:
        self._states.pop(name, None)
        self._tell(self._readers.pop(name).lose())
        self._lost.add(name)
        self._report(ReaderLost(PREFIX + name))

    def _lose_service(self) -> None:
        if self._service is False:
            return
        for name in self._readers:
            self._tell(self._readers[name].lose())
        self._readers.clear()
        self._states.clear()
        self._lost.clear()
        self._first_look = True
        self._service = False
        self._report(ServiceLost())

    def _find_service(self) -> None:
        if self._service is False:
            self._report(ServiceBack())
        self._service = True

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            self._report(event)
