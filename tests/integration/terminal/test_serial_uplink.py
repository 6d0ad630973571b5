# SPDX-License-Identifier: Apache-2.0
"""A terminal without a network behind a gateway: over noise, cuts and lies, exact or nothing."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from hardware_mocks.serial_cable import QUIET, Noise, SerialCable
from keys.store import FileKeyStore
from swipe.kinds import BatchKind
from swipe.serial_link import Frame, FrameDecoder, Kind
from terminal.cli import cli
from terminal.config_sections import ServerSection
from terminal.errors import BadAnswer, Refused, ServerError, Unreachable, Untrusted
from terminal.gateway import Gateway
from terminal.links import open_transport
from terminal.serial_line import SerialLine
from terminal.serial_messages import (
    BadMessage,
    answer_bytes,
    fault_bytes,
    read_answer,
    read_request,
    request_bytes,
)
from terminal.serial_uplink import SerialTransport
from terminal.transport import HttpTransport, Request, Transport
from terminal.uplink import Uplink
from tests.integration.terminal.bench import Bench, issue
from tests.integration.terminal.office import Office

# How long silence lasts before an exchange has failed; a loaded machine keeps within it.
PATIENT_S = 20.0
NOISY = Noise(flip=0.0004, lose=0.0004, double=0.0004, swap=0.0004, cut=0.01)
PATH = "/api/v1/terminals/7/config"
ROOT = Path(__file__).parents[3]


@dataclass
class Echo:
    """A server that answers each request with its body turned round; keeps what it saw."""

    seen: list[Request] = field(default_factory=list)
    error: ServerError | None = None
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def send(self, request: Request) -> bytes:
        """Answer."""
        self.gate.wait(PATIENT_S)
        self.seen.append(request)
        if self.error is not None:
            raise self.error
        return request.body[::-1]


@contextmanager
def joined(
    folder: Path, server: Transport, noise: Noise = QUIET, patience_s: float = PATIENT_S
) -> Iterator[tuple[SerialTransport, SerialCable, Gateway]]:
    """A terminal's transport, the cable, and a gateway that serves it."""
    cable = SerialCable(folder, noise)
    far = SerialLine("tty:" + cable.device("gateway"))
    near = SerialLine("tty:" + cable.device("terminal"))
    gateway = Gateway(far, server)
    thread = threading.Thread(target=gateway.run, name="gateway", daemon=True)
    with cable.running():
        for line in (near, far):  # opening forgets what has come in: it is over before we begin
            line.read(1)
        thread.start()
        try:
            yield SerialTransport(near, patience_s), cable, gateway
        finally:
            gateway.stop()
            thread.join(PATIENT_S)
            near.close()
            far.close()


def put(body: bytes) -> Request:
    """Return a request with a body."""
    return Request("PUT", PATH, body, "application/octet-stream", "Yika-Terminal 1.ff", 7)


@pytest.mark.parametrize("size", [0, 1, 239, 240, 241, 50_000])
def test_a_request_and_its_answer_cross_the_line(tmp_path: Path, size: int) -> None:
    """Method, path, headers and body arrive as they were, and so does the answer."""
    body = random.Random(size).randbytes(size)
    server = Echo()
    with joined(tmp_path, server) as (transport, _, gateway):
        assert transport.send(put(body)) == body[::-1]
        assert gateway.forwarded == 1

    assert server.seen == [put(body)]


def test_noise_changes_nothing(tmp_path: Path) -> None:
    """With flipped, lost, doubled and swapped bytes and cut frames, every answer is exact."""
    rng = random.Random(5)
    server = Echo()
    with joined(tmp_path, server, NOISY) as (transport, _, _):
        for size in (100, 4_000, 10):
            body = rng.randbytes(size)
            assert until_answered(transport, put(body)) == body[::-1]

    assert {len(request.body) for request in server.seen} == {100, 4_000, 10}


class Broken:
    """A way to the server with a fault of its own."""

    def send(self, _request: Request) -> bytes:
        """Fail as no transport should."""
        raise RuntimeError("a fault of the program")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_gateway_that_fails_leaves_nobody_waiting(tmp_path: Path) -> None:
    """Whatever breaks at the gateway, the terminal hears of it instead of being told to wait."""
    with joined(tmp_path, Broken()) as (transport, _, gateway):
        with pytest.raises(BadAnswer, match="gateway"):
            transport.send(put(b"x"))
        assert gateway.forwarded == 1


def until_answered(transport: Transport, request: Request) -> bytes:
    """Ask until there is an answer, as the uplink does."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return transport.send(request)
        except Unreachable:
            assert time.monotonic() < deadline


def test_a_cable_that_is_pulled_and_put_back(tmp_path: Path) -> None:
    """Without a cable the server is unreachable; with it the next attempt works by itself."""
    with joined(tmp_path, Echo(), patience_s=0.3) as (transport, cable, _):
        for number in range(3):
            cable.pull()
            with pytest.raises(Unreachable):
                transport.send(put(b"lost"))
            cable.plug()
            body = bytes([number]) * 700
            assert until_answered(transport, put(body)) == body[::-1]


@pytest.mark.parametrize(
    "error",
    [
        Refused(409, "number used"),
        Refused(503, "", 12.0),
        Unreachable("no route", sent=False),
        Untrusted("pin"),
        BadAnswer("cut short"),
    ],
)
def test_what_the_gateway_met_is_told(tmp_path: Path, error: ServerError) -> None:
    """Refusals and faults at the server's side come through as what they are."""
    link = joined(tmp_path, Echo(error=error))
    with link as (transport, _, _), pytest.raises(type(error)) as caught:
        transport.send(put(b"x"))

    if isinstance(caught.value, Refused) and isinstance(error, Refused):
        assert caught.value.args == error.args
        assert caught.value.retry_after_s == error.retry_after_s
    if isinstance(caught.value, Unreachable):
        assert not caught.value.sent


def test_a_slow_server_is_waited_for(tmp_path: Path) -> None:
    """While the server thinks, the gateway says so, and the terminal does not give up."""
    server = Echo()
    server.gate.clear()
    with joined(tmp_path, server, patience_s=1.5) as (transport, _, _):
        threading.Timer(2.0, server.gate.set).start()

        assert transport.send(put(b"slow")) == b"wols"


def test_a_gateway_that_begins_anew_is_noticed(tmp_path: Path) -> None:
    """A piece of a session it does not know is answered with DROP, and the terminal asks again."""
    with joined(tmp_path, Echo()) as (transport, cable, _):
        transport.send(put(b"first"))
        line = SerialLine("tty:" + cable.device("terminal"))
        line.write(Frame(Kind.PIECE, 99, 3, b"middle").to_bytes())
        decoder, found = FrameDecoder(), []
        deadline = time.monotonic() + PATIENT_S
        while not found and time.monotonic() < deadline:
            line.wait(0.1)
            found = [f for f in decoder.feed(line.read(4096)) if f.session == 99]
        line.close()

    assert found == [Frame(Kind.DROP, 99, from_gateway=True)]


def test_batches_go_over_the_line(tmp_path: Path, bench: Bench, store: FileKeyStore) -> None:
    """A terminal's taps reach the server through noise: each stored once, all acknowledged."""
    office = Office(bench.clock, bench.identity.public_key)
    for number in range(1, 13):
        bench.tap(issue(store, number))
        bench.clock.advance(5)
    with office.open(), joined(tmp_path, HttpTransport(office.url, PATIENT_S), NOISY) as parts:
        chain = bench.desk.chain
        uplink = Uplink(bench.folder, chain, bench.server_key, parts[0], bytes(8))
        deadline = time.monotonic() + 60
        while (outgoing := uplink.plan(BatchKind.LIVE)) is not None:
            assert time.monotonic() < deadline
            try:
                uplink.settle(uplink.exchange(outgoing))
            except (Unreachable, Refused):
                continue

    mine = {event.seq: event.to_bytes() for event in bench.events()}
    assert office.events == mine
    assert chain.journal.state.unsent == 0


def test_the_configuration_opens_the_line(tmp_path: Path) -> None:
    """`serial:` and a device in `[server] url` is the way through a gateway."""
    server = Echo()
    with joined(tmp_path, server) as (_, cable, _):
        url = f"serial:{cable.device('terminal')}?baud=115200"
        transport = open_transport(ServerSection(url, timeout_s=20))

        assert transport.send(put(b"abc")) == b"cba"


def test_a_busy_line_is_told_from_a_dead_one(tmp_path: Path) -> None:
    """Who has little patience does not wait for somebody else's long upload."""
    turn = threading.Lock()
    line = SerialLine(f"tty:{tmp_path}/none")
    hurried = SerialTransport(line, 0.1, one_at_a_time=turn)
    with turn, pytest.raises(Unreachable, match="busy") as caught:
        hurried.send(put(b"x"))

    assert not caught.value.sent


def test_the_gateway_as_a_program(tmp_path: Path, bench: Bench) -> None:
    """`yika-terminal gateway` forwards to the server it was given, and ends with SIGTERM."""
    office = Office(bench.clock, bench.identity.public_key)
    cable = SerialCable(tmp_path)
    near = SerialLine("tty:" + cable.device("terminal"))
    with office.open(), cable.running():
        ends = ["--serial", "tty:" + cable.device("gateway"), "--server", office.url]
        command = [sys.executable, "-m", "terminal", "gateway", *ends]
        with subprocess.Popen(command, cwd=ROOT) as running:
            try:
                with pytest.raises(Refused) as caught:
                    until_answered(SerialTransport(near, 2.0), Request("GET", "/api/v1/none"))
            finally:
                running.terminate()
                assert running.wait(PATIENT_S) == 0
        near.close()

    assert caught.value.status == 404


@pytest.mark.parametrize(
    "arguments",
    [
        ("--serial", "COM1", "--server", "http://127.0.0.1:1"),
        ("--serial", "tty:/dev/null", "--server", "ftp://x"),
        ("--serial", "tty:/dev/null", "--server", "serial:/dev/null"),
        ("--serial", "tty:/dev/null", "--server", "http://192.0.2.1"),
        ("--serial", "tty:/dev/null", "--server", "https://192.0.2.1", "--pin", "abc"),
    ],
)
def test_a_gateway_to_nowhere_does_not_start(arguments: tuple[str, ...]) -> None:
    """A device, an address or a pin that cannot be right is wrong usage."""
    result = CliRunner().invoke(cli, ["gateway", *arguments])

    assert result.exit_code == 2


@pytest.mark.parametrize(
    "request_",
    [
        Request("DELETE", PATH),
        Request("GET", "/metrics"),
        Request("GET", "http://other/api/v1/"),
        Request("GET", "/api/v1/../../metrics"),
        Request("GET", "/api/v1/x\r\nHost: other"),
        Request("GET", PATH, authorization="a\r\nX: y"),
        Request("GET", PATH, unsent=-1),
    ],
)
def test_the_gateway_forwards_a_terminals_requests_only(request_: Request) -> None:
    """Other methods, other paths and lines smuggled into headers are refused."""
    with pytest.raises(BadMessage):
        read_request(request_bytes(request_))


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x00\x0d", b'\x00\x0e{"status":200}']))
def test_garbage_messages_are_named(garbage: bytes, start: bytes) -> None:
    """Whatever stands in a message, both sides end with a named fault or something checked."""
    with suppress(ServerError):
        read_answer(start + garbage)
    try:
        assert read_request(start + garbage).method in ("GET", "PUT", "POST")
    except BadMessage:
        return


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (answer_bytes(b"")[:-1], BadAnswer),
        (fault_bytes(BadAnswer("x")), BadAnswer),
        (b'\x00\x16{"status":"200"}      ', BadAnswer),
        (b'\x00\x29{"status":503,"retry_after_s":1e999}     ', Refused),
    ],
)
def test_answers_of_another_form(message: bytes, error: type[ServerError]) -> None:
    """A head of another type is a named fault; a wait beyond sense is no wait."""
    with pytest.raises(error) as caught:
        read_answer(message)

    assert getattr(caught.value, "retry_after_s", None) is None
