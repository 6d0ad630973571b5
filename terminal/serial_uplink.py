# SPDX-License-Identifier: Apache-2.0
"""The way to the server over a serial line: the terminal's end of it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import Protocol

from swipe.errors import TooMany
from swipe.serial_link import REPEAT_S, Frame, FrameDecoder, Kind, Receiver, Sender
from terminal.errors import BadAnswer, Unreachable
from terminal.serial_messages import read_answer, request_bytes
from terminal.transport import Request

# How long one look at the line waits for bytes.
LOOK_S = 0.02
READ_SIZE = 4_096


class Line(Protocol):
    """What both ends need of a serial device."""

    def read(self, size: int) -> bytes:
        """Return what has come in, perhaps nothing."""

    def write_some(self, data: bytes) -> int:
        """Write what the line takes now; return how many bytes."""

    def wait(self, seconds: float) -> None:
        """Wait until something comes in, at most so long."""


class FramedLine:
    """Frames out and in over a line that takes only so much at a time."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._decoder = FrameDecoder()
        self._waiting = bytearray()

    @property
    def idle(self) -> bool:
        """Say whether everything given has been taken by the line."""
        return not self._waiting

    def give(self, frame: Frame) -> None:
        """Put a frame behind those that wait for the line."""
        self._waiting += frame.to_bytes()

    def turn(self, seconds: float) -> list[Frame]:
        """Write what can be written, wait for something to come in, return the frames in it."""
        self._write()
        self._line.wait(seconds)
        return self._decoder.feed(self._line.read(READ_SIZE))

    def _write(self) -> None:
        if self._waiting:
            taken = self._line.write_some(bytes(self._waiting))
            del self._waiting[:taken]

    def forget(self) -> None:
        """Drop what was not written yet: it belongs to an exchange that is over."""
        self._waiting.clear()


class SerialTransport:
    """Send requests through a gateway at the other end of a serial line, one after the other.

    `timeout_s` is how long the gateway may say nothing at all; transports on one line share the
    lock `one_at_a_time`.
    """

    def __init__(
        self,
        line: Line,
        timeout_s: float,
        repeat_s: float = REPEAT_S,
        one_at_a_time: threading.Lock | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._framed = FramedLine(line)
        self._timeout_s = timeout_s
        self._repeat_s = repeat_s
        self._now = now
        self._one_at_a_time = one_at_a_time or threading.Lock()

    def send(self, request: Request) -> bytes:
        """Return the body of a 200 answer; raises as every transport."""
        if not self._one_at_a_time.acquire(timeout=self._timeout_s):
            raise Unreachable("the line is busy", sent=False)
        try:
            self._framed.forget()
            return read_answer(self._exchange(request_bytes(request)))
        except TooMany as exc:
            raise BadAnswer(str(exc)) from exc
        finally:
            self._one_at_a_time.release()

    def _exchange(self, message: bytes) -> bytes:
        session = secrets.randbits(32)
        sender = Sender(session, message, repeat_s=self._repeat_s)
        receiver = Receiver(session)
        heard_at = self._now()
        while not receiver.complete:
            now = self._now()
            if now - heard_at > self._timeout_s:
                raise Unreachable("the gateway is silent", sent=sender.done)
            if self._framed.idle:
                for frame in sender.due(now):
                    self._framed.give(frame)
            for frame in self._framed.turn(LOOK_S):
                if not frame.from_gateway:
                    continue  # our own echo
                if frame.session == session:
                    heard_at = self._now()
                    self._take(frame, sender, receiver)
                elif frame.kind is Kind.LAST:  # the end of an answer whose ACK was lost
                    self._framed.give(Frame(Kind.DROP, frame.session))
        self._last_words(receiver)
        return receiver.message

    def _take(self, frame: Frame, sender: Sender, receiver: Receiver) -> None:
        if frame.kind is Kind.ACK:
            sender.acknowledged(frame.number, self._now())
        elif frame.kind is Kind.DROP:
            raise Unreachable("the gateway began anew", sent=sender.done)
        elif frame.kind in (Kind.PIECE, Kind.LAST):
            # An answer tells that the request has arrived, though the last ACK may be lost.
            sender.acknowledged(sender.pieces, self._now())
            receiver.take(frame)
            self._framed.give(Frame(Kind.ACK, receiver.session, receiver.wanted))

    def _last_words(self, receiver: Receiver) -> None:
        """Acknowledge the end; if that is lost, the gateway gives up at the next session."""
        self._framed.give(Frame(Kind.ACK, receiver.session, receiver.wanted))
        until = self._now() + self._timeout_s
        while not self._framed.idle and self._now() < until:
            self._framed.turn(0.0)
