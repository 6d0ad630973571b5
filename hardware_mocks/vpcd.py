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

from hardware_mocks.cardos.errors import CardGone

HOST = "127.0.0.1"

POWER_OFF, POWER_ON, RESET, GET_ATR = 0, 1, 2, 4

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
        """Run one APDU; raises CardGone when the card leaves the reader."""


class Plug:
    """One card in one slot, served by a thread of its own until it is unplugged or gone.

    It connects again by itself when pcscd goes away and comes back.
    """

    def __init__(self, chip: Chip, port: int, on_gone: Callable[[Plug], None]) -> None:
        self._chip = chip
        self._port = port
        self._on_gone = on_gone
        self._stopping = threading.Event()
        self._connected = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name=f"card on {port}", daemon=True)

    def insert(self) -> None:
        """Push the card into the slot."""
        self._thread.start()

    def wait_connected(self, timeout_s: float) -> bool:
        """Wait until the reader has the card; False after the timeout."""
        return self._connected.wait(timeout_s)

    def remove(self) -> None:
        """Pull the card, also in the middle of a command."""
        self._stopping.set()
        with self._lock:
            if self._socket:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(JOIN_TIMEOUT_S)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                link = self._connect()
                if link is None:
                    self._stopping.wait(RETRY_S)
                    continue
                with link:
                    self._serve(link)
                self._connected.clear()
        except CardGone:
            self._stopping.set()
            self._on_gone(self)
        finally:
            self._chip.power_off()

    def _connect(self) -> socket.socket | None:
        try:
            link = socket.create_connection((HOST, self._port), CONNECT_TIMEOUT_S)
        except OSError:
            return None
        link.settimeout(None)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._socket = link
        if self._stopping.is_set():
            link.close()
            return None
        self._connected.set()
        return link

    def _serve(self, link: socket.socket) -> None:
        while not self._stopping.is_set():
            message = self._receive(link)
            if message is None:
                return
            answer = self._react(message)
            if answer is not None:
                try:
                    link.sendall(len(answer).to_bytes(2, "big") + answer)
                except OSError:
                    return

    def _react(self, message: bytes) -> bytes | None:
        if len(message) != 1:
            return self._chip.transmit(message)
        if message[0] == GET_ATR:
            return self._chip.atr
        if message[0] == POWER_ON:
            self._chip.power_on()
        elif message[0] == RESET:
            self._chip.reset()
        elif message[0] == POWER_OFF:
            self._chip.power_off()
        return None

    def _receive(self, link: socket.socket) -> bytes | None:
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
