# SPDX-License-Identifier: Apache-2.0
"""Plugs a card object into vpcd, the virtual reader driver of pcscd.

vpcd listens, the card connects; the end of the connection is the removal of the card. Every
message is a 2-byte big-endian length and that many bytes. A message of one byte is a control
byte (00 power off, 01 power on, 02 reset, 04 ask for the ATR), and only 04 is answered.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Protocol

from hardware_mocks.cardos.errors import CardGone, CardMute

HOST = "127.0.0.1"

POWER_OFF, POWER_ON, RESET = 0, 1, 2
ASK_ATR = b"\x04"
# After these the question for the ATR belongs to them; by itself it is the presence poll.
POWERING = (b"\x01", b"\x02")

# pcscd opens its ports some 40 ms after its start; a card waits for it this often.
RETRY_S = 0.05
CONNECT_TIMEOUT_S = 2.0
# A card thread ends within one round trip of its socket; more means a fault.
JOIN_TIMEOUT_S = 5.0


class Chip(Protocol):
    """What a card has to be able to do to be plugged in."""

    @property
    def atr(self) -> bytes:
        """The answer to reset."""

    def power_on(self) -> bytes:
        """Supply power."""

    def power_off(self) -> None:
        """Take power away."""

    def reset(self) -> bytes:
        """Reset."""

    def transmit(self, apdu: bytes) -> bytes:
        """Run one APDU; CardGone when the card leaves the reader, CardMute when it is silent."""


class Plug:
    """One card in one slot, served by a thread of its own until it is unplugged or gone.

    It connects again by itself when pcscd goes away and comes back. After the card has left,
    the thread stays until pcscd has *noticed*: a card that follows too fast would otherwise be
    taken for the one before it. `after` is the plug that was in the slot before.
    """

    def __init__(
        self, chip: Chip, port: int, on_gone: Callable[[Plug], None], after: Plug | None = None
    ) -> None:
        self._chip = chip
        self._port = port
        self._on_gone = on_gone
        self._after = after
        self._stopping = threading.Event()
        self._abandoned = threading.Event()
        self._seen = threading.Event()
        self._noticed = threading.Event()
        self._lock = threading.Lock()  # held while the card computes
        self._link: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name=f"card on {port}", daemon=True)

    def insert(self) -> None:
        """Push the card into the slot."""
        self._thread.start()

    def wait_seen(self, timeout_s: float) -> bool:
        """Wait until a presence poll has found this card; False after the timeout.

        A connection alone says little: the reader may not have dealt yet with the look that
        found the card before it gone, and would hand a client that one for a moment longer.
        """
        return self._seen.wait(timeout_s)

    def wait_noticed(self, timeout_s: float) -> bool:
        """Wait until the reader knows that the card has left; False after the timeout."""
        return self._noticed.wait(timeout_s)

    def remove(self) -> None:
        """Pull the card, also in the middle of a command; its image is at rest afterwards."""
        self._stopping.set()
        self._hang_up()
        with self._lock:
            self._chip.power_off()

    def abandon(self) -> None:
        """Pull the card and do not care whether the reader notices."""
        self._abandoned.set()
        self.remove()
        link = self._link
        if link:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive():
            self._thread.join(JOIN_TIMEOUT_S)

    def _hang_up(self) -> None:
        link = self._link
        if link:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_WR)

    def _run(self) -> None:
        while self._after and not self._after.wait_noticed(RETRY_S):
            if self._stopping.is_set():
                return self._await_notice()
        self._after = None
        while not self._stopping.is_set():
            link = self._dial()
            if link is None:
                self._stopping.wait(RETRY_S)
                continue
            with link:
                noticed = self._serve(link)
            if self._stopping.is_set() and not noticed:
                return self._await_notice()
        self._noticed.set()
        return None

    def _dial(self) -> socket.socket | None:
        try:
            link = socket.create_connection((HOST, self._port), CONNECT_TIMEOUT_S)
        except OSError:
            return None
        link.settimeout(None)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._link = link
        return link

    def _serve(self, link: socket.socket) -> bool:
        """Answer until the link ends; tell whether a presence poll has found the card gone."""
        polled = False
        last = b""
        while True:
            message = _receive(link)
            if message is None:
                return polled
            polled = message == ASK_ATR and last not in POWERING
            last = message
            if polled and not self._stopping.is_set():
                self._seen.set()
            answer = self._react(message)
            if answer:
                with contextlib.suppress(OSError):
                    link.sendall(len(answer).to_bytes(2, "big") + answer)

    def _react(self, message: bytes) -> bytes | None:
        with self._lock:
            if self._stopping.is_set():
                self._hang_up()
                return None
            try:
                return self._command(message)
            except CardMute as mute:
                # The driver waits for ever; the reader gives up, and the card connects again.
                self._stopping.wait(mute.seconds)
                self._hang_up()
                return None
            except CardGone:
                self._stopping.set()
                self._chip.power_off()
        # The slot is known to be empty before the reader can notice: whoever sees the card gone
        # may put the next one in at once.
        self._on_gone(self)
        self._hang_up()
        return None

    def _command(self, message: bytes) -> bytes | None:
        if len(message) != 1:
            return self._chip.transmit(message)
        if message == ASK_ATR:
            return self._chip.atr
        if message[0] == POWER_ON:
            self._chip.power_on()
        elif message[0] == RESET:
            self._chip.reset()
        elif message[0] == POWER_OFF:
            self._chip.power_off()
        return None

    def _await_notice(self) -> None:
        """Let one presence poll find an empty slot.

        When the link ended in a command, pcscd has not looked yet; the next card to connect
        would be taken for the old one. So an empty hand connects, waits for the poll, and
        withdraws without an answer.
        """
        while not self._abandoned.is_set():
            link = self._dial()
            if link is None:
                self._abandoned.wait(RETRY_S)
                continue
            with link:
                if self._abandoned.is_set() or self._serve(link):
                    break
        self._noticed.set()


def _receive(link: socket.socket) -> bytes | None:
    head = _exactly(link, 2)
    return _exactly(link, int.from_bytes(head, "big")) if head else None


def _exactly(link: socket.socket, count: int) -> bytes | None:
    """Read so many bytes, None at the end of the connection.

    vpcd sends a length and its message apart, with Nagle's algorithm on: without an immediate
    acknowledgement each APDU takes 40 ms. The option is not sticky, so it is set each time.
    """
    parts = b""
    while len(parts) < count:
        try:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            part = link.recv(count - len(parts))
        except OSError:
            return None
        if not part:
            return None
        parts += part
    return parts
