# SPDX-License-Identifier: Apache-2.0
"""Ways out: a folder that another program empties, or a provider's HTTP address.

Every message carries a reference of its own, made from its cause; a provider that knows the
reference already sends nothing twice.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from server.errors import ConfigError
from server.outbox.services import Answer

TIMEOUT_S = 10.0  # a gateway takes a message at once and sends it later
ANSWER_BYTES_MAX = 4096
LOOPBACK = ("127.0.0.1", "::1", "localhost")
# The gateway is busy, or wants us to wait; everything else of 4xx is its last word.
WAIT_STATUS = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message as a provider gets it; `to` is a mobile number, or a postal address."""

    reference: str
    channel: str
    to: str = field(repr=False)
    text: str = field(repr=False)


class Provider(Protocol):
    """Somebody who carries messages."""

    name: str
    repeatable: bool  # the same reference twice is one message

    def send(self, parcel: Parcel) -> Answer:
        """Carry one message; never raise for what the network does."""
        ...


class Folder:
    """One JSON file a message, complete once it has its name; for a gateway on the same machine."""

    name = "folder"
    repeatable = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, parcel: Parcel) -> Answer:
        """Write `REFERENCE.json` by way of `REFERENCE.json.partial`."""
        document = {
            "reference": parcel.reference,
            "channel": parcel.channel,
            "to": parcel.to,
            "text": parcel.text,
        }
        place = self._folder / f"{parcel.reference}.json"
        partial = place.with_suffix(".json.partial")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with partial.open("w", encoding="utf-8") as out:
                os.fchmod(out.fileno(), 0o600)
                json.dump(document, out, ensure_ascii=False)
                out.flush()
                os.fsync(out.fileno())
            partial.replace(place)
        except OSError as error:
            return Answer(sent=False, again=True, outcome=type(error).__name__)
        return Answer(sent=True, outcome=place.name)


class Gateway:
    """A provider's address: POST of a JSON document, with the reference as idempotency key."""

    name = "http"

    def __init__(self, url: str, token: str, repeatable: bool) -> None:
        parts = urlsplit(url)
        plain = parts.scheme == "http" and parts.hostname in LOOPBACK
        if not (plain or (parts.scheme == "https" and parts.hostname)):
            raise ConfigError("[outbox] url: https://host/path, or http:// on this machine")
        self._parts = parts
        self._token = token
        self.repeatable = repeatable

    def send(self, parcel: Parcel) -> Answer:
        """Hand over one message.

        An answer that never came leaves open whether the message went out: where the provider
        does not know references, it is not sent again.
        """
        body = json.dumps(
            {"reference": parcel.reference, "to": parcel.to, "text": parcel.text},
            ensure_ascii=False,
        ).encode()
        connection = self._connection()
        try:
            connection.connect()
        except OSError as error:
            return Answer(sent=False, again=True, outcome=type(error).__name__)
        try:
            connection.request("POST", self._parts.path or "/", body, self._headers(parcel))
            answer = connection.getresponse()
            said = answer.read(ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException) as error:
            return Answer(sent=False, again=self.repeatable, outcome=type(error).__name__)
        finally:
            connection.close()
        return judged(answer.status, said)

    def _connection(self) -> http.client.HTTPConnection:
        host, port = str(self._parts.hostname), self._parts.port
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)

    def _headers(self, parcel: Parcel) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Idempotency-Key": parcel.reference,
        }
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers


def judged(status: int, said: bytes) -> Answer:
    """Read a gateway's answer; what it says beyond the status is kept in short.

    >>> judged(202, b'{"id": "m-1"}').sent, judged(429, b"").again, judged(400, b"bad").again
    (True, True, False)
    """
    told = "".join(c for c in said[:80].decode("utf-8", "replace") if c.isprintable())
    outcome = f"HTTP {status} {told}".rstrip()
    if 200 <= status < 300:
        return Answer(sent=True, outcome=outcome)
    return Answer(sent=False, again=status in WAIT_STATUS or status >= 500, outcome=outcome)
