# SPDX-License-Identifier: Apache-2.0
"""A relay on a free port with readers of this process, and a program that speaks HTTP to it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from card.relay.pairing import Pairing
from card.relay.policy import HOST, Gate, Rate
from card.relay.screening import Log, Policy
from card.relay.serving import Relay, RelayServer, listen
from card.relay.sessions import Sessions, Source
from hardware_mocks.cardos.cos import VirtualCard
from tests.unit.card.virtual_reader import VirtualReader, readers_with

ORIGIN = "https://yika.example.org"
READER = "virtual:desk"


@dataclass
class Watch:
    """A clock that a test moves."""

    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


@dataclass
class Rig:
    """A running relay: its address, what it showed and logged, and how to ask it."""

    port: int
    chip: VirtualCard
    clock: Watch
    sessions: Sessions
    reader: VirtualReader
    codes: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    token: str = ""

    def ask(
        self, method: str, path: str, values: Any = None, **headers: str
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Send one request; return status, document and headers."""
        head = {"Host": f"{HOST}:{self.port}", "Origin": ORIGIN}
        if method == "POST":
            head["Content-Type"] = "application/json"
        if self.token:
            head["Authorization"] = f"Bearer {self.token}"
        head |= {name.replace("_", "-"): text for name, text in headers.items()}
        connection = http.client.HTTPConnection(HOST, self.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_host=True)
            body = values if isinstance(values, bytes) else json.dumps(values or {}).encode()
            if method == "POST" and "Content-Length" not in head:
                head["Content-Length"] = str(len(body))
            for name, text in head.items():
                if text:
                    connection.putheader(name, text)
            connection.endheaders(body if method == "POST" else None)
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content or b"{}"), dict(answer.getheaders())
        finally:
            connection.close()

    def pair(self) -> None:
        """Type the code that is shown."""
        status, found, _ = self.ask("POST", "/v1/pair", {"code": self.codes[-1]})
        assert status == 200
        self.token = found["token"]

    def connect(self) -> str:
        """Begin a session with the reader."""
        status, found, _ = self.ask("POST", "/v1/reader/connect", {"reader": READER})
        assert status == 200
        return str(found["session"])


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A relay that lends one reader with a blank card."""
    listening = listen(0)
    port = listening.getsockname()[1]
    chip, clock = VirtualCard(), Watch()
    readers = readers_with(desk=chip, empty=None)
    lines: list[str] = []
    log = Log(lines.append, lambda: "now")
    reader = readers.open(READER)
    assert isinstance(reader, VirtualReader)
    sessions = Sessions(Source(readers.names, readers.open), Policy.DECLARED, log, clock)
    codes: list[str] = []
    gate = Gate(frozenset({ORIGIN}), port)
    server = RelayServer(
        Relay(gate, Pairing(codes.append, clock), sessions, Rate(clock)), listening
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield Rig(port, chip, clock, sessions, reader, codes, lines)
    finally:
        server.end()
        thread.join()
