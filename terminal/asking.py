# SPDX-License-Identifier: Apache-2.0
"""Signed questions to the server besides batches: one small object that all of them go through.

`Asker(chain, transport).get("/settlements/12")` asks below the terminal's own path and returns
the JSON object of the answer. Method, path and time are signed; what a body claims is believed
only as far as its own signature goes.
"""

from __future__ import annotations

import json
from typing import Any

from terminal.chain import Chain
from terminal.errors import BadAnswer
from terminal.fetch import authorization
from terminal.transport import Request, Transport

TERMINAL_PATH = "/api/v1/terminals/{}"
# No answer besides notices and metadata has more than some dozens of members.
DOCUMENT_SIZE_MAX = 256 * 1024


class Asker:
    """Ask in the terminal's name.

    Every method raises ``ServerError``: ``Unreachable`` without an answer, ``Refused`` for one of
    another status than 200, ``BadAnswer`` for one that is no JSON object.
    """

    def __init__(self, chain: Chain, transport: Transport) -> None:
        self._chain = chain
        self._transport = transport

    def get(self, below: str) -> dict[str, Any]:
        """Send a signed GET for a path below the terminal's own, such as `/settlements/12`."""
        return document(self.get_bytes(below))

    def get_bytes(self, below: str) -> bytes:
        """Send a signed GET and return the answer's bytes."""
        return self._transport.send(self._request("GET", below))

    def post(self, below: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a signed POST of a JSON object."""
        return document(self.post_bytes(below, json.dumps(body, ensure_ascii=False).encode()))

    def post_bytes(self, below: str, body: bytes, kind: str = "application/json") -> bytes:
        """Send a signed POST of bytes and return the answer's bytes."""
        return self._transport.send(self._request("POST", below, body, kind))

    def _request(self, method: str, below: str, body: bytes = b"", kind: str = "") -> Request:
        path = TERMINAL_PATH.format(self._chain.journal.header.terminal_id) + below
        signed = authorization(self._chain, method, path, body)
        return Request(method, path, body, kind, authorization=signed)


def document(raw: bytes) -> dict[str, Any]:
    """Read an answer as a JSON object.

    Raises:
        BadAnswer: It is too large, no JSON, or no object.

    >>> document(b'{"equal": true}')
    {'equal': True}
    """
    if len(raw) > DOCUMENT_SIZE_MAX:
        raise BadAnswer(f"more than {DOCUMENT_SIZE_MAX} bytes of JSON")
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise BadAnswer("no JSON") from exc
    if type(found) is not dict:
        raise BadAnswer("no JSON object")
    return found


def number(answer: dict[str, Any], name: str, high: int) -> int:
    """Return a member that is a number of 0 to `high`; raise ``BadAnswer`` for anything else."""
    value = answer.get(name)
    if type(value) is not int or not 0 <= value <= high:
        raise BadAnswer(name)
    return value


def text(answer: dict[str, Any], name: str, most: int) -> str:
    """Return a member that is text of at most so many characters; raise ``BadAnswer`` else."""
    value = answer.get(name)
    if type(value) is not str or len(value) > most:
        raise BadAnswer(name)
    return value
