# SPDX-License-Identifier: Apache-2.0
"""Cards as they come and go on any number of readers: `for event in watch_cards(): …`.

The watch has its own loops, one for all PC/SC readers and one for each serial reader. It outlives
readers that are unplugged, mute cards, and a service that is killed and started again.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from card.errors import CardError, NoReader
from card.readers import pcsc, serial_name
from card.readers.events import Event
from card.readers.watch_pcsc import PcscWatch
from card.readers.watch_serial import SerialWatch

POLL_S = 1.0  # the longest one call to the service lasts, and so the longest `close` takes
# Nobody takes events: then the loops wait, and catch up by the readers' counts.
QUEUE_MAX = 10_000
_WAKE_S = 0.2
_JOIN_S = 10.0

Loop = Callable[[threading.Event], None]


class CardWatch(Iterator[Event]):
    """An iterator of what happens at readers; ends when it is closed.

    One thread takes events; any thread may close it.
    """

    def __init__(self, readers: Sequence[str] | None = None, poll_s: float = POLL_S) -> None:
        self._events: queue.Queue[Event | CardError] = queue.Queue(QUEUE_MAX)
        self._stop = threading.Event()
        loops = _loops(self._report, readers, poll_s)
        self._threads = [
            threading.Thread(target=self._run, args=(loop,), name="card watch", daemon=True)
            for loop in loops
        ]
        for thread in self._threads:
            thread.start()

    def __next__(self) -> Event:
        """Return the next event.

        Raises:
            StopIteration: The watch is closed.
            NoDriver: A library for readers is not installed.
        """
        while not self._stop.is_set():
            event = self.next_event(_WAKE_S)
            if event is not None:
                return event
        raise StopIteration

    def next_event(self, timeout_s: float) -> Event | None:
        """Return the next event, or None if none came in time.

        Raises:
            NoDriver: A library for readers is not installed.
        """
        try:
            found = self._events.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(found, CardError):
            self.close()
            raise found
        return found

    def close(self) -> None:
        """End the watch; returns when its loops have ended."""
        self._stop.set()
        deadline = time.monotonic() + _JOIN_S
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _report(self, event: Event | CardError) -> None:
        while not self._stop.is_set():
            try:
                self._events.put(event, timeout=_WAKE_S)
            except queue.Full:
                continue
            return

    def _run(self, loop: Loop) -> None:
        try:
            loop(self._stop)
        except CardError as error:
            self._report(error)


def watch_cards(readers: Sequence[str] | None = None, poll_s: float = POLL_S) -> CardWatch:
    """Watch readers; the first events say what lies there already, and what is missing.

    Args:
        readers: Names as `open_reader` takes them; None for every PC/SC reader there is or will be.
        poll_s: The longest one call to the PC/SC service lasts, in seconds.

    Raises:
        NoReader: A name is neither `pcsc:…` nor `serial:…`.
    """
    return CardWatch(readers, poll_s)


def _loops(
    report: Callable[[Event], None], readers: Sequence[str] | None, poll_s: float
) -> list[Loop]:
    if readers is None:
        return [PcscWatch(report, None, poll_s).run]
    loops: list[Loop] = []
    wanted: list[str] = []
    for name in dict.fromkeys(readers):
        if name.startswith(serial_name.PREFIX):
            loops.append(SerialWatch(report, name).run)
        elif name.startswith(pcsc.PREFIX) and name != pcsc.PREFIX:
            wanted.append(name.removeprefix(pcsc.PREFIX))
        else:
            raise NoReader(f"{name}: expected pcsc:NAME or serial:DEVICE?model=…")
    if wanted:
        loops.append(PcscWatch(report, wanted, poll_s).run)
    return loops
