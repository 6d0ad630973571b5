# SPDX-License-Identifier: Apache-2.0
"""One HTTP request at a time, with limits: what goes out, what may come back, how long it takes."""

from __future__ import annotations

import email.utils
import http.client
import json
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from keys.errors import KeysError
from keys.tls import pin_of
from terminal.errors import BadAnswer, Refused, Unreachable, Untrusted
from terminal.paced_socket import PacedSocket

# The largest answer is a hotlist of 200 000 runs of cards that lie far apart: 3.3 MB.
ANSWER_SIZE_MAX = 4 * 1024 * 1024
PROBLEM_SIZE_MAX = 65_536
TITLE_MAX = 120  # characters of a problem's title that are shown
UNSENT_HEADER = "Yika-Unsent"  # how many events the terminal still holds, for the staff's page
RETRY_AFTER_MAX_S = 3600.0  # no server may silence a terminal for longer


@dataclass(frozen=True, slots=True)
class Request:
    """What goes out."""

    method: str
    path: str
    body: bytes = b""
    content_type: str = ""
    authorization: str = ""
    unsent: int | None = None


class Transport(Protocol):
    """The one seam between the terminal and a network."""

    def send(self, request: Request) -> bytes:
        """Return the body of a 200 answer.

        Raises:
            Unreachable: No answer.
            Untrusted: Somebody else answers.
            Refused: An answer of another status.
            BadAnswer: An answer that breaks a limit.
        """


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe at the other end of HTTPS.

    With pins it is whoever proves to hold one of these public keys, whatever the certificate
    says; without, the system's authorities and the name decide.
    """

    pins: tuple[str, ...] = ()


class HttpTransport:
    """Speak HTTP/1.1 to the server, one connection a request: a broken one harms no other.

    `timeout_s` is the longest wait for a sign of life; on top, an exchange must keep a least pace,
    so that a drip of single bytes holds nobody up.
    """

    def __init__(self, url: str, timeout_s: float, trust: Trust | None = None) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        secure = parts.scheme == "https"
        self._port = parts.port or (http.client.HTTPS_PORT if secure else http.client.HTTP_PORT)
        self._prefix = parts.path.rstrip("/")
        self._timeout_s = timeout_s
        self._pins = () if trust is None else trust.pins
        self._tls = _tls_context(self._pins) if secure else None

    def send(self, request: Request) -> bytes:
        """Send, wait, and give back the body of a 200."""
        line = PacedSocket(self._secured(self._connected()), self._timeout_s)
        connection = _Connection(self._host, self._port)
        connection.sock = line
        try:
            path = self._prefix + request.path
            connection.request(request.method, path, request.body or None, _headers(request))
            return _read(connection.getresponse())
        except http.client.HTTPException as exc:
            raise BadAnswer(type(exc).__name__) from exc
        except ValueError as exc:  # a length that is no number, from deep in the library
            raise BadAnswer("header") from exc
        except OSError as exc:
            raise Unreachable(exc.strerror or type(exc).__name__) from exc
        finally:
            connection.close()
            line.end()

    def _connected(self) -> socket.socket:
        try:
            plain = socket.create_connection((self._host, self._port), self._timeout_s)
        except OSError as exc:
            raise Unreachable(exc.strerror or type(exc).__name__, sent=False) from exc
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return plain

    def _secured(self, plain: socket.socket) -> socket.socket:
        """Return the socket itself, or with HTTPS the one whose other end has shown its key."""
        if self._tls is None:
            return plain
        try:
            secured = self._tls.wrap_socket(plain, server_hostname=self._host)
        except ssl.SSLCertVerificationError as exc:
            plain.close()
            raise Untrusted(exc.verify_message) from exc
        except OSError as exc:
            plain.close()
            raise Unreachable(exc.strerror or type(exc).__name__, sent=False) from exc
        try:
            check_pin(secured.getpeercert(binary_form=True), self._pins)
        except Untrusted:
            secured.close()
            raise
        return secured


class _Connection(http.client.HTTPConnection):
    """A connection whose socket is given; it is never opened a second time."""

    auto_open = 0


def check_pin(certificate: bytes | None, pins: tuple[str, ...]) -> None:
    """Refuse a certificate whose key is not pinned; without pins everything is right here.

    Raises:
        Untrusted: It is another key, or there is none.
    """
    if not pins:
        return
    try:
        shown = pin_of(certificate or b"")
    except KeysError as exc:
        raise Untrusted("certificate") from exc
    if shown not in pins:
        raise Untrusted("pin", shown)


def _tls_context(pins: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if pins:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the key itself is compared, after the handshake
    return context


def _headers(request: Request) -> dict[str, str]:
    headers = {"Accept": "application/octet-stream, application/json"}
    if request.content_type:
        headers["Content-Type"] = request.content_type
    if request.authorization:
        headers["Authorization"] = request.authorization
    if request.unsent is not None:
        headers[UNSENT_HEADER] = str(request.unsent)
    return headers


def _read(response: http.client.HTTPResponse) -> bytes:
    if response.status != http.client.OK:
        body = response.read(PROBLEM_SIZE_MAX)
        wait = retry_after_s(response.getheader("Retry-After"), time.time())
        raise Refused(response.status, problem_title(body), wait)
    body = response.read(ANSWER_SIZE_MAX + 1)
    if len(body) > ANSWER_SIZE_MAX:
        raise BadAnswer(f"more than {ANSWER_SIZE_MAX} bytes")
    if response.length:  # what Content-Length promised and never came
        raise BadAnswer("cut short")
    return body


def problem_title(body: bytes) -> str:
    """Return the title of a problem document (RFC 9457), or nothing.

    >>> problem_title(b'{"title": "unknown key", "status": 401}')
    'unknown key'
    >>> problem_title(b"<html>")
    ''
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    title = document.get("title") if isinstance(document, dict) else None
    return title[:TITLE_MAX] if isinstance(title, str) else ""


def retry_after_s(value: str | None, now_s: float) -> float | None:
    """Read a Retry-After header (RFC 9110 §10.2.3): seconds or a date; None if there is none.

    >>> retry_after_s("120", 0)
    120.0
    >>> retry_after_s("Thu, 01 Jan 1970 00:01:00 GMT", 30)
    30.0
    >>> retry_after_s("soon", 0) is None
    True
    """
    if value is None:
        return None
    if value.strip().isdigit():
        return min(float(value), RETRY_AFTER_MAX_S)
    try:
        wait = email.utils.parsedate_to_datetime(value).timestamp() - now_s
    except (ValueError, TypeError):
        return None
    return min(max(0.0, wait), RETRY_AFTER_MAX_S)
