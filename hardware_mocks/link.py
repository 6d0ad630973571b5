# SPDX-License-Identifier: Apache-2.0
"""A network cable between one terminal and the server: it can be cut, watched and held still.

A TCP forwarder on the loopback interface. It passes bytes on unchanged, one HTTP message at a time
(length given by Content-Length, as both ends do), so that it can keep what went by, let a test look
at a request before the server sees it, and tell when nothing is under way.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

HEAD_BYTES_MAX = 65_536  # request or status line with all headers
BODY_BYTES_MAX = 4 * 1024 * 1024  # a batch is at most 224 192 bytes
READ_BYTES = 65_536
IDLE_TIMEOUT_S = 60.0  # a connection without traffic for this long is given up
CONNECT_TIMEOUT_S = 5.0
POLL_S = 0.05
CLOSE_TIMEOUT_S = 5.0  # an answer that the server owes may be under way when the cable is taken off
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it went over the cable."""

    method: str
    path: str
    head: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with the server's answer to it."""

    request: Request
    status: int
    body: bytes


Inspector = Callable[[Request], None]


class BadMessage(ValueError):
    """What went over the cable is not HTTP/1.1 with a Content-Length."""


class Link:
    """Forward connections from a port of its own to the server's, as long as the cable is whole."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._lock = threading.Condition()
        self._whole = True
        self._held = False
        self._busy = 0
        self._still_since = time.monotonic()
        self._open: set[socket.socket] = set()
        self._ended = False
        self._listener: socket.socket | None = None
        self.port = 0
        self.exchanges: list[Exchange] = []
        self.inspector: Inspector | None = None

    @property
    def url(self) -> str:
        """Return the address a terminal is given instead of the server's."""
        return f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def running(self) -> Iterator[Link]:
        """Forward until the block is left."""
        self._listen()
        try:
            yield self
        finally:
            self._ended = True
            self._drop()
            with self._lock:
                self._held = False
                self._lock.notify_all()
                self._lock.wait_for(lambda: not self._open, CLOSE_TIMEOUT_S)

    def cut(self) -> None:
        """Cut the cable: open connections break, new ones are refused."""
        self._drop()

    def mend(self) -> None:
        """Join the cable again, on the same port."""
        if self._listener is None:
            self._listen()

    @contextlib.contextmanager
    def quiet(self, timeout_s: float, *, still_s: float = 0.0) -> Iterator[None]:
        """Let no message start while the block runs, and enter it when none is under way.

        Args:
            timeout_s: how long to wait for the cable to be quiet.
            still_s: for how long nothing may have gone over it: longer than a talk's pauses.

        Raises:
            TimeoutError: the cable was not quiet within `timeout_s` seconds.
        """
        limit = time.monotonic() + timeout_s
        with self._lock:
            while (wait_s := self._unrest_s(still_s)) > 0:
                if time.monotonic() > limit:
                    raise TimeoutError(f"the cable was not quiet within {timeout_s} s")
                self._lock.wait(wait_s)
            self._held = True
            try:
                yield
            finally:
                self._held = False
                self._lock.notify_all()

    def _unrest_s(self, still_s: float) -> float:
        """Return how long to wait before looking again whether the cable is quiet; 0 if it is."""
        if self._busy:
            return POLL_S
        return max(0.0, self._still_since + still_s - time.monotonic())

    def sent(self, method: str) -> list[Exchange]:
        """Return the exchanges so far that began with this method."""
        with self._lock:
            return [entry for entry in self.exchanges if entry.request.method == method]

    def _listen(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        with self._lock:
            self._listener, self._whole = listener, True
        threading.Thread(
            target=self._accept, args=(listener,), name=f"link :{self.port}", daemon=True
        ).start()

    def _drop(self) -> None:
        with self._lock:
            self._whole = False
            listener, self._listener = self._listener, None
            sockets = set(self._open)
        # Only told to stop here: each thread closes its own sockets, so no number is used again.
        for end in sockets | ({listener} if listener is not None else set()):
            _shut(end)

    def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                try:
                    near, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        """Carry the messages of one connection until either side hangs up."""
        far: socket.socket | None = None
        try:
            far = socket.create_connection(("127.0.0.1", self._server_port), CONNECT_TIMEOUT_S)
            for end in (near, far):
                end.settimeout(IDLE_TIMEOUT_S)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._register(near, far):
                while self._carry(near, far):
                    pass
        except (OSError, BadMessage):
            return  # the terminal sees a broken connection, as with a real cable
        finally:
            with self._lock:
                for end in filter(None, (near, far)):
                    self._open.discard(end)
                    _shut(end)
                    end.close()
                self._lock.notify_all()

    def _register(self, near: socket.socket, far: socket.socket) -> bool:
        with self._lock:
            if self._whole and not self._ended:
                self._open |= {near, far}
                return True
            return False

    def _carry(self, near: socket.socket, far: socket.socket) -> bool:
        """Carry one request and its answer; return False when either side has hung up."""
        ready, _, _ = select.select([near, far], [], [], IDLE_TIMEOUT_S)
        first = near.recv(READ_BYTES) if near in ready and far not in ready else b""
        if not first:
            return False
        with self._lock:
            self._lock.wait_for(lambda: not self._held)
            self._busy += 1
        try:
            head, body = _read_message(near, first, body_expected=True)
            method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
            request = Request(method, path, head, body)
            if self.inspector is not None:
                self.inspector(request)
            far.sendall(head + body)
            head, body = _read_message(far, b"", body_expected=method != "HEAD")
            status = int(head.split(b" ", 2)[1])
            with self._lock:
                self.exchanges.append(Exchange(request, status, body))
            near.sendall(head + body)
        finally:
            with self._lock:
                self._busy -= 1
                self._still_since = time.monotonic()
                self._lock.notify_all()
        return True


def _read_message(end: socket.socket, start: bytes, *, body_expected: bool) -> tuple[bytes, bytes]:
    """Read one HTTP message; return its head, blank line included, and its body."""
    data = start
    while _HEAD_END not in data:
        if len(data) > HEAD_BYTES_MAX:
            raise BadMessage("head too long")
        data += _more(end)
    head, _, body = data.partition(_HEAD_END)
    length = _content_length(head) if body_expected else 0
    while len(body) < length:
        body += _more(end)
    return head + _HEAD_END, body[:length]


def _more(end: socket.socket) -> bytes:
    data = end.recv(READ_BYTES)
    if not data:
        raise BadMessage("hung up in the middle of a message")
    return data


def _content_length(head: bytes) -> int:
    lines = head.split(b"\r\n")
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"transfer-encoding":
            raise BadMessage("transfer coding without a length")
        if name.strip().lower() == b"content-length":
            length = int(value)
            if length > BODY_BYTES_MAX:
                raise BadMessage("body too long")
            return length
    return 0


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
