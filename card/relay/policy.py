# SPDX-License-Identifier: Apache-2.0
"""Whom the relay answers: pure rules over the head of a request, decided before anything else.

A page of any web site may try to reach the loopback address of the computer it is shown on. Three
rules keep it out, each by itself: the Origin must be one of those named at the start, letter by
letter; the Host must be the relay's own address, so that a name that was made to lead here (DNS
rebinding) opens nothing; and whoever sends more than a look must send JSON, which no form can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from card.relay.refusals import Refusal

HOST = "127.0.0.1"  # the only address it ever listens on
PORT = 18_459  # the server's pages look for it here unless both are told otherwise
BODY_BYTES_MAX = 65_536  # 64 commands of 261 bytes in hex, and what JSON adds
ORIGINS_MAX = 8
RATE_PER_S, BURST = 200.0, 400.0  # a card answers at most some hundred commands a second
PREFLIGHT_AGE_S = 600  # how long a browser need not ask again
METHODS = ("GET", "POST")
ASKED_HEADERS = ("authorization", "content-type")
_SCHEME_PORTS = {"http": 80, "https": 443}
_JSON = "application/json"


def origin_of(address: str) -> str:
    """Return the origin of an address as browsers write it: scheme, host and unusual port.

    >>> origin_of("https://Yika.example.org:443/desk"), origin_of("http://127.0.0.1:8000")
    ('https://yika.example.org', 'http://127.0.0.1:8000')

    Raises:
        ValueError: It is no http or https address.
    """
    parts = urlsplit(address)
    if parts.scheme not in _SCHEME_PORTS or not parts.hostname or parts.username is not None:
        message = f"no http or https address: {address}"
        raise ValueError(message)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = parts.port  # raises for a port that is none
    shown = "" if port in (None, _SCHEME_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{shown}"


@dataclass(frozen=True, slots=True)
class Gate:
    """The rules of one relay.

    Attributes:
        origins: Whose pages may speak to it.
        port: Where it listens.
    """

    origins: frozenset[str]
    port: int

    @property
    def hosts(self) -> frozenset[str]:
        """Return what a request may call the relay."""
        return frozenset((f"{HOST}:{self.port}", f"localhost:{self.port}"))

    def check(self, method: str, headers: Mapping[str, str]) -> str:
        """Return the origin of a request that may be answered.

        Args:
            method: The method of the request.
            headers: Its headers, by name in lower case.

        Raises:
            Refusal: It comes by another name, from elsewhere, or not as JSON.
        """
        if headers.get("host", "").lower() not in self.hosts:
            raise Refusal(
                421, "wrong-host", "请求的主机名不是本机中继", "this is not the host you asked for"
            )
        origin = headers.get("origin", "")
        if origin not in self.origins:
            raise Refusal(
                403, "origin-refused", "此网页无权使用本机读卡器",
                "this page may not use the readers of this computer",
            )  # fmt: skip
        content = headers.get("content-type", "").split(";")[0].strip().lower()
        if method == "POST" and content != _JSON:
            raise Refusal(415, "not-json", "请求须为 JSON", "requests are application/json")
        return origin

    def preflight(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return what allows a page to ask, where its origin may; private networks included.

        >>> gate = Gate(frozenset({"http://a.example"}), 18459)
        >>> asked = {"host": "127.0.0.1:18459", "origin": "http://a.example",
        ...          "access-control-request-private-network": "true"}
        >>> gate.preflight(asked)["Access-Control-Allow-Private-Network"]
        'true'
        """
        allowed = {
            **self.allowing(self.check("OPTIONS", headers)),
            "Access-Control-Allow-Methods": ", ".join(METHODS),
            "Access-Control-Allow-Headers": ", ".join(ASKED_HEADERS),
            "Access-Control-Max-Age": str(PREFLIGHT_AGE_S),
        }
        if headers.get("access-control-request-private-network") == "true":
            allowed["Access-Control-Allow-Private-Network"] = "true"
        return allowed

    @staticmethod
    def allowing(origin: str) -> dict[str, str]:
        """Return what lets a page of an allowed origin read the answer."""
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


@dataclass(slots=True)
class Rate:
    """A bucket that fills steadily; each request takes one drop.

    >>> rate = Rate(now=lambda: 0.0, burst=1.0)
    >>> rate.take(), rate.take()
    (True, False)
    """

    now: Callable[[], float]
    per_s: float = RATE_PER_S
    burst: float = BURST
    _level: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._level = self.burst
        self._at = self.now()

    def take(self) -> bool:
        """Say whether one more request may be served now."""
        now = self.now()
        self._level = min(self.burst, self._level + (now - self._at) * self.per_s)
        self._at = now
        if self._level < 1:
            return False
        self._level -= 1
        return True
