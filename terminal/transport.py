# SPDX-License-Identifier: Apache-2.0
"""One HTTP request at a time, with limits: what goes out, what may come back, how long it takes."""

from __future__ import annotations

import email.utils
import http.client
import json
import time
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from terminal.errors import BadAnswer, Refused, Unreachable

# The largest answer is a hotlist of 200 000 cards, 1.6 MB.
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
            Refused: An answer of another status.
            BadAnswer: An answer that breaks a limit.
        """


class HttpTransport:
    """Speak HTTP/1.1 to the server, one connection a request: a broken one harms no other."""

    def __init__(self, url: str, timeout_s: float) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port
        self._prefix = parts.path.rstrip("/")
        self._timeout_s = timeout_s

    def send(self, request: Request) -> bytes:
        """Send, wait, and give back the body of a 200."""
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout_s)
        path = self._prefix + request.path
        try:
            connection.connect()
        except OSError as exc:
            connection.close()
            raise Unreachable(exc.strerror or type(exc).__name__, sent=False) from exc
        try:
            connection.request(request.method, path, request.body or None, _headers(request))
            return _read(connection.getresponse())
        except http.client.HTTPException as exc:
            raise BadAnswer(type(exc).__name__) from exc
        except OSError as exc:
            raise Unreachable(exc.strerror or type(exc).__name__) from exc
        finally:
            connection.close()


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
    except ValueError:
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
