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
from card.errors import (
    CardError,
    CardRemoved,
    MuteCard,
    NoPermission,
    NoReader,
    NoService,
    ReaderBusy,
)
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
# pcscd looks at its readers every 0.4 s at most. A card that stopped answering has left; if the
# service still reports one after this time, it is a new presentation that came in between.
SETTLE_S = 0.6

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
    """The bytes of one powered card.

    A card that answered its reset and then does not answer has left: reader and driver report it
    as "not transacted", as an empty answer or as removed, whichever they notice first.
    """

    def __init__(self, handle: Handle, on_left: Callable[[], None]) -> None:
        self._handle = handle
        self._on_left = on_left
        self.left = False

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        try:
            answer = self._handle.transmit(apdu)
        except (CardRemoved, MuteCard) as exc:
            self._leave()
            raise CardRemoved from exc
        if not answer:
            self._leave()
            raise CardRemoved
        response = ResponseApdu.from_bytes(answer)
        return response.data, response.sw

    def _leave(self) -> None:
        self.left = True
        self._on_left()


class PcscConnection:
    """A powered card in a PC/SC reader.

    Args:
        handle: The card.
        on_left: Told when the card turns out to have left.
    """

    def __init__(self, handle: Handle, on_left: Callable[[], None]) -> None:
        self._handle = handle
        self._raw = _RawConnection(handle, on_left)
        self._connection = T0Connection(self._raw, strip_le=handle.protocol == T0)
        self._atr = handle.atr()

    @property
    def atr(self) -> bytes:
        """The card's answer to reset."""
        return self._atr

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Send a command, return response data and status word."""
        return self._connection.transmit(apdu)

    def close(self) -> None:
        """Let go of the card and reset it, so that nothing proved stays proved."""
        self._handle.close(reset=not self._raw.left)

    def __enter__(self) -> PcscConnection:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


class PcscReader:
    """One PC/SC reader by name.

    Args:
        name: `pcsc:` and the reader's own name. It need not be there yet.
        new_context: Begins a session with the service.
        settle_s: How long the service may take to notice that a card has left.
    """

    def __init__(
        self,
        name: str,
        new_context: Callable[[], Context] = Context,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._new_context = new_context
        self._settle_s = settle_s
        self._name = name
        self._own_name = name.removeprefix(PREFIX)
        self._context: Context | None = None
        self._seen_event = 0
        self._settled_s: float | None = None  # when a card that left must have been noticed
        self._unnoticed = False

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
            self._settled_s = None
            return True

        return self._until(time.monotonic() + timeout_s, look)

    def wait_removed(self, timeout_s: float) -> bool:
        """Wait until the card last waited for has left; False if it is still there.

        A card that was taken away and put back in the meantime has left. So has one that stopped
        answering, once the service has had the time to notice: before that it would report the
        card that has left as a new one.

        Raises:
            NoReader, NoService, NoPermission: Reader or service went away. The card may lie there
                still, and nothing tells it from one laid down when they are back.
        """
        deadline = time.monotonic() + timeout_s
        settled = float("inf") if self._settled_s is None else self._settled_s
        try:
            state = self._state(STATE_UNAWARE, 0.0)
            while state & STATE_PRESENT and state >> EVENT_SHIFT == self._seen_event:
                remaining = min(deadline, settled) - time.monotonic()
                if remaining <= 0:
                    return settled <= deadline
                state = self._state(state, remaining)
        except (NoReader, NoService, NoPermission):
            self.close()
            raise
        return True

    def connect(self) -> PcscConnection:
        """Power the card and take it for this program alone.

        Raises:
            NoCard, MuteCard, ReaderBusy, NoReader, NoService, NoPermission: As they say.
        """
        deadline = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                return self._connect()
            except ReaderBusy:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(BUSY_RETRY_S)

    def _connect(self) -> PcscConnection:
        handle = self._with_context(lambda c: c.connect(self._own_name))
        try:
            if self._unnoticed:
                handle.power_again()
                self._unnoticed = False
            return PcscConnection(handle, self._note_left)
        except CardError:
            handle.close(reset=False)  # or nobody could ever take a card there again
            raise

    def close(self) -> None:
        """Give the session with the service back; the next use begins a new one."""
        context, self._context = self._context, None
        if context is not None:
            context.close()

    def _note_left(self) -> None:
        self._settled_s = time.monotonic() + self._settle_s
        self._unnoticed = True

    def _state(self, known: int, timeout_s: float) -> int:
        if self._context is None:
            self._context = self._new_context()
        return self._context.wait(self._own_name, known, round(timeout_s * 1000))

    def _with_context(self, call: Callable[[Context], T]) -> T:
        """Run a call; where the service was restarted, once more in a new session."""
        if self._context is not None:
            with contextlib.suppress(NoService):
                return call(self._context)
            self.close()
        self._context = self._new_context()
        return call(self._context)

    def _until(self, deadline: float, look: Callable[[float], bool]) -> bool:
        """Look again while reader or service are away, until the deadline."""
        while True:
            try:
                return look(deadline)
            except (NoReader, NoService, NoPermission) as error:
                if not isinstance(error, NoReader):
                    self.close()  # a service just starting or ending refuses for a moment
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
