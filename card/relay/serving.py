# SPDX-License-Identifier: Apache-2.0
"""The relay over HTTP: five requests, JSON in and out, on the loopback address.

| request | body | answer |
|---|---|---|
| GET /v1/status | | version, paired, texts; with a token the readers |
| POST /v1/pair | code | token |
| POST /v1/unpair | | the token and its sessions are ended |
| POST /v1/reader/connect | reader, wait_ms | session, atr |
| POST /v1/reader/transmit | session, commands | answers: data and status word each |
| POST /v1/reader/disconnect | session, wait_removed_ms | removed |
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from card.relay.pairing import Pairing
from card.relay.policy import BODY_BYTES_MAX, HOST, Gate, Rate
from card.relay.refusals import PROBLEM_TYPE, Refusal, malformed
from card.relay.sessions import APDU_BYTES, COMMANDS_MAX, WAIT_MAX_S, Sessions

PROTOCOL_VERSION = 1
CONNECTIONS_MAX = 16  # a page opens at most six
REQUEST_TIMEOUT_S = 10.0  # for a head or body that comes drop by drop
SWEEP_S = 5.0
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+", re.ASCII)

Answer = tuple[int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Relay:
    """What requests are answered with."""

    gate: Gate
    pairing: Pairing
    sessions: Sessions
    rate: Rate

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, origin: str
    ) -> dict[str, Any]:
        """Answer a request that the gate let pass.

        Raises:
            Refusal: Whatever is wrong with it.
        """
        if (method, path) == ("GET", "/v1/status"):
            return self._status(headers, origin)
        if (method, path) == ("POST", "/v1/pair"):
            return {"token": self.pairing.pair(_text(_values(body), "code"), origin)}
        route = _ROUTES.get(path)
        if route is None or method != "POST":
            raise Refusal(404, "not-found", "没有这个地址", "no such address")
        values = _values(body)
        return route(self, self.pairing.check(headers.get("authorization", ""), origin), values)

    def _status(self, headers: Mapping[str, str], origin: str) -> dict[str, Any]:
        known = {"relay": PROTOCOL_VERSION, "paired": False}
        if "authorization" not in headers:
            zh, en = "中继已启动，等待配对", "the relay waits for pairing"
            return {**known, "text_zh": zh, "text_en": en}
        self.pairing.check(headers["authorization"], origin)
        readers = self.sessions.readers()
        zh = f"已配对，{len(readers)} 个读卡器" if readers else "已配对，没有读卡器"
        en = f"paired, {len(readers)} reader(s)" if readers else "paired, no reader"
        return {**known, "paired": True, "text_zh": zh, "text_en": en, "readers": readers}

    def _unpair(self, mark: bytes, _values: dict[str, Any]) -> dict[str, Any]:
        self.sessions.end_of(mark)
        self.pairing.end(mark)
        return {"paired": False}

    def _connect(self, mark: bytes, values: dict[str, Any]) -> dict[str, Any]:
        connected = self.sessions.connect(
            _text(values, "reader"), mark, _seconds(values, "wait_ms")
        )
        return {"session": connected.session, "atr": connected.atr.hex().upper()}

    def _transmit(self, mark: bytes, values: dict[str, Any]) -> dict[str, Any]:
        commands = values.get("commands")
        if not isinstance(commands, list) or not 0 < len(commands) <= COMMANDS_MAX:
            raise malformed("commands")
        sent = [_apdu(text) for text in commands]
        answers = self.sessions.transmit(_text(values, "session"), mark, sent)
        return {"answers": [answer.hex().upper() for answer in answers]}

    def _disconnect(self, mark: bytes, values: dict[str, Any]) -> dict[str, Any]:
        wait_s = _seconds(values, "wait_removed_ms")
        return {"removed": self.sessions.disconnect(_text(values, "session"), mark, wait_s)}


_ROUTES: dict[str, Callable[[Relay, bytes, dict[str, Any]], dict[str, Any]]] = {
    "/v1/unpair": Relay._unpair,
    "/v1/reader/connect": Relay._connect,
    "/v1/reader/transmit": Relay._transmit,
    "/v1/reader/disconnect": Relay._disconnect,
}


def _values(body: bytes) -> dict[str, Any]:
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise malformed("body") from exc
    if not isinstance(values, dict):
        raise malformed("body")
    return values


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise malformed(name)
    return value


def _seconds(values: dict[str, Any], name: str) -> float:
    value = values.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int):
        raise malformed(name)
    if not 0 <= value <= WAIT_MAX_S * 1000:
        raise malformed(name)
    return value / 1000


def _apdu(text: object) -> bytes:
    if not isinstance(text, str) or not _HEX.fullmatch(text):
        raise malformed("commands")
    command = bytes.fromhex(text)
    if len(command) not in APDU_BYTES:
        raise malformed("commands")
    return command


class _Handler(BaseHTTPRequestHandler):
    """One connection of a page."""

    protocol_version = "HTTP/1.1"
    timeout = REQUEST_TIMEOUT_S
    disable_nagle_algorithm = True
    relay: Relay

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_OPTIONS(self) -> None:
        headers = self._headers()
        try:
            allowing = self.relay.gate.preflight(headers)
        except Refusal as refusal:
            self._send(refusal.status, refusal.to_json(), {"Content-Type": PROBLEM_TYPE})
        else:
            self._send(204, b"", allowing)

    def _handle(self) -> None:
        allowing: dict[str, str] = {}
        try:
            headers = self._headers()
            origin = self.relay.gate.check(self.command, headers)
            allowing = self.relay.gate.allowing(origin)
            if not self.relay.rate.take():
                raise Refusal(429, "too-many", "请求太多", "too many requests", retry_after_s=1)
            body = self._body(headers)
            answer = self.relay.answer(self.command, self.path, headers, body, origin)
        except Refusal as refusal:
            self.close_connection = refusal.status in (411, 413, 421)
            head = allowing | {"Content-Type": PROBLEM_TYPE}
            if refusal.status == 429:
                head["Retry-After"] = "1"
            self._send(refusal.status, refusal.to_json(), head)
        else:
            body = json.dumps(answer, ensure_ascii=False).encode()
            self._send(200, body, allowing | {"Content-Type": "application/json"})

    def _headers(self) -> dict[str, str]:
        """Return the headers; one that stands twice counts as both, and fits nothing."""
        found: dict[str, str] = {}
        for name, value in self.headers.items():
            low = name.lower()
            found[low] = f"{found[low]}, {value}" if low in found else value
        return found

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if self.command != "POST":
            return b""
        length = headers.get("content-length", "")
        if not length.isascii() or not length.isdigit():
            raise Refusal(411, "length", "缺少内容长度", "no content length")
        if int(length) > BODY_BYTES_MAX:
            raise Refusal(413, "too-large", "内容太大", "too large")
        return self.rfile.read(int(length))

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
        fixed = {
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Connection": "close" if self.close_connection else "keep-alive",
        }
        if status == 204:
            del fixed["Content-Length"]
        lines += [f"{name}: {value}" for name, value in {**fixed, **headers}.items()]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self.wfile.write(head + body)  # one write, one packet: nobody waits for another

    def send_error(
        self,
        code: int,
        message: str | None = None,
        explain: str | None = None,  # noqa: ARG002 (the library's signature)
    ) -> None:
        """Answer what is not even HTTP, or a method that is none of ours."""
        self.close_connection = True
        refusal = Refusal(code, "bad-request", "请求不合规", message or "bad request")
        self._send(code, refusal.to_json(), {"Content-Type": PROBLEM_TYPE})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the library's name)
        """Write nothing: the relay's own log says what happens."""


class RelayServer(ThreadingHTTPServer):
    """Listens, with a bound on connections, and sweeps idle sessions.

    Args:
        relay: What requests are answered with; its gate names the port, 0 is not one.
        listening: A socket bound to the loopback address, as `listen` makes it.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, relay: Relay, listening: socket.socket) -> None:
        handler = type("Handler", (_Handler,), {"relay": relay})
        super().__init__(listening.getsockname(), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.server_activate()
        self._relay = relay
        self._free = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._ended = threading.Event()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread, if there are not too many."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve it, and give its place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a page that went away in the middle."""

    def run(self) -> None:
        """Serve until `end` is called from another thread; close every reader at the end."""
        sweeper = threading.Thread(target=self._sweep, name="relay sweeper", daemon=True)
        sweeper.start()
        try:
            self.serve_forever(poll_interval=0.05)
        finally:
            self._ended.set()
            sweeper.join()
            self.server_close()
            self._relay.sessions.close()

    def end(self) -> None:
        """Stop serving."""
        self.shutdown()

    def _sweep(self) -> None:
        while not self._ended.wait(SWEEP_S):
            self._relay.sessions.sweep()


def listen(port: int) -> socket.socket:
    """Bind the loopback address; port 0 takes a free one.

    Raises:
        OSError: The port is taken.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
    except OSError:
        listening.close()
        raise
    return listening
