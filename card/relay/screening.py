# SPDX-License-Identifier: Apache-2.0
"""Which commands pass, and what is kept of them: each is logged, its secrets overwritten.

What does not pass is refused aloud, to the page and in the log; nothing is dropped or changed.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from typing import Any

from card.declared import find
from card.relay.refusals import Refusal
from card.trace_mask import Masker, masked


class Policy(enum.StrEnum):
    """Which commands may reach a card: those this SDK knows, or any."""

    DECLARED = "declared"
    ANY = "any"


class Log:
    """One JSON line for each thing that happens; `write` keeps it."""

    def __init__(self, write: Callable[[str], None], now: Callable[[], str]) -> None:
        self._write, self._now = write, now

    def __call__(self, what: str, **facts: Any) -> None:
        """Keep one line."""
        line = {"at": self._now(), "what": what, **facts}
        self._write(json.dumps(line, ensure_ascii=False))


class Screen:
    """Watches the commands of one reader session.

    Args:
        policy: What passes.
        log: Where each exchange is told.
        session: How the log names the session.
    """

    def __init__(self, policy: Policy, log: Log, session: str) -> None:
        self._policy, self._log, self._session = policy, log, session
        self._masker = Masker()

    def admit(self, command: bytes) -> None:
        """Let a command pass.

        Raises:
            Refusal: The policy does not know it; nothing was sent.
        """
        if self._policy is Policy.DECLARED and find(command) is None:
            head = command[:2].hex().upper()
            self._log("refused", session=self._session, head=head)
            raise Refusal(
                403, "command-refused", f"中继策略不放行指令 {head}，未发送",
                f"the relay's policy does not pass {head}; nothing was sent", head=head,
            )  # fmt: skip

    def note(self, command: bytes, data: bytes, sw: int) -> None:
        """Keep an exchange, secrets overwritten."""
        in_command, in_answer = self._masker.hide(command, data, sw)
        self._log(
            "apdu",
            session=self._session,
            command=masked(command, in_command),
            answer=f"{masked(data, in_answer)}{sw:04X}",
        )
