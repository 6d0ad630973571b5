# SPDX-License-Identifier: Apache-2.0
"""The control socket of the card host: JSON lines in, JSON lines out, one request at a time."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

LINE_BYTES_MAX = 4096
CLIENTS_MAX = 16
SEND_TIMEOUT_S = 2.0

Handler = Callable[[bytes], dict[str, Any]]


class Control:
    """Serves a UNIX socket until it is told to stop."""

    def __init__(self, path: Path, handler: Handler) -> None:
        """Listen; a socket file that nobody listens on any more is replaced.

        Raises:
            OSError: another host listens on the path, or the folder cannot be written.
        """
        self._path = path
        self._handler = handler
        self._buffers: dict[socket.socket, bytes] = {}
        if path.is_socket() and not _somebody_listens(path):
            path.unlink()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listener.bind(str(path))
        except OSError:
            self._listener.close()
            raise
        self._listener.listen(CLIENTS_MAX)
        self._wake, self._alarm = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def stop(self) -> None:
        """End `serve` soon; may be called from a signal handler or another thread."""
        with contextlib.suppress(OSError):
            self._alarm.send(b"!")

    def serve(self) -> None:
        """Answer requests until `stop`; then close everything and remove the socket file."""
        try:
            while True:
                for key, _ in self._selector.select():
                    if key.fileobj is self._wake:
                        return
                    self._ready(key.fileobj)
        finally:
            self._close()

    def _ready(self, ready: Any) -> None:
        if ready is not self._listener:
            self._read(ready)
            return
        client, _ = self._listener.accept()
        if len(self._buffers) >= CLIENTS_MAX:
            client.close()
            return
        client.settimeout(SEND_TIMEOUT_S)
        self._buffers[client] = b""
        self._selector.register(client, selectors.EVENT_READ)

    def _read(self, client: socket.socket) -> None:
        try:
            received = client.recv(LINE_BYTES_MAX)
        except OSError:
            received = b""
        *lines, rest = (self._buffers[client] + received).split(b"\n")
        self._buffers[client] = rest
        if not received or len(rest) > LINE_BYTES_MAX or not self._answer(client, lines):
            self._selector.unregister(client)
            del self._buffers[client]
            client.close()

    def _answer(self, client: socket.socket, lines: list[bytes]) -> bool:
        for line in lines:
            answer = json.dumps(self._handler(line)).encode() + b"\n"
            try:
                client.sendall(answer)
            except OSError:
                return False
        return True

    def _close(self) -> None:
        self._selector.close()
        for sock in (*self._buffers, self._listener, self._wake, self._alarm):
            sock.close()
        self._path.unlink(missing_ok=True)


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
