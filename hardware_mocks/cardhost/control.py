# SPDX-License-Identifier: Apache-2.0
"""The control socket of the card host: JSON lines in, JSON lines out, a thread for each client."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

LINE_BYTES_MAX = 4096
CLIENTS_MAX = 16
JOIN_TIMEOUT_S = 2.0

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
        self._clients: dict[socket.socket, threading.Thread] = {}
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

    def stop(self) -> None:
        """End `serve` soon; may be called from a signal handler or another thread."""
        with contextlib.suppress(OSError):
            self._alarm.send(b"!")

    def serve(self) -> None:
        """Answer requests until `stop`; then close everything and remove the socket file."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            try:
                while all(key.fileobj is not self._wake for key, _ in selector.select()):
                    self._accept()
            finally:
                self._close()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if len(self._clients) >= CLIENTS_MAX:
            client.close()
            return
        thread = threading.Thread(target=self._converse, args=(client,), daemon=True)
        self._clients[client] = thread
        thread.start()

    def _converse(self, client: socket.socket) -> None:
        try:
            with client, client.makefile("rb") as lines:
                while (line := lines.readline(LINE_BYTES_MAX)).endswith(b"\n"):
                    client.sendall(json.dumps(self._handler(line)).encode() + b"\n")
        except OSError:
            return  # the client went away without waiting for its answer
        finally:
            self._clients.pop(client, None)

    def _close(self) -> None:
        for client, thread in list(self._clients.items()):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            thread.join(JOIN_TIMEOUT_S)
        for sock in (self._listener, self._wake, self._alarm):
            sock.close()
        self._path.unlink(missing_ok=True)


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
