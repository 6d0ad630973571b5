# SPDX-License-Identifier: Apache-2.0
"""HTTPS with a pinned key, and answers of every kind: a named fault, never more."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keys.tls import is_pin, make_certificate, pin_of_pem
from server.config import HttpSection
from server.errors import ConfigError
from server.serving import tls_settings
from terminal.config_sections import ServerSection
from terminal.errors import BadAnswer, Refused, ServerError, Unreachable, Untrusted
from terminal.links import open_transport
from terminal.paced_socket import PACE_BYTES_S, PacedSocket
from terminal.transport import ANSWER_SIZE_MAX, HttpTransport, Request, Transport, Trust

NOW = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
ASK = Request("GET", "/")
OTHER_PIN = "sha256:" + "0" * 64
# Long enough for a loaded machine; a test that waits it out asks for less.
PATIENT_S = 20.0
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """Somebody who listens at an address and answers each connection with given bytes."""

    def __init__(self, talk: Callable[[socket.socket], None], tls: HttpSection | None) -> None:
        self._talk = talk
        self._context = tls_settings(tls)["ssl_context"](None, None) if tls else None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @contextmanager
    def running(self) -> Iterator[Peer]:
        """Answer until the block is left."""
        self._thread.start()
        try:
            yield self
        finally:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._thread.join(PATIENT_S)

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self._context is not None:
                    near = self._context.wrap_socket(near, server_side=True)
                near.settimeout(PATIENT_S)
                near.recv(65_536)
                self._talk(near)
            except (OSError, ssl.SSLError):
                pass
            finally:
                near.close()


def says(answer: bytes) -> Callable[[socket.socket], None]:
    """Return a peer's talk: these bytes, then nothing more."""
    return lambda near: near.sendall(answer)


@contextmanager
def plain(talk: Callable[[socket.socket], None], patience_s: float) -> Iterator[Transport]:
    """A transport to a peer that speaks HTTP."""
    with Peer(talk, None).running() as peer:
        yield HttpTransport(f"http://127.0.0.1:{peer.port}", patience_s)


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> HttpSection:
    """The section of a server with a certificate of its own."""
    return certify(tmp_path_factory.mktemp("tls"))


def certify(folder: Path, private: bytes | None = None) -> HttpSection:
    """Make certificate and key in a folder."""
    certificate, key = make_certificate(["127.0.0.1", "yika.test"], NOW, private)
    (folder / "tls.crt").write_bytes(certificate)
    (folder / "tls.key").write_bytes(key)
    return HttpSection(certificate=str(folder / "tls.crt"), key=str(folder / "tls.key"))


def pin(section: HttpSection) -> str:
    """Return the pin of a section's certificate."""
    return pin_of_pem(Path(section.certificate).read_bytes())


def secure(port: int, *pins: str) -> Transport:
    """Return a transport that asks for one of these keys."""
    return HttpTransport(f"https://127.0.0.1:{port}", PATIENT_S, Trust(pins))


def test_the_pinned_server_is_believed(certified: HttpSection) -> None:
    """A self-signed certificate is enough where its key is pinned."""
    with Peer(says(FINE), certified).running() as peer:
        assert secure(peer.port, pin(certified)).send(ASK) == b"ok"


def test_another_key_is_refused_by_name(certified: HttpSection) -> None:
    """Whoever shows another key gets no request, and is named with its pin."""
    heard: list[bytes] = []
    listener = Peer(lambda near: heard.append(near.recv(1)), certified)
    with listener.running() as peer, pytest.raises(Untrusted) as caught:
        secure(peer.port, OTHER_PIN).send(ASK)

    assert caught.value.shown == pin(certified)
    assert heard in ([], [b""])


def test_without_a_pin_the_authorities_decide(certified: HttpSection) -> None:
    """A certificate nobody vouches for is refused unless it is pinned."""
    with Peer(says(FINE), certified).running() as peer, pytest.raises(Untrusted):
        secure(peer.port).send(ASK)


def test_a_change_of_key_needs_no_visit(certified: HttpSection, tmp_path: Path) -> None:
    """With the coming key as second pin, the terminal believes the server before and after."""
    coming = certify(tmp_path)
    pins = (pin(certified), pin(coming))
    for section in (certified, coming):
        with Peer(says(FINE), section).running() as peer:
            assert secure(peer.port, *pins).send(ASK) == b"ok"


def test_a_renewed_certificate_keeps_its_pin(certified: HttpSection, tmp_path: Path) -> None:
    """The pin is of the key: a certificate made again over it changes nothing for terminals."""
    again = certify(tmp_path, Path(certified.key).read_bytes())

    assert Path(again.certificate).read_bytes() != Path(certified.certificate).read_bytes()
    assert pin(again) == pin(certified)
    assert is_pin(pin(again))


def test_a_server_that_speaks_no_tls_is_unreachable(certified: HttpSection) -> None:
    """Garbage instead of a handshake is no server."""
    with Peer(says(b"\x00" * 64), None).running() as peer, pytest.raises(Unreachable) as caught:
        secure(peer.port, pin(certified)).send(ASK)

    assert not caught.value.sent


@pytest.mark.parametrize("change", [{"key": ""}, {"certificate": ""}, {"key": "/dev/null"}])
def test_half_a_certificate_stops_the_server(
    certified: HttpSection, change: dict[str, str]
) -> None:
    """Certificate and key come together, and belong together."""
    with pytest.raises(ConfigError, match="certificate and key"):
        tls_settings(replace(certified, **change))


def test_both_pins_of_the_configuration_count(certified: HttpSection) -> None:
    """The transport of a `[server]` section takes the pin and the one to come."""
    with Peer(says(FINE), certified).running() as peer:
        url = f"https://127.0.0.1:{peer.port}"
        section = ServerSection(url, pin=OTHER_PIN, pin_next=pin(certified))

        assert open_transport(section).send(ASK) == b"ok"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", BadAnswer),
        (b"SSH-2.0-OpenSSH\r\n", BadAnswer),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", BadAnswer),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", BadAnswer),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, BadAnswer),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", BadAnswer),
        (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(ANSWER_SIZE_MAX + 1), BadAnswer),
        (b"HTTP/1.1 99999 OK\r\n\r\n", BadAnswer),
        (b"HTTP/1.1 503 no\r\nContent-Length: 9\r\nRetry-After: x\r\n\r\n" + b"[" * 9, Refused),
        (b"HTTP/1.1 301 moved\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n", Refused),
        (b"HTTP/1.1 404 no\r\nContent-Length: 30000\r\n\r\n" + b"[" * 30_000, Refused),
    ],
)
def test_an_answer_that_is_none_is_named(answer: bytes, error: type[ServerError]) -> None:
    """Garbage, a cut, headers without end, megabytes: each is one of the named faults."""
    with plain(says(answer), PATIENT_S) as transport, pytest.raises(error):
        transport.send(ASK)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", FINE[:-2]]))
def test_no_bytes_do_more_than_fail(garbage: bytes, start: bytes) -> None:
    """Whatever a server sends, there is an answer within limits or a named fault."""
    with plain(says(start + garbage), PATIENT_S) as transport:
        try:
            assert len(transport.send(ASK)) <= ANSWER_SIZE_MAX
        except ServerError:
            return


def test_a_drip_of_bytes_is_silence() -> None:
    """A server that sends a byte now and then holds nobody longer than one that is silent."""
    gone = threading.Event()

    def drip(near: socket.socket) -> None:
        near.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not gone.wait(0.05):
            near.sendall(b"y")

    with plain(drip, 0.4) as transport:
        with pytest.raises(Unreachable):
            transport.send(ASK)
        gone.set()


def test_the_allowance_grows_with_what_moves() -> None:
    """A slow line that keeps the least pace may take as long as it needs."""
    now = [0.0]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        line = PacedSocket(ours, 1.0, lambda: now[0])
        for _ in range(10):
            line.sendall(bytes(2 * PACE_BYTES_S))
            now[0] += 2.0
            theirs.recv(65_536)
        now[0] += 1.5
        with pytest.raises(TimeoutError):
            line.sendall(b"late")
