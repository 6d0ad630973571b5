# SPDX-License-Identifier: Apache-2.0
"""A clerk without a browser: signs in, pairs with a relay, carries bytes as the desk page does.

It knows the server's addresses and the relay's, nothing of either's inside. `Clerk.issue`,
`replace`, `read` and the others each lay one card down and return how it ended.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

CARD_WAIT_MS = 20_000
TIMEOUT_S = 60.0
TRIES = 5  # of an answer that the server did not take
PAUSE_S = 0.5
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
_CSRF = re.compile(r'data-csrf="([^"]+)"')


class DeskRefused(RuntimeError):
    """Server or relay said no; `kind` is the problem's, the text both languages."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        zh, en = problem.get("detail_zh", ""), problem.get("detail", f"HTTP {status}")
        super().__init__(f"{zh} · {en}")
        self.status = status
        self.kind = str(problem.get("type", "")).rsplit(":", 1)[-1]


@dataclass
class Line:
    """One kept-open connection to an http address, with cookies."""

    address: str
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    _open: http.client.HTTPConnection | None = None

    def send(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, str, bytes]:
        """Send one request; return status, address of a redirection, content."""
        head = {**self.headers, **{name.replace("_", "-"): text for name, text in headers.items()}}
        if self.cookies:
            head["Cookie"] = "; ".join(f"{name}={text}" for name, text in self.cookies.items())
        if self._open is None:
            self._open = http.client.HTTPConnection(
                urlsplit(self.address).netloc, timeout=TIMEOUT_S
            )
        try:
            self._open.request(method, path, body or None, head)
            answer = self._open.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        for cookie in answer.headers.get_all("Set-Cookie") or ():
            name, _, rest = cookie.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        return answer.status, answer.headers.get("Location", ""), content

    def ask(self, method: str, path: str, values: Any = None, **headers: str) -> dict[str, Any]:
        """Send and receive JSON.

        Raises:
            DeskRefused: The answer is a problem document.
        """
        body = b"" if method == "GET" else json.dumps(values or {}).encode()
        kind = {} if method == "GET" else {"Content_Type": "application/json"}
        status, _, content = self.send(method, path, body, **kind, **headers)
        try:
            found: dict[str, Any] = json.loads(content or b"{}")
        except ValueError:
            found = {}  # whoever listens there is neither server nor relay
        if status >= 400:
            raise DeskRefused(status, found)
        return found

    def close(self) -> None:
        """Hang up; the next request opens it again."""
        if self._open is not None:
            self._open.close()
            self._open = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended: its state, one sentence in each language, and what it took.

    Attributes:
        job: The job as the server shows it afterwards.
        commands: How many commands went to the card.
        seconds: From the card being powered to the last answer.
    """

    state: str
    text_zh: str
    text_en: str
    result: dict[str, Any]
    job: dict[str, Any]
    commands: int
    seconds: float


class Clerk:
    """One person at one desk.

    Args:
        server: Address of the server.
        relay: Address of the relay.
    """

    def __init__(self, server: str, relay: str) -> None:
        self._server = Line(server)
        self._relay = Line(relay, {"Origin": server})
        self._csrf = ""
        self.reader = ""

    def close(self) -> None:
        """Hang up."""
        self._server.close()
        self._relay.close()

    def sign_in(self, name: str, password: str) -> None:
        """Come in as staff.

        Raises:
            DeskRefused: Name or password is wrong, or there is no right to work at the desk.
        """
        page = self._server.send("GET", "/sign-in/desk")[2].decode()
        token = _TOKEN.search(page)
        fields = {"name": name, "secret": password, "csrf_token": token[1] if token else ""}
        kind = "application/x-www-form-urlencoded"
        body = urlencode(fields).encode()
        status, _, _ = self._server.send("POST", "/sign-in/desk", body, Content_Type=kind)
        if status >= 400:
            raise DeskRefused(status, {"detail": "sign-in refused", "detail_zh": "登录被拒"})
        status, _, content = self._server.send("GET", "/desk")
        found = _CSRF.search(content.decode())
        if status != 200 or found is None:
            raise DeskRefused(status, {"detail": "no desk", "detail_zh": "没有发卡台权限"})
        self._csrf = found[1]

    def pair(self, code: str, reader: str = "") -> None:
        """Type the relay's code; take a reader by name, or the first."""
        told = self._relay.ask("POST", "/v1/pair", {"code": code})
        self._relay.headers["Authorization"] = f"Bearer {told['token']}"
        readers = self._relay.ask("GET", "/v1/status")["readers"]
        self.reader = reader or readers[0]["name"]

    def create(self, kind: str, **values: Any) -> dict[str, Any]:
        """Make a job."""
        return self._post("/jobs", {"kind": kind, **values})

    def carry(self, reference: str) -> Ended:
        """Wait for a card and carry bytes until the job's session is over.

        Raises:
            DeskRefused: The card left, or server or relay said no; the job can be carried again.
        """
        asked = {"reader": self.reader, "wait_ms": CARD_WAIT_MS}
        lying = self._relay.ask("POST", "/v1/reader/connect", asked)
        began = time.perf_counter()
        told = self._post(f"/jobs/{reference}/sessions", {"atr": lying["atr"]})
        while told["commands"]:
            sent = {"session": lying["session"], "commands": told["commands"]}
            said = self._relay.ask("POST", "/v1/reader/transmit", sent)
            answer = {
                "session": told["session"], "step": told["step"], "answers": said["answers"],
            }  # fmt: skip
            told = self._post(f"/jobs/{reference}/answer", answer)
        seconds = time.perf_counter() - began
        self._relay.ask("POST", "/v1/reader/disconnect", {"session": lying["session"]})
        job = self._server.ask("GET", f"/api/v1/desk/jobs/{reference}")
        return Ended(
            told["state"], told["text_zh"], told["text_en"], told["result"], job, told["step"],
            seconds,
        )  # fmt: skip

    def issue(self, number: str) -> Ended:
        """Issue the first card of a volunteer."""
        return self.carry(self.create("issue", number=number)["reference"])

    def replace(self, asn: str, cause: str, reason: str) -> Ended:
        """Replace a card by the blank on the reader; a valid document was seen."""
        values = {"asn": asn, "cause": cause, "reason": reason, "id_checked": True}
        return self.carry(self.create("replace", **values)["reference"])

    def read(self) -> Ended:
        """Read the card on the reader."""
        return self.carry(self.create("read")["reference"])

    def block(self, asn: str, reason: str) -> Ended:
        """Block a card."""
        return self.carry(self.create("block", asn=asn, reason=reason)["reference"])

    def refresh(self, asn: str, valid_to: str | None = None) -> Ended:
        """Write anew what the server knows."""
        values = {"asn": asn} | ({"valid_to": valid_to} if valid_to else {})
        return self.carry(self.create("refresh", **values)["reference"])

    def spoilt(self, reference: str, reason: str) -> dict[str, Any]:
        """Throw the blank in hand away."""
        return self._post(f"/jobs/{reference}/spoilt", {"reason": reason})

    def _post(self, path: str, values: Any) -> dict[str, Any]:
        """Bring something to the server, again where the line broke: it answers the same."""
        for tries in range(1, TRIES + 1):
            try:
                return self._server.ask(
                    "POST", f"/api/v1/desk{path}", values, X_CSRFToken=self._csrf
                )
            except (OSError, http.client.HTTPException):
                if tries == TRIES:
                    raise
                time.sleep(PAUSE_S)
        raise AssertionError
