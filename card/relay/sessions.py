# SPDX-License-Identifier: Apache-2.0
"""Readers and the one session each may have: connected, used, idle, let go.

A reader object belongs to one thread, so each reader has a thread of its own that does everything
with it, one thing after the other. A session that nobody uses ends by itself; its card is reset,
so that nothing proved stays proved.
"""

from __future__ import annotations

import contextlib
import functools
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from card.errors import CardError, NoCard, ReaderError
from card.readers import CardConnection, Reader
from card.relay.refusals import Refusal, of_card
from card.relay.screening import Log, Policy, Screen

T = TypeVar("T")

SESSION_IDLE_S = 60.0  # a server that thinks longer than this is gone
WAIT_MAX_S = 25.0  # for a card to come or go; below what browsers and proxies wait for
READERS_MAX = 8
COMMANDS_MAX = 64
APDU_BYTES = range(4, 262)
_OK = 0x9000


@dataclass(frozen=True, slots=True)
class Source:
    """Where readers come from; `open` returns one that belongs to the calling thread."""

    names: Callable[[], list[str]]
    open: Callable[[str], Reader]


@dataclass(frozen=True, slots=True)
class Connected:
    """A session: its name and the card's answer to reset."""

    session: str
    atr: bytes


@dataclass(slots=True)
class _Seat:
    """One reader: its thread, and the session that has it."""

    name: str
    thread: ThreadPoolExecutor
    reader: Reader | None = None
    connection: CardConnection | None = None
    session: str = ""
    owner: bytes = b""
    used_s: float = 0.0
    busy: bool = False
    screen: Screen | None = field(default=None, repr=False)


class Sessions:
    """All readers of this computer.

    Args:
        source: Where readers come from.
        policy: Which commands pass.
        log: What is told of everything that happens.
        now: The clock, seconds; monotonic.
    """

    def __init__(
        self,
        source: Source,
        policy: Policy,
        log: Log,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._policy, self._log, self._now = source, policy, log, now
        self._seats: dict[str, _Seat] = {}
        self._lock = threading.Lock()

    def readers(self) -> list[dict[str, str | bool]]:
        """Return each reader by name, and whether a session has it."""
        try:
            names = self._source.names()
        except CardError as exc:
            raise of_card(exc) from exc
        with self._lock:
            taken = {seat.name for seat in self._seats.values() if seat.session}
        return [{"name": name, "in_use": name in taken} for name in names]

    def connect(self, name: str, owner: bytes, wait_s: float) -> Connected:
        """Wait for a card on a reader, power it and begin a session.

        A session of the same owner on this reader ends: a page was loaded again.

        Raises:
            Refusal: 404 no card in time or no such reader; 409 somebody else's session, or
                something is under way; 502 the reader failed.
        """
        seat = self._take(name, owner)
        try:
            atr = self._do(seat, lambda: self._power(seat, min(wait_s, WAIT_MAX_S)))
        finally:
            seat.busy = False
        seat.session, seat.owner, seat.used_s = secrets.token_hex(16), owner, self._now()
        seat.screen = Screen(self._policy, self._log, seat.session[:8])
        self._log("connected", session=seat.session[:8], reader=name, atr=atr.hex().upper())
        return Connected(seat.session, atr)

    def transmit(self, session: str, owner: bytes, commands: list[bytes]) -> list[bytes]:
        """Send commands one after the other; stop after the first that is not answered 9000.

        Returns:
            Data and status word of each command that was sent.

        Raises:
            Refusal: 403 the policy does not pass one of them, none was sent; 404 no such session;
                409 something is under way; 410 the card left, the session is over.
        """
        seat = self._of(session, owner)
        try:
            screen = seat.screen
            if screen is None or seat.connection is None:
                raise _over()
            for command in commands:
                screen.admit(command)
            return self._do(seat, lambda: _send(seat, screen, commands))
        finally:
            seat.used_s, seat.busy = self._now(), False

    def disconnect(self, session: str, owner: bytes, wait_removed_s: float) -> bool:
        """Let go of the card; say whether it was taken away in time.

        Without waiting, and when the card was taken away, the session is over; else it may be
        asked again, but no command passes any more.

        Raises:
            Refusal: 404 no such session; 409 something is under way.
        """
        seat = self._of(session, owner)
        try:
            return self._do(seat, lambda: self._let_go(seat, min(wait_removed_s, WAIT_MAX_S)))
        finally:
            seat.used_s, seat.busy = self._now(), False

    def sweep(self) -> None:
        """End the sessions nobody used for a while."""
        with self._lock:
            idle = [
                seat
                for seat in self._seats.values()
                if seat.session and not seat.busy and self._now() - seat.used_s > SESSION_IDLE_S
            ]
            for seat in idle:
                seat.busy = True
        for seat in idle:
            try:
                self._log("idle", session=seat.session[:8])
                with contextlib.suppress(Refusal):  # a reader that fails has no card to let go
                    self._do(seat, functools.partial(self._let_go, seat, 0.0))
            finally:
                seat.busy = False

    def end_of(self, owner: bytes) -> None:
        """End every session of an owner: a page says good-bye."""
        for seat in list(self._seats.values()):
            if seat.session and seat.owner == owner:
                self.disconnect(seat.session, owner, 0.0)

    def close(self) -> None:
        """End everything; each reader is closed in its own thread."""
        for seat in self._seats.values():
            seat.thread.submit(_close, seat)
            seat.thread.shutdown(wait=True)

    def _take(self, name: str, owner: bytes) -> _Seat:
        with self._lock:
            seat = self._seats.get(name)
            if seat is None:
                if len(self._seats) >= READERS_MAX:
                    raise Refusal(409, "readers", "读卡器太多", "too many readers")
                thread = ThreadPoolExecutor(1, thread_name_prefix=f"reader {name}")
                seat = self._seats[name] = _Seat(name, thread)
            if seat.busy:
                raise Refusal(409, "reader-busy", "读卡器正忙", "the reader is busy")
            if seat.session and seat.owner != owner:
                raise Refusal(
                    409, "reader-in-use", "读卡器正被另一页面使用", "another page uses the reader"
                )
            seat.busy = True
            return seat

    def _of(self, session: str, owner: bytes) -> _Seat:
        with self._lock:
            for seat in self._seats.values():
                if seat.session and secrets.compare_digest(seat.session, session):
                    if seat.owner != owner:
                        break
                    if seat.busy:
                        raise Refusal(409, "reader-busy", "读卡器正忙", "the reader is busy")
                    seat.busy = True
                    return seat
        raise _over()

    def _do(self, seat: _Seat, act: Callable[[], T]) -> T:
        future: Future[T] = seat.thread.submit(act)
        try:
            return future.result()
        except CardError as exc:
            # What a card did last is not known: the session is over, the next begins afresh.
            seat.thread.submit(_drop, seat).result()
            self._log("failed", reader=seat.name, error=exc.code)
            raise of_card(exc) from exc

    def _power(self, seat: _Seat, wait_s: float) -> bytes:
        _drop(seat)
        if seat.reader is None:
            seat.reader = self._source.open(seat.name)
        if not seat.reader.wait_card(wait_s):
            raise NoCard(seat.name)
        seat.connection = seat.reader.connect()
        return seat.connection.atr

    def _let_go(self, seat: _Seat, wait_removed_s: float) -> bool:
        name = seat.session
        self._log("disconnected", session=name[:8])
        _drop(seat)
        try:
            gone = seat.reader is None or seat.reader.wait_removed(wait_removed_s)
        except ReaderError:  # the session is over all the same; the next one tells what is wrong
            gone = True
        if wait_removed_s and not gone:
            seat.session = name
        return gone


def _over() -> Refusal:
    return Refusal(404, "no-session", "卡片会话已结束", "the card's session is over")


def _send(seat: _Seat, screen: Screen, commands: list[bytes]) -> list[bytes]:
    """Transmit in the reader's thread."""
    answers: list[bytes] = []
    for command in commands:
        assert seat.connection is not None
        data, sw = seat.connection.transmit(command)
        screen.note(command, data, sw)
        answers.append(data + sw.to_bytes(2, "big"))
        if sw != _OK:
            break
    return answers


def _drop(seat: _Seat) -> None:
    """End the session of a reader, in its thread."""
    connection, seat.connection, seat.session = seat.connection, None, ""
    if connection is not None:
        with contextlib.suppress(CardError):  # a card that left has lost its power anyway
            connection.close()


def _close(seat: _Seat) -> None:
    _drop(seat)
    if seat.reader is not None:
        seat.reader.close()
