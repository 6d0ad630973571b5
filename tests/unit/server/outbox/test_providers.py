# SPDX-License-Identifier: Apache-2.0
"""A folder and an HTTP gateway on this machine take messages."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from server.errors import ConfigError
from server.outbox.providers import Folder, Gateway, Parcel

PARCEL = Parcel("ab" * 16, "sms", "13800138000", "【义卡】您好")


class Desk(ThreadingHTTPServer):
    """A gateway that notes what it hears and answers as told; status 0 hangs up."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hearing)
        self.status = 202
        self.heard: list[tuple[dict[str, str], dict[str, str]]] = []

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.server_port}/send"


class Hearing(BaseHTTPRequestHandler):
    """One call."""

    server: Desk

    def do_POST(self) -> None:
        """Note headers and document, then answer."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append((dict(self.headers), json.loads(body)))
        if self.server.status:
            self.send_response(self.server.status)
            self.end_headers()
            self.wfile.write(b'{"id": "m-1"}')

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A gateway on a free port."""
    opened = Desk()
    thread = threading.Thread(target=opened.serve_forever)
    thread.start()
    yield opened
    opened.shutdown()
    thread.join()
    opened.server_close()


def test_a_gateway_gets_text_address_and_reference(desk: Desk) -> None:
    """The reference is in the document and in the idempotency key; the token in its header."""
    answer = Gateway(desk.url, "secret", repeatable=True).send(PARCEL)
    assert answer.sent
    headers, document = desk.heard[0]
    assert document == {"reference": "ab" * 16, "to": "13800138000", "text": "【义卡】您好"}
    assert headers["Idempotency-Key"] == "ab" * 16
    assert headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("status", "again"), [(400, False), (404, False), (429, True), (503, True)]
)
def test_an_answer_decides_on_another_try(desk: Desk, status: int, again: bool) -> None:
    """A refusal is final, a busy gateway is asked again."""
    desk.status = status
    answer = Gateway(desk.url, "", repeatable=False).send(PARCEL)
    assert (answer.sent, answer.again) == (False, again)
    assert answer.outcome.startswith(f"HTTP {status}")


@pytest.mark.parametrize("repeatable", [True, False])
def test_no_answer_is_repeated_only_where_it_is_safe(desk: Desk, repeatable: bool) -> None:
    """A gateway that hangs up may have sent it: only one that knows references hears it again."""
    desk.status = 0
    answer = Gateway(desk.url, "", repeatable=repeatable).send(PARCEL)
    assert (answer.sent, answer.again) == (False, repeatable)


def test_a_gateway_that_is_not_there_is_asked_again() -> None:
    """Nothing went out when there was no connection."""
    with socket.socket() as silent:  # holds the port, and listens to nobody
        silent.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        answer = Gateway(url, "", repeatable=False).send(PARCEL)
    assert (answer.sent, answer.again) == (False, True)


@pytest.mark.parametrize("url", ["", "ftp://a/b", "http://example.org/x", "https:///x"])
def test_an_address_in_the_clear_is_refused(url: str) -> None:
    """Numbers of people leave this machine over TLS only."""
    with pytest.raises(ConfigError):
        Gateway(url, "", repeatable=False)


def test_a_folder_gets_one_whole_file(tmp_path: Path) -> None:
    """The file has its name when it is complete, and is nobody else's to read."""
    folder = Folder(tmp_path / "out")
    assert folder.send(PARCEL).sent
    assert folder.send(PARCEL).sent
    (made,) = (tmp_path / "out").iterdir()
    assert made.name == f"{'ab' * 16}.json"
    assert made.stat().st_mode & 0o777 == 0o600
    assert json.loads(made.read_text(encoding="utf-8"))["text"] == "【义卡】您好"


def test_a_folder_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    """A full or missing disk loses nothing."""
    (tmp_path / "out").write_text("a file")
    answer = Folder(tmp_path / "out").send(PARCEL)
    assert (answer.sent, answer.again) == (False, True)
