# SPDX-License-Identifier: Apache-2.0
"""One command to a serial CCID reader and what may happen before its answer, without any line.

A frame that came in distorted is dropped and asked for again, at most three times. A command to a
card is sent again only when the reader says that it did not get it, or shows it by repeating an
older answer: so no card ever runs a command twice. Commands to the reader itself may be repeated
freely.
"""

from __future__ import annotations

from card.errors import AnswerLost, ReaderError
from card.readers.ccid import Command, Message
from card.readers.gemcore import REPEAT, Distorted, Frame, Repeat, Signal, TimeRequest, frame

RETRIES_MAX = 3
EXTENSIONS_S_MAX = 60.0  # no command of a card takes longer, however often it asks for time


class Exchange:
    """Waits for the answer to one command.

    Args:
        message: The command.
        wait_s: How long the answer may take.
        now: Seconds on any clock; the same clock at every call.
        echoes: The reader sends the command back first.
    """

    def __init__(self, message: Message, wait_s: float, now: float, *, echoes: bool) -> None:
        self._message = message
        self._wait_s = wait_s
        self._echo_due = echoes
        self._asked = False
        self._failures = 0
        self._limit = now + wait_s + EXTENSIONS_S_MAX
        self._until = now + wait_s
        self.answer: Message | None = None
        self.to_send = frame(message.to_bytes())

    @property
    def deadline(self) -> float:
        """When to stop waiting for the next signal."""
        return min(self._until, self._limit)

    @property
    def _may_repeat(self) -> bool:
        return self._message.kind != Command.TRANSFER

    def take(self, signal: Signal | None, now: float) -> None:
        """Take in a signal, or None where none came in time; sets `answer` or `to_send`.

        Raises:
            AnswerLost: Three repetitions did not help, and a card may have run the command.
            ReaderError: They did not help, and the command was to the reader itself.
        """
        self.to_send = b""
        if now >= self._limit:
            self._give_up()
        if isinstance(signal, TimeRequest):
            self._until = now + self._wait_s
        elif isinstance(signal, Frame):
            self._frame(Message.from_bytes(signal.message), now)
        elif isinstance(signal, Distorted) and self._echo_due:
            self._echo_due = False  # our own words, distorted; the answer is still to come
        elif isinstance(signal, Repeat) or (signal is None and self._may_repeat):
            self._again(now)
        else:
            self._ask(now)

    def _frame(self, message: Message, now: float) -> None:
        if not message.from_reader:
            self._echo_due = False
        elif (message.sequence, message.slot) == (self._message.sequence, self._message.slot):
            if not message.wants_time:
                self.answer = message
            self._until = now + self._wait_s * max(1, message.error)
        elif self._asked:  # it repeats an older answer: it never got this command
            self._again(now)

    def _again(self, now: float) -> None:
        self._fail(now)
        self._asked = False
        self.to_send = frame(self._message.to_bytes())

    def _ask(self, now: float) -> None:
        self._fail(now)
        self._asked = True
        self.to_send = REPEAT

    def _fail(self, now: float) -> None:
        self._failures += 1
        if self._failures > RETRIES_MAX:
            self._give_up()
        self._until = now + self._wait_s

    def _give_up(self) -> None:
        if not self._may_repeat:
            raise AnswerLost("serial line")
        raise ReaderError("no answer on the serial line")
