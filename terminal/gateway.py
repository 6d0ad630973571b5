# SPDX-License-Identifier: Apache-2.0
"""The other end of a terminal's serial line: forward its requests, bring back the answers.

It holds no key and need not be trusted: what it carries is signed by the terminal and the server.
It can see what goes by, and lose it; it forwards a terminal's requests to one server, no others.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

from swipe.errors import TooMany
from swipe.serial_link import REPEAT_S, Frame, Kind, Receiver, Sender
from terminal.errors import BadAnswer, ServerError
from terminal.serial_messages import (
    REQUEST_MAX,
    BadMessage,
    answer_bytes,
    fault_bytes,
    read_request,
)
from terminal.serial_uplink import LOOK_S, FramedLine, Line
from terminal.transport import Transport

_LOG = logging.getLogger(__name__)

# How often a terminal is told that its request is at the server.
BUSY_EVERY_S = 1.0
# A terminal that acknowledges nothing for so long has gone; its answer is dropped.
GIVE_UP_S = 60.0


class Gateway:
    """One serial line and one server; `run` ends when `stop` is called."""

    def __init__(
        self,
        line: Line,
        transport: Transport,
        repeat_s: float = REPEAT_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._framed = FramedLine(line)
        self._repeat_s = repeat_s
        self._transport = transport
        self._now = now
        self._stopped = threading.Event()
        self._receiver: Receiver | None = None
        self._sender: Sender | None = None
        self._answers: queue.SimpleQueue[tuple[int, bytes]] = queue.SimpleQueue()
        self._asked: int | None = None
        self._busy_at = 0.0
        self._heard_at = 0.0
        self.forwarded = 0

    def stop(self) -> None:
        """End soon; may be called from a signal handler."""
        self._stopped.set()

    def run(self) -> None:
        """Serve the line until stopped."""
        while not self._stopped.is_set():
            self.turn()

    def turn(self) -> None:
        """Take what has come in, and write what is due."""
        for frame in self._framed.turn(LOOK_S):
            if not frame.from_gateway:
                self._take(frame)
        self._bring_answer()
        now = self._now()
        if self._asked is not None and now >= self._busy_at:
            self._busy_at = now + BUSY_EVERY_S
            self._give(Kind.BUSY, self._asked)
        if self._sender is not None and self._framed.idle:
            for piece in self._sender.due(now):
                self._framed.give(piece)
            if self._sender.done or now - self._heard_at > GIVE_UP_S:
                self._sender = None

    def _take(self, frame: Frame) -> None:
        self._heard_at = self._now()
        if frame.kind is Kind.ACK:
            if self._sender is not None and self._sender.session == frame.session:
                self._sender.acknowledged(frame.number, self._now())
        elif frame.kind is Kind.DROP:
            if self._sender is not None and self._sender.session == frame.session:
                self._sender = None
        elif frame.kind in (Kind.PIECE, Kind.LAST):
            self._take_piece(frame)

    def _take_piece(self, frame: Frame) -> None:
        receiver = self._receiver
        if receiver is None or receiver.session != frame.session:
            if frame.number != 0:
                self._give(Kind.DROP, frame.session)
                return
            receiver = self._begin(frame.session)
        ended = receiver.complete
        try:
            receiver.take(frame)
        except TooMany as exc:
            _LOG.warning("%s", exc)
            self._receiver = None
            self._give(Kind.DROP, frame.session)
            return
        self._give(Kind.ACK, frame.session, receiver.wanted)
        if receiver.complete and not ended:
            self._ask(receiver)

    def _begin(self, session: int) -> Receiver:
        """Forget every earlier exchange: the terminal has."""
        self._receiver, self._sender, self._asked = Receiver(session, REQUEST_MAX), None, None
        self._framed.forget()
        return self._receiver

    def _ask(self, receiver: Receiver) -> None:
        """Ask the server in a thread of its own, so that the line is served meanwhile."""
        self._asked, self._busy_at = receiver.session, self._now() + BUSY_EVERY_S
        threading.Thread(
            target=self._forward, args=(receiver.session, receiver.message), daemon=True
        ).start()

    def _forward(self, session: int, message: bytes) -> None:
        """Bring the answer, whatever happens: without one the terminal would be told to wait."""
        answer = fault_bytes(BadAnswer("gateway"))
        try:
            request = read_request(message)
            answer = answer_bytes(self._transport.send(request))
        except BadMessage as exc:
            answer = fault_bytes(BadAnswer(f"request: {exc}"))
        except ServerError as exc:
            _LOG.info("%s", exc)
            answer = fault_bytes(exc)
        finally:
            self._answers.put((session, answer))

    def _bring_answer(self) -> None:
        while True:
            try:
                session, answer = self._answers.get_nowait()
            except queue.Empty:
                return
            if session == self._asked:  # else nobody waits for it any more
                self._asked = None
                self._heard_at = self._now()
                self._sender = Sender(session, answer, True, self._repeat_s)
                self.forwarded += 1

    def _give(self, kind: Kind, session: int, number: int = 0) -> None:
        self._framed.give(Frame(kind, session, number, from_gateway=True))
