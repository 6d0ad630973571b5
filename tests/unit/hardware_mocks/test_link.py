# SPDX-License-Identifier: Apache-2.0
"""The cable between a terminal and the server: whole, cut, watched, held."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hardware_mocks.link import Link, Request


class _Echo(BaseHTTPRequestHandler):
    """A server that answers a PUT with the body turned round."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[::-1])

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it)
        """Say nothing."""


@contextlib.contextmanager
def _cable() -> Iterator[Link]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with Link(server.server_address[1]).running() as link:
            yield link
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _put(link: Link, body: bytes) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", link.port, timeout=5)
    with contextlib.closing(connection):
        return _ask(connection, body)


def _ask(connection: http.client.HTTPConnection, body: bytes) -> bytes:
    connection.request("PUT", "/batch", body)
    return connection.getresponse().read()


def test_bytes_pass_unchanged() -> None:
    """A large body and its answer go through whole."""
    body = bytes(range(256)) * 800

    with _cable() as link:
        assert body[::-1] == _put(link, body)


def test_connection_carries_several_messages() -> None:
    """A kept connection is forwarded message by message."""
    with _cable() as link:
        connection = http.client.HTTPConnection("127.0.0.1", link.port, timeout=5)
        answers = [_ask(connection, body) for body in (b"one", b"two")]
        connection.close()

    assert answers == [b"eno", b"owt"]


def test_exchanges_are_kept() -> None:
    """What went by stays readable: request, status, answer."""
    with _cable() as link:
        _put(link, b"abc")
        connection = http.client.HTTPConnection("127.0.0.1", link.port, timeout=5)
        connection.request("GET", "/config")
        connection.getresponse().read()
        connection.close()

        put = link.sent("PUT")
        get = link.sent("GET")

    assert [(e.status, e.request.body, e.body) for e in put] == [(200, b"abc", b"cba")]
    assert [(e.status, e.request.path) for e in get] == [(404, "/config")]


def test_cut_cable_refuses_until_mended() -> None:
    """While it is cut nothing passes; mended, the same port works again."""
    with _cable() as link:
        port = link.port
        link.cut()
        with pytest.raises(ConnectionRefusedError):
            _put(link, b"lost")
        link.mend()

        assert _put(link, b"cba") == b"abc"
        assert port == link.port


def test_cut_breaks_open_connections() -> None:
    """A connection that was open when the cable was cut never answers again."""
    with _cable() as link:
        connection = http.client.HTTPConnection("127.0.0.1", link.port, timeout=5)
        _ask(connection, b"one")
        link.cut()
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            _ask(connection, b"two")
        connection.close()


def test_inspector_sees_a_request_before_the_server() -> None:
    """An inspector is given the whole request, ahead of the server's answer."""
    seen: list[tuple[Request, int]] = []
    with _cable() as link:
        link.inspector = lambda request: seen.append((request, len(link.exchanges)))
        _put(link, b"abc")

    assert [(r.method, r.path, r.body, n) for r, n in seen] == [("PUT", "/batch", b"abc", 0)]


def test_quiet_cable_holds_new_messages() -> None:
    """Inside the quiet block no message starts; afterwards it goes its way."""
    answers: list[bytes] = []
    with _cable() as link:
        with link.quiet(5):
            sender = threading.Thread(target=lambda: answers.append(_put(link, b"abc")))
            sender.start()
            sender.join(0.05)
            held = list(link.exchanges)
        sender.join(5)

    assert held == []
    assert answers == [b"cba"]


def test_quiet_waits_for_what_is_under_way() -> None:
    """A message that has begun ends before the block is entered, or the wait fails by name."""
    going, release = threading.Event(), threading.Event()

    def hold(_: Request) -> None:
        going.set()
        release.wait(5)

    with _cable() as link:
        link.inspector = hold
        sender = threading.Thread(target=_put, args=(link, b"abc"))
        sender.start()
        going.wait(5)
        with pytest.raises(TimeoutError, match="not quiet"), link.quiet(0.01):
            pass
        release.set()
        with link.quiet(5):
            assert len(link.exchanges) == 1
        sender.join(5)


def test_quiet_may_ask_for_a_pause() -> None:
    """With a stillness asked for, the block begins that long after the last message ended."""
    with _cable() as link:
        _put(link, b"abc")
        ended = time.monotonic()
        with link.quiet(5, still_s=0.1):
            entered = time.monotonic()

    assert entered - ended >= 0.05
