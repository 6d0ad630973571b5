# SPDX-License-Identifier: Apache-2.0
"""What a terminal and its gateway say to each other: a head in JSON, then the body as it is."""

from __future__ import annotations

import json
import re
from typing import Any

from terminal.errors import BadAnswer, Refused, ServerError, Unreachable, Untrusted
from terminal.transport import RETRY_AFTER_MAX_S, TITLE_MAX, Request

HEAD_LENGTH_SIZE = 2
HEAD_MAX = 4_096  # a request line with its signature has some 400 bytes
REQUEST_MAX = 1024 * 1024  # a batch has at most 224 192 bytes
METHODS = frozenset({"GET", "PUT", "POST"})
# What a terminal asks for; a gateway is no way into anything else on that server.
_PATH = re.compile(r"/(api/v1|releases|\.well-known)/[A-Za-z0-9._~/%?=&-]{1,500}", re.ASCII)
CAUSE_MAX = 120


class BadMessage(ValueError):
    """Tell that bytes are no message of this link."""


def request_bytes(request: Request) -> bytes:
    """Give the message that carries a request."""
    head: dict[str, Any] = {"method": request.method, "path": request.path}
    for name in ("content_type", "authorization", "unsent"):
        value = getattr(request, name)
        if value not in ("", None):
            head[name] = value
    return _message(head, request.body)


def read_request(message: bytes) -> Request:
    """Read a request.

    Raises:
        BadMessage: It is none, or asks for what no terminal asks for.
    """
    head, body = _split(message)
    method, path = head.get("method"), head.get("path")
    if method not in METHODS or not isinstance(path, str) or not _PATH.fullmatch(path):
        raise BadMessage("method or path")
    if ".." in path:
        raise BadMessage("path")
    unsent = head.get("unsent")
    if unsent is not None and (type(unsent) is not int or not 0 <= unsent < 2**32):
        raise BadMessage("unsent")
    kind, signed = _line(head, "content_type"), _line(head, "authorization")
    return Request(method, path, body, kind, signed, unsent)


def answer_bytes(body: bytes) -> bytes:
    """Give the message that carries the body of a 200."""
    return _message({"status": 200}, body)


def fault_bytes(error: ServerError) -> bytes:
    """Give the message that tells why there is no body."""
    if isinstance(error, Refused):
        head: dict[str, Any] = {"status": error.status, "title": error.title}
        if error.retry_after_s is not None:
            head["retry_after_s"] = error.retry_after_s
        return _message(head, b"")
    if isinstance(error, Unreachable):
        return _message({"error": "unreachable", "cause": error.cause, "sent": error.sent}, b"")
    if isinstance(error, Untrusted):
        return _message({"error": "untrusted", "cause": error.cause}, b"")
    return _message({"error": "bad", "cause": str(error)[:CAUSE_MAX]}, b"")


def read_answer(message: bytes) -> bytes:
    """Return the body of a 200.

    Raises:
        Refused, Unreachable, Untrusted, BadAnswer: As the gateway met it at the server.
    """
    try:
        head, body = _split(message)
    except BadMessage as exc:
        raise BadAnswer("gateway") from exc
    status, error = head.get("status"), head.get("error")
    if status == 200:
        return body
    if type(status) is int and 100 <= status <= 999:
        raise Refused(status, _text(head, "title", TITLE_MAX), _wait(head))
    cause = _text(head, "cause", CAUSE_MAX)
    if error == "unreachable":
        raise Unreachable(f"gateway: {cause}", sent=head.get("sent") is not False)
    if error == "untrusted":
        raise Untrusted(f"gateway: {cause}")
    raise BadAnswer(f"gateway: {cause}")


def _message(head: dict[str, Any], body: bytes) -> bytes:
    raw = json.dumps(head, ensure_ascii=False).encode()
    return len(raw).to_bytes(HEAD_LENGTH_SIZE) + raw + body


def _split(message: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(message[:HEAD_LENGTH_SIZE])
    end = HEAD_LENGTH_SIZE + length
    if not 0 < length <= HEAD_MAX or len(message) < end:
        raise BadMessage("head")
    try:
        head = json.loads(message[HEAD_LENGTH_SIZE:end])
    except (ValueError, RecursionError) as exc:
        raise BadMessage("head") from exc
    if type(head) is not dict:
        raise BadMessage("head")
    return head, message[end:]


def _line(head: dict[str, Any], name: str) -> str:
    """Return a header's value: one line of printable ASCII."""
    value = head.get(name, "")
    if type(value) is not str or not (value.isascii() and value.isprintable()):
        raise BadMessage(name)
    return value


def _text(head: dict[str, Any], name: str, most: int) -> str:
    value = head.get(name)
    return value[:most] if type(value) is str else ""


def _wait(head: dict[str, Any]) -> float | None:
    value = head.get("retry_after_s")
    if not isinstance(value, (int, float)) or not 0 <= value <= RETRY_AFTER_MAX_S:
        return None
    return float(value)
