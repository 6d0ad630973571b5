# SPDX-License-Identifier: Apache-2.0
"""Speaks to a running card host."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ANSWER_BYTES_MAX = 1 << 20
TIMEOUT_S = 20.0  # longer than the host waits for a reader
RETRY_S = 0.02


class HandError(RuntimeError):
    """The card host refused a request or cannot be reached; the text says why."""


class Hand:
    """One connection to a card host; each method is one request and waits for its answer."""

    def __init__(self, control: Path, timeout_s: float = TIMEOUT_S) -> None:
        """Connect; a host that is just starting is waited for.

        Raises:
            HandError: nobody listens on the socket.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(timeout_s)
            try:
                self._socket.connect(str(control))
            except OSError as exc:
                self._socket.close()
                if time.monotonic() > deadline:
                    message = f"no card host listens on {control}: {exc.strerror}"
                    raise HandError(message) from exc
                time.sleep(RETRY_S)
                continue
            break
        self._lines = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; the cards stay where they are."""
        self._lines.close()
        self._socket.close()

    def ask(self, **request: object) -> dict[str, Any]:
        """Send one request and return its answer.

        Raises:
            HandError: the host refuses, or went away.
        """
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            line = self._lines.readline(ANSWER_BYTES_MAX)
        except OSError as exc:
            message = f"the card host went away: {exc}"
            raise HandError(message) from exc
        if not line:
            message = "the card host went away"
            raise HandError(message)
        answer: dict[str, Any] = json.loads(line)
        if not answer.pop("ok", False):
            raise HandError(answer.get("error", "refused without a reason"))
        return answer

    def blank(self, card: str, kind: str = "card") -> None:
        """Make a blank card ("card"), a plain ISO card ("iso") or a blank PSAM ("psam")."""
        self.ask(do="blank", card=card, kind=kind)

    def insert(self, slot: str, card: str) -> None:
        """Put a card on a reader; pcscd sees it within half a second."""
        self.ask(do="insert", slot=slot, card=card)

    def remove(self, slot: str) -> str | None:
        """Take the card off a reader and return its name, None where none was there."""
        card = self.ask(do="remove", slot=slot)["card"]
        return None if card is None else str(card)

    def tear(self, slot: str, when: str) -> None:
        """Have the card in a slot pulled off: before-debit, in-debit, debit-lost or now."""
        self.ask(do="tear", slot=slot, when=when)

    def fault(self, slot: str, kind: str, **values: object) -> None:
        """Plan one fault of the card in a slot (`hardware_mocks.cardos.faults.parse`)."""
        self.ask(do="fault", slot=slot, fault={"kind": kind, **values})

    def pace(self, slot: str, profile: str | None) -> None:
        """Have the card in a slot take the time of a real one, or none."""
        self.ask(do="pace", slot=slot, profile=profile)

    def slots(self) -> dict[str, dict[str, Any]]:
        """Return port, kind and card of every slot."""
        slots: dict[str, dict[str, Any]] = self.ask(do="list")["slots"]
        return slots

    def cards(self) -> list[str]:
        """Return the names of all cards in the folder."""
        return list(self.ask(do="list")["cards"])
