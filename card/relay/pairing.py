# SPDX-License-Identifier: Apache-2.0
"""A person lets a page use the readers: a code on the terminal, typed into the page, once.

The code is short and lives briefly; what the page gets for it is long. A code serves once and
tries are few, so that a page which guesses runs out of tries before it has seen a ten-millionth
of the codes.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from card.relay.refusals import Refusal

CODE_DIGITS = 8
CODE_LIFE_S = 600.0  # a person walks from the terminal window to the page
TRIES_PER_CODE = 3
TRIES_IN_ALL = 12  # then somebody guesses; the relay has to be started anew
TOKEN_BYTES = 32
TOKEN_IDLE_S = 4 * 3600.0  # a lunch break does not end it, a night does
TOKENS_MAX = 4  # pages paired at the same time


@dataclass(slots=True)
class _Paired:
    origin: str
    used_s: float


class Pairing:
    """The code in force and the pages that have paired.

    Args:
        show: Shows a new code to the person at the terminal.
        now: The clock, seconds; monotonic.
    """

    def __init__(
        self, show: Callable[[str], None], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._show, self._now = show, now
        self._lock = threading.Lock()
        self._paired: dict[bytes, _Paired] = {}
        self._wrong = 0
        self._code = ""
        self._tries = 0
        self._made_s = 0.0
        self.renew()

    def renew(self) -> None:
        """Make a new code and show it; the one before is void."""
        self._code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
        self._tries, self._made_s = 0, self._now()
        self._show(self._code)

    def pair(self, code: str, origin: str) -> str:
        """Return a token for the right code; the code is used up and a new one shown.

        Args:
            code: What was typed; blanks and hyphens do not count.
            origin: The page's origin, to which the token is bound.

        Raises:
            Refusal: 403 wrong or expired, with the tries left; 429 no more tries at all.
        """
        typed = "".join(sign for sign in code if sign not in " -")
        with self._lock:
            if self._wrong >= TRIES_IN_ALL:
                raise Refusal(
                    429, "pairing-closed", "输错次数过多，请重新启动中继程序",
                    "too many wrong codes: start the relay again",
                )  # fmt: skip
            fresh = self._now() - self._made_s <= CODE_LIFE_S
            right = hmac.compare_digest(typed.encode(), self._code.encode())
            if fresh and right:
                return self._admit(origin)
            self._wrong += 1
            self._tries += 1
            left = TRIES_PER_CODE - self._tries
            if not fresh or left <= 0:
                self.renew()
        raise Refusal(
            403, "pairing-code", "配对码不对或已过期，请看中继程序窗口",
            "the code is wrong or old: look at the relay's window",
        )  # fmt: skip

    def check(self, header: str, origin: str) -> bytes:
        """Return who a request with this Authorization header is: a mark of its token.

        Raises:
            Refusal: 401 the token is unknown, of another origin, or was not used for long.
        """
        scheme, _, token = header.partition(" ")
        mark = _mark(token)
        with self._lock:
            found = self._paired.get(mark)  # by digest: nothing to time
            if found is not None and self._now() - found.used_s > TOKEN_IDLE_S:
                del self._paired[mark]
                found = None
            if scheme != "Bearer" or found is None or found.origin != origin:
                raise Refusal(
                    401, "not-paired", "尚未配对或配对已结束，请输入配对码",
                    "not paired, or no longer: type the pairing code",
                )  # fmt: skip
            found.used_s = self._now()
        return mark

    def end(self, mark: bytes) -> None:
        """Forget a token."""
        with self._lock:
            self._paired.pop(mark, None)

    def _admit(self, origin: str) -> str:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        while len(self._paired) >= TOKENS_MAX:
            oldest = min(self._paired, key=lambda mark: self._paired[mark].used_s)
            del self._paired[oldest]
        self._paired[_mark(token)] = _Paired(origin, self._now())
        self.renew()
        return token


def _mark(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
