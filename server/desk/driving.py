# SPDX-License-Identifier: Apache-2.0
"""Drive a card operation through somebody who only carries bytes, so that nothing is lost.

A card operation is a generator; its whole state is the answers it was given and what it took from
outside. Both are kept, so any process of the server makes it anew and goes on with the card that
still lies there. What the operation notes (journal, attempts) is handed out after every answer, to
be kept in the same unit of work in which the next command is given away.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from card.apdu import CommandApdu, ResponseApdu
from card.attempts import AttemptGuard, KeyFacts
from card.card_keys import CardKeys
from card.errors import CardError, ProtocolFault
from card.issue_journal import CardJournal, Entry
from card.operation import Operation, Outside
from card.stored import StoredOtherwise
from card.trace_mask import Masker
from server.desk.policy import COMMANDS_MAX

_DIGEST_BYTES = 8


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an operation is made with, besides its own data."""

    keys: Callable[[bytes, int], CardKeys]  # serial and key version → the card's keys
    guard: AttemptGuard
    journal: CardJournal
    outside: Outside


Make = Callable[[Surroundings], Operation[Any]]


@dataclass(slots=True)
class Past:
    """What is known when an operation is made, or made again.

    Attributes:
        entries: The card's journal before this session.
        facts: What was known of the card's keys when the session began.
        sent: Digests of the commands answered so far.
        answers: Data and status word of each.
        taken: What was taken from outside so far.
        kept: How many journal lines of this session are kept already.
    """

    entries: list[Entry] = field(default_factory=list)
    facts: dict[str, KeyFacts] = field(default_factory=dict)
    sent: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)
    kept: int = 0


class _Taken:
    """The outside of an operation that is made again: first what was taken before."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._at = 0

    def once(self, ask: Callable[[], bytes], /) -> bytes:
        if self._at == len(self._past.taken):
            self._past.taken.append(ask())
        self._at += 1
        return self._past.taken[self._at - 1]

    def random(self, size: int, /) -> bytes:
        return self.once(lambda: os.urandom(size))


class Run:
    """An operation under way: its next command, or its end.

    Args:
        make: Makes the operation.
        past: What happened so far; grows with each answer.
        keys: Derives a card's keys.
        chip: What the reader says of the chip.
        now: The clock.
        follow: Told of each exchange that is gone through again.

    Raises:
        StoredOtherwise: Made again, it asks something else than before.
    """

    def __init__(
        self,
        make: Make,
        past: Past,
        keys: Callable[[bytes, int], CardKeys],
        chip: str,
        now: Callable[[], dt.datetime],
        follow: Callable[[CommandApdu, bytes], None],
    ) -> None:
        self.past = past
        self.command: CommandApdu | None = None
        self.result: Any = None
        self.error: CardError | None = None
        self._lines: list[Entry] = []
        self._guard = AttemptGuard()
        self._guard.recall(past.facts)
        journal = CardJournal(list(past.entries), self._lines.append, chip, now)
        self._operation = make(Surroundings(keys, self._guard, journal, _Taken(past)))
        answers, sent, past.answers, past.sent = past.answers, past.sent, [], []
        self._advance(None)
        for answer, digest in zip(answers, sent, strict=True):
            self._again(answer, digest, follow)

    @property
    def over(self) -> bool:
        """Whether there is no next command."""
        return self.command is None

    def take(self, answer: bytes) -> None:
        """Give the answer to the command: data and status word."""
        assert self.command is not None
        self.past.sent.append(_digest(self.command))
        self.past.answers.append(answer)
        self._advance(ResponseApdu(answer[:-2], int.from_bytes(answer[-2:])))

    def new_lines(self) -> list[Entry]:
        """Return the journal's lines that are not kept yet; they count as kept from now on."""
        fresh = self._lines[self.past.kept :]
        self.past.kept = len(self._lines)
        return fresh

    def facts(self) -> dict[str, KeyFacts]:
        """Return what is known of the card's keys now."""
        return self._guard.facts()

    def _again(
        self, answer: bytes, digest: bytes, follow: Callable[[CommandApdu, bytes], None]
    ) -> None:
        if self.command is None or _digest(self.command) != digest:
            raise StoredOtherwise("command")
        follow(self.command, answer)
        self.take(answer)

    def _advance(self, response: ResponseApdu | None) -> None:
        self.command = None
        try:
            if response is None:
                self.command = next(self._operation)
            else:
                self.command = self._operation.send(response)
            if len(self.past.answers) >= COMMANDS_MAX:
                self.command = None
                self._operation.close()
                self.error = ProtocolFault(f"more than {COMMANDS_MAX} commands")
        except StopIteration as stop:
            self.result = stop.value
        except CardError as error:
            self.error = error


def _digest(command: CommandApdu) -> bytes:
    return hashlib.sha256(command.to_bytes()).digest()[:_DIGEST_BYTES]


@dataclass(slots=True)
class Under:
    """An operation under way, with what belongs to it.

    Attributes:
        run: The operation.
        masker: Follows the exchanges, so that the transcript holds no secret.
        start: What was known of the card's keys when the session began.
        kept: What the database knows of them now.
        before: The last line of the journal when the session began.
    """

    run: Run
    masker: Masker
    start: dict[str, KeyFacts]
    kept: dict[str, KeyFacts]
    before: int
