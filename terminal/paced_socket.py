# SPDX-License-Identifier: Apache-2.0
"""A socket that must keep a least pace: a peer that drips bytes ends like one that is silent.

Timeouts of a socket begin again with every byte. Here each wait is cut to what is left of an
allowance: the timeout, and as long as the bytes moved so far would take at the least pace.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from typing import Any

# 8 kbit/s: a bad mobile link still carries a batch; less than this is no link.
PACE_BYTES_S = 1_000
CHUNK = 8_192


class PacedSocket:
    """What `http.client` needs of a socket: sendall, makefile, close."""

    def __init__(
        self, inner: socket.socket, timeout_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._inner = inner
        self._timeout_s = timeout_s
        self._now = now
        self._started = now()
        self._moved = 0

    def sendall(self, data: Any) -> None:
        """Send everything; raise ``TimeoutError`` when it takes too long."""
        view = memoryview(data).cast("B")
        for at in range(0, len(view), CHUNK):
            part = view[at : at + CHUNK]
            self._inner.settimeout(self._left())
            self._inner.sendall(part)
            self._moved += len(part)

    def recv_into(self, buffer: memoryview) -> int:
        """Receive what there is; raise ``TimeoutError`` when nothing comes in time."""
        self._inner.settimeout(self._left())
        count = self._inner.recv_into(buffer)
        self._moved += count
        return count

    def makefile(self, *_mode: object) -> io.BufferedReader:
        """Return a reader on the socket."""
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """Do nothing: an answer may still be read after its connection was given up."""

    def end(self) -> None:
        """Close the socket."""
        self._inner.close()

    def _left(self) -> float:
        allowed = self._timeout_s + self._moved / PACE_BYTES_S
        left = allowed - (self._now() - self._started)
        if left <= 0:
            raise TimeoutError(f"less than {PACE_BYTES_S} bytes a second")
        return min(left, self._timeout_s)


class _Reader(io.RawIOBase):
    """The reading half, as the io library wants it."""

    def __init__(self, source: PacedSocket) -> None:
        super().__init__()
        self._source = source

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what there is."""
        return self._source.recv_into(memoryview(buffer).cast("B"))
