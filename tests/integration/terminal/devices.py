# SPDX-License-Identifier: Apache-2.0
"""Devices a test holds in its hands: a reader with a slot, a display with a memory, keys."""

from __future__ import annotations

import threading
from collections import deque

from card.errors import CardError, MuteCard, NoCard
from card.operation import Connection
from card.readers import CardConnection
from hardware_mocks.cardos.shell import ChipCard
from terminal.keypad import Key
from terminal.screen import Screen
from tests.integration.terminal.bench import connect

WAIT_S = 10.0


class HandReader:
    """A reader whose card a test lays down and takes away; `error` makes every wait fail."""

    name = "pcsc:Hand"

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._card: ChipCard | None = None
        self._mute = False
        self.strange = False
        self.error: CardError | None = None
        self.closed = False

    def lay(self, card: ChipCard, *, mute: bool = False) -> None:
        """Lay a card down."""
        with self._news:
            self._card, self._mute = card, mute
            self._news.notify_all()

    def take(self) -> None:
        """Take the card away."""
        with self._news:
            self._card = None
            self._news.notify_all()

    def wait_card(self, timeout_s: float) -> bool:
        """Wait for a card."""
        return self._wait(timeout_s, present=True)

    def wait_removed(self, timeout_s: float) -> bool:
        """Wait until the card has left."""
        return self._wait(timeout_s, present=False)

    def _wait(self, timeout_s: float, *, present: bool) -> bool:
        with self._news:
            if self.error is not None:
                raise self.error
            return self._news.wait_for(lambda: (self._card is not None) == present, timeout_s)

    def connect(self) -> CardConnection:
        """Power the card."""
        if self._card is None:
            raise NoCard
        if self._mute:
            raise MuteCard
        return StrangeConnection() if self.strange else HandConnection(connect(self._card))

    def close(self) -> None:
        """Remember it."""
        self.closed = True


class HandConnection:
    """A powered card."""

    atr = b"\x3b\x00"

    def __init__(self, inner: Connection) -> None:
        self._inner = inner

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Send a command."""
        return self._inner.transmit(apdu)

    def close(self) -> None:
        """Nothing to let go of."""


class StrangeConnection:
    """A powered card that makes the program stumble."""

    atr = b""

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Do what nobody thought of."""
        raise ZeroDivisionError

    def close(self) -> None:
        """Nothing to let go of."""


class Memory:
    """A display that remembers every screen it showed."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self.screens: list[Screen] = []

    def show(self, screen: Screen) -> None:
        """Remember a screen, unless it is shown already."""
        with self._news:
            if not self.screens or self.screens[-1] != screen:
                self.screens.append(screen)
                self._news.notify_all()

    def close(self) -> None:
        """Nothing to let go of."""

    def wait_for(self, text: str, after: int = 0) -> Screen:
        """Return the first screen from number `after` on that shows the text."""
        with self._news:
            found: list[Screen] = []

            def seen() -> bool:
                found[:] = [screen for screen in self.screens[after:] if text in str(screen)]
                return bool(found)

            if not self._news.wait_for(seen, WAIT_S):
                shown = "\n--\n".join(map(str, self.screens[after:]))
                raise AssertionError(f"never shown: {text}\n{shown}")
            return found[0]

    @property
    def count(self) -> int:
        """Return how many screens were shown."""
        with self._news:
            return len(self.screens)


class HandKeypad:
    """Keys a test presses."""

    def __init__(self) -> None:
        self._keys: deque[Key] = deque()

    def press(self, key: Key) -> None:
        """Press a key."""
        self._keys.append(key)

    def pressed(self) -> list[Key]:
        """Return the keys pressed since the last call."""
        keys = []
        while self._keys:
            keys.append(self._keys.popleft())
        return keys

    def close(self) -> None:
        """Nothing to let go of."""
