# SPDX-License-Identifier: Apache-2.0
"""A CCID reader at the end of a serial line: one command, one answer, whatever the line does."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

from card.errors import NoReader, ReaderError
from card.readers.ccid import Command, Icc, Message
from card.readers.gemcore import Deframer, Distorted, Movement, Signal
from card.readers.serial_exchange import Exchange
from card.readers.serial_line import SerialLine
from card.readers.serial_models import Model

READER_S = 2.0  # a reader answers its own commands within this time
GAP_S = 0.25  # within a frame bytes follow one another; 271 of them take 26 ms
QUIET_S = 0.05  # a line that is silent for so long has ended what it was sending
BABBLE_BYTES_MAX = 4_096  # fifteen times the longest frame: that is no reader


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the line is waited for, in seconds; the defaults fit a real line."""

    reader_s: float = READER_S
    gap_s: float = GAP_S
    quiet_s: float = QUIET_S


class SerialCcid:
    """One reader with all of its slots; any thread may use it.

    Args:
        line: The open line. It is closed with the reader, also when this raises.
        model: What the reader is.
        patience: How long to wait for it.

    Raises:
        NoReader: Nothing on the line answers as such a reader does.
    """

    def __init__(self, line: SerialLine, model: Model, patience: Patience | None = None) -> None:
        self.model = model
        self.movements = 0
        self.broken = False
        self.firmware = ""
        self._line = line
        self._patience = patience or Patience()
        self._lock = threading.RLock()
        self._deframer = Deframer()
        self._signals: deque[Signal] = deque()
        self._sequence = 0
        try:
            self._greet()
        except ReaderError as exc:
            self.close()
            raise NoReader(exc.detail) from exc

    def close(self) -> None:
        """Close the line."""
        self.broken = True
        self._line.close()

    def ask(self, kind: Command, slot: int, data: bytes = b"", own: bytes = bytes(3)) -> Message:
        """Send a command to the reader itself and return its answer, failed or not.

        Raises:
            ReaderError: The line does not carry. NoReader: It went away.
        """
        return self._converse(kind, slot, (data, own), self._patience.reader_s)

    def transfer(self, slot: int, data: bytes, wait_s: float, multiplier: int = 0) -> Message:
        """Pass bytes to a card and return the reader's answer, failed or not.

        Args:
            slot: The card's slot.
            data: A TPDU or block, at most 261 bytes.
            wait_s: How long the card may take.
            multiplier: What a T=1 card has multiplied its waiting time by; 0 for nothing.

        Raises:
            AnswerLost: The line does not carry. NoReader: It went away.
        """
        own = bytes((multiplier, 0, 0))
        patience = self._patience.reader_s + wait_s * max(1, multiplier)
        return self._converse(Command.TRANSFER, slot, (data, own), patience)

    def icc(self, slot: int) -> Icc:
        """Return what a slot says of its card."""
        return self.ask(Command.SLOT_STATUS, slot).icc

    def _greet(self) -> None:
        answer = self.ask(Command.ESCAPE, 0, self.model.firmware).check("firmware")
        self.firmware = answer.data.decode("ascii", "replace").strip("\0 ")
        if self.model.notices:
            self.ask(Command.ESCAPE, 0, self.model.notices).check("card movements")

    def _converse(
        self, kind: Command, slot: int, content: tuple[bytes, bytes], wait_s: float
    ) -> Message:
        with self._lock:
            if self.broken:
                raise NoReader("the line is closed")
            try:
                self._catch_up()
                self._sequence = (self._sequence + 1) & 0xFF
                message = Message(kind, slot, self._sequence, *content)
                return self._await(message, wait_s)
            except NoReader:
                self.close()
                raise

    def _catch_up(self) -> None:
        """Take in what came unasked; late answers to earlier commands are dropped."""
        while self._next_but_movements(time.monotonic()) is not None:
            pass

    def _next_but_movements(self, deadline: float) -> Signal | None:
        while isinstance(signal := self._next(deadline), Movement):
            self.movements += 1
        return signal

    def _await(self, message: Message, wait_s: float) -> Message:
        exchange = Exchange(message, wait_s, time.monotonic(), echoes=self.model.echoes)
        while exchange.answer is None:
            if exchange.to_send:
                self._line.write(exchange.to_send)
            exchange.take(self._next_but_movements(exchange.deadline), time.monotonic())
        return exchange.answer

    def _next(self, deadline: float) -> Signal | None:
        """Return the next signal, or None when none came in time."""
        while not self._signals:
            pending = self._deframer.pending
            remaining = max(0.0, deadline - time.monotonic())
            received = self._line.read(self._patience.gap_s if pending else remaining)
            if received:
                self._take(received)
            elif pending:
                self._deframer.reset()
                return Distorted("cut")
            elif time.monotonic() >= deadline:
                return None
        return self._signals.popleft()

    def _take(self, received: bytes) -> None:
        signals = self._deframer.feed(received)
        self._signals.extend(signals)
        if any(isinstance(signal, Distorted) for signal in signals):
            self._await_silence()
            self._deframer.reset()

    def _await_silence(self) -> None:
        thrown = 0
        while received := self._line.read(self._patience.quiet_s):
            thrown += len(received)
            if thrown > BABBLE_BYTES_MAX:
                raise ReaderError("noise without end on the serial line")
