# SPDX-License-Identifier: Apache-2.0
"""Readers behind PC/SC that survive their service: waiting, connecting, coming back.

Waiting sleeps inside the service until something changes; there is no polling while it runs. When
the service is gone there is nothing to wait on, and it is asked for a few times a second. The card
is taken exclusively and reset afterwards, so no other program reads between our commands or
inherits what we proved.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TypeVar

from card.apdu import ResponseApdu
from card.errors import CardError, MuteCard, NoReader, NoService, ReaderBusy
from card.protocol import T0Connection
from card.readers.winscard import (
    EVENT_SHIFT,
    PLUG_AND_PLAY,
    STATE_PRESENT,
    STATE_UNAWARE,
    T0,
    Context,
    Handle,
)

RETRY_S = 0.25  # how often a service that is away is asked for
BUSY_TIMEOUT_S = 2.0  # other programs look at a card for a moment; longer is a conflict
BUSY_RETRY_S = 0.1

PREFIX = "pcsc:"

T = TypeVar("T")


def list_names() -> list[str]:
    """Return the names of all PC/SC readers."""
    context = Context()
    try:
        return context.readers()
    finally:
        context.close()


class _RawConnection:
    """The bytes of one powered card, and what became of it when they stop."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        try:
            response = ResponseApdu.from_bytes(self._handle.transmit(apdu))
        except MuteCard:
            # A card pulled during a command shows as "not transacted"; asking for its state
            # raises CardRemoved then.
            self._handle.atr()
            raise
        return response.data, response.sw


class PcscConnection:
    """A powered card in a PC/SC reader."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._connection = T0Connection(_RawConnection(handle), strip_le=handle.protocol == T0)
        self._atr = handle.atr()

    @property
    def atr(self) -> bytes:
        """The card's answer to reset."""
        return self._atr

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Send a command, return response data and status word."""
        return self._connection.transmit(apdu)

    def close(self) -> None:
        """Let go of the card and reset it."""
        self._handle.close()

    def __enter__(self) -> PcscConnection:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


class PcscReader:
    """One PC/SC reader by name.

    Args:
        name: `pcsc:` and the reader's own name. It need not be there yet.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._own_name = name.removeprefix(PREFIX)
        self._context: Context | None = None
        self._seen_event = 0

    @property
    def name(self) -> str:
        """The name it was opened with."""
        return self._name

    def wait_card(self, timeout_s: float) -> bool:
        """Wait until a card is there; False if none came in time.

        Raises:
            NoService, NoReader: Still away at the end of the time.
        """

        def look(deadline: float) -> bool:
            state = self._state(STATE_UNAWARE, 0.0)
            while not state & STATE_PRESENT:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return False
                state = self._state(state, remaining)
            self._seen_event = state >> EVENT_SHIFT
            return True

        return self._until(time.monotonic() + timeout_s, look)

    def wait_removed(self, timeout_s: float) -> bool:
        """Wait until the card last waited for has left; False if it is still there.

        A card that was taken away and put back in the meantime has left. So has one whose
        reader or service went away.
        """
        deadline = time.monotonic() + timeout_s
        try:
            state = self._state(STATE_UNAWARE, 0.0)
            while state & STATE_PRESENT and state >> EVENT_SHIFT == self._seen_event:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return False
                state = self._state(state, remaining)
        except (NoReader, NoService):
            self.close()
        return True

    def connect(self) -> PcscConnection:
        """Power the card and take it for this program alone.

        Raises:
            NoCard, MuteCard, ReaderBusy, NoReader, NoService, NoPermission: As they say.
        """
        deadline = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                return PcscConnection(self._with_context(lambda c: c.connect(self._own_name)))
            except ReaderBusy:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(BUSY_RETRY_S)

    def close(self) -> None:
        """Give the session with the service back; the next use begins a new one."""
        context, self._context = self._context, None
        if context is not None:
            context.close()

    def _state(self, known: int, timeout_s: float) -> int:
        if self._context is None:
            self._context = Context()
        return self._context.wait(self._own_name, known, round(timeout_s * 1000))

    def _with_context(self, call: Callable[[Context], T]) -> T:
        """Run a call; where the service was restarted, once more in a new session."""
        if self._context is not None:
            with contextlib.suppress(NoService):
                return call(self._context)
            self.close()
        self._context = Context()
        return call(self._context)

    def _until(self, deadline: float, look: Callable[[float], bool]) -> bool:
        """Look again while reader or service are away, until the deadline."""
        while True:
            try:
                return look(deadline)
            except (NoReader, NoService) as error:
                if isinstance(error, NoService):
                    self.close()
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise
                self._wait_for_change(error, remaining)

    def _wait_for_change(self, error: CardError, remaining: float) -> None:
        if isinstance(error, NoReader) and self._context is not None:
            with contextlib.suppress(NoReader, NoService):
                # The list may have changed between the two calls, so this wait is short too.
                timeout_ms = round(min(remaining, RETRY_S) * 1000)
                self._context.wait(PLUG_AND_PLAY, STATE_UNAWARE, timeout_ms)
                return
        time.sleep(min(remaining, RETRY_S))
