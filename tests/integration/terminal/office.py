# SPDX-License-Identifier: Apache-2.0
"""A small server on a real socket: stores batches, signs receipts, and misbehaves when told."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from keys.identity import Identity
from keys.suite import Suite
from keys.verify import verify
from swipe import arrays, batch, receipt
from swipe.hotlist import HotlistBitmap
from swipe.kinds import ReceiptStatus
from swipe.merkle import CompactRange
from swipe.notices import Config
from swipe.receipt import Receipt, gap_length
from swipe.requests import ENROLLED_CONTEXT, enrolled_message
from terminal.clock import Clock
from tests.factories import KEY_ID, make_identity
from tests.integration.terminal.bench import SERVER_KEY_ID

PUT_PATH = re.compile(r"/api/v1/terminals/(\d+)/batches/(\d+)")
GET_PATH = re.compile(r"/api/v1/terminals/(\d+)/(config|hotlist)(?:/since/(\d+))?")
SITE_JSON = json.dumps(
    {"site": {"id": 3, "name_zh": "莲花山公园", "name_en": "Lianhua", "tz_q": 32}}
).encode()
TOKEN = "one-time"


@dataclass
class Refusal:
    """An answer that is no success."""

    status: int
    title: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Office:
    """What the server holds for one terminal, and how it shall behave.

    `script` gives the next answers: a Refusal, or None for the normal one. `lie` changes a receipt
    before it is signed; `lose_answer` stores and then hangs up.
    """

    clock: Clock
    terminal_key: bytes
    identity: Identity = field(default_factory=lambda: make_identity("server"))
    events: dict[int, bytes] = field(default_factory=dict)
    batches: dict[int, bytes] = field(default_factory=dict)
    receipts: dict[int, bytes] = field(default_factory=dict)
    headers: list[batch.BatchHeader] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    script: list[Refusal | None] = field(default_factory=list)
    lie: Callable[[Receipt], Receipt] = lambda honest: honest
    forge: Callable[[bytes], bytes] = lambda raw: raw
    lose_answer: bool = False
    hotlist: HotlistBitmap = field(default_factory=lambda: HotlistBitmap(0, 0))
    hotlists: dict[int, HotlistBitmap] = field(default_factory=dict)
    config: Config = field(default_factory=lambda: Config(0, SITE_JSON))
    enrolled: list[dict[str, object]] = field(default_factory=list)
    log: CompactRange = field(default_factory=CompactRange)
    last_receipt: bytes | None = None
    url: str = ""
    _gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._gate.set()

    def hang(self) -> None:
        """Answer nothing until `go_on`."""
        self._gate.clear()

    def go_on(self) -> None:
        """Answer again."""
        self._gate.set()

    @contextmanager
    def open(self) -> Iterator[Office]:
        """Listen on a port of the loopback interface while the block runs."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.go_on()
            server.shutdown()
            server.server_close()
            thread.join()

    def put(self, number: int, body: bytes) -> bytes | Refusal:
        """Store a batch and return its receipt."""
        self._gate.wait(10)
        forced = self.script.pop(0) if self.script else None
        if forced is not None:
            return forced
        if number in self.batches:
            same = self.batches[number] == body
            return self.receipts[number] if same else Refusal(409, "number used")
        header, events = batch.split(body)
        if not batch.verify(header, self.terminal_key):
            return Refusal(401, "signature")
        if batch.faults(header, events, Suite.of(self.terminal_key)):
            return Refusal(422, "does not match its header")
        self.headers.append(header)
        for raw in arrays.rows(events):
            seq = int.from_bytes(raw.tobytes()[16:20])
            if self.events.setdefault(seq, raw.tobytes()) != raw.tobytes():
                return Refusal(422, "fork")
        self.batches[number] = body
        self.log.extend([raw.tobytes() for raw in arrays.event_hashes(events)])
        self.receipts[number] = self.last_receipt = self._receipt(header)
        return self.receipts[number]

    def _receipt(self, header: batch.BatchHeader) -> bytes:
        up_to = 0
        while up_to + 1 in self.events:
            up_to += 1
        later = [seq for seq in self.events if seq > up_to]
        honest = Receipt(
            terminal_id=header.terminal_id,
            batch_no=header.batch_no,
            up_to_seq=up_to,
            status=ReceiptStatus.GAP if later else ReceiptStatus.OK,
            flags=gap_length(min(later) - up_to - 1) if later else 0,
            head=header.head,
            log_size=self.log.size,
            log_root=self.log.root(),
            srv_utc_ms=self.clock.utc_ms(),
            srv_unc_ms=20,
            hot_ver=self.hotlist.version,
            cfg_ver=self.config.version,
            key_id=SERVER_KEY_ID,
            prev_receipt=Receipt.from_bytes(self.last_receipt).anchor
            if self.last_receipt
            else receipt.NO_RECEIPT,
        )
        return self.forge(receipt.sign(self.lie(honest), self.identity).to_bytes())

    def fetch(self, path: str, authorization: str) -> bytes | Refusal:
        """Answer a GET: published keys to anybody, notices to the terminal."""
        if path == "/.well-known/yika-keys.json":
            return self.keys()
        found = GET_PATH.fullmatch(path)
        return self.get(path, found[2], authorization) if found else Refusal(404)

    def get(self, path: str, name: str, authorization: str) -> bytes | Refusal:
        """Return a notice to whoever signed for it."""
        utc_ms, _, signature = authorization.removeprefix("Yika-Terminal ").partition(".")
        message = b"\0".join((b"GET", path.encode(), utc_ms.encode()))
        context = b"yika/request/1\0"
        if not verify(self.terminal_key, bytes.fromhex(signature), context, message):
            return Refusal(401, "signature")
        if name == "config":
            return self.config.to_bytes(self.identity)
        return self._hotlist(self.hotlists.get(int(path.partition("/since/")[2] or 0)))

    def _hotlist(self, held: HotlistBitmap | None) -> bytes:
        """Return the hotlist, as a change of the one that is held if it is known."""
        newest = self.hotlist.signed(self.identity)
        self.hotlists[newest.version] = newest
        return newest.to_bytes() if held is None else newest.since(held)

    def keys(self) -> bytes:
        """Return the server's public keys, as anybody may have them."""
        return json.dumps({"keys": [{"public_key": self.identity.public_key.hex()}]}).encode()

    def post(self, body: bytes) -> bytes | Refusal:
        """Enrol a terminal."""
        document = json.loads(body)
        if document["token"] != TOKEN:
            return Refusal(401, "unknown token")
        self.enrolled.append(document)
        self.terminal_key = bytes.fromhex(document["public_key"])
        answer = {
            "terminal_id": 4711,
            "key_id": KEY_ID,
            "server_key_id": SERVER_KEY_ID,
            "server_public_key": self.identity.public_key.hex(),
            "site": {"id": 3, "name_zh": "莲花山公园", "name_en": "Lianhua", "tz_q": 32},
            "tz": 32,
            "state": "pending",
        }
        numbers = (KEY_ID, SERVER_KEY_ID)
        message = enrolled_message(self.terminal_key, 4711, numbers, replaces=False)
        answer["signature"] = self.identity.sign(ENROLLED_CONTEXT, message).hex()
        return json.dumps(answer).encode()


def lying(**fields: object) -> Callable[[Receipt], Receipt]:
    """Return a lie: the receipt with other fields."""
    return lambda honest: replace(honest, **fields)  # type: ignore[arg-type]


def _handler_of(office: Office) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """One request."""

        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            """Take a batch."""
            found = PUT_PATH.fullmatch(self.path)
            answer = office.put(int(found[2]), self._body()) if found else Refusal(404)
            if office.lose_answer:
                self.close_connection = True
                return
            self._answer(answer)

        def do_GET(self) -> None:
            """Give a notice."""
            self._body()
            self._answer(office.fetch(self.path, self.headers.get("Authorization", "")))

        def do_POST(self) -> None:
            """Enrol; of updates of cards this office knows nothing."""
            body = self._body()
            enrols = self.path.endswith("/enrol")
            self._answer(office.post(body) if enrols else Refusal(404))

        def _body(self) -> bytes:
            office.requests.append((self.command, self.path, dict(self.headers)))
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _answer(self, answer: bytes | Refusal) -> None:
            if isinstance(answer, Refusal):
                body = json.dumps({"title": answer.title}).encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
            else:
                body = answer
                self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Say nothing."""

    return Handler
