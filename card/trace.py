# SPDX-License-Identifier: Apache-2.0
"""Every exchange with a card as it happened, secrets already masked.

A `Trace` watches a connection, or is the observer of `card.operation.run`. What is secret (keys in
WRITE KEY, PINs, the contents of protected files) is overwritten with zeros before an exchange is
kept, so that a trace can be mailed; which bytes those were is noted. `reveal=True` keeps all of
it, for test cards only.

>>> from card.operation import run, fetch
>>> from card.commands import get_challenge
>>> class Four:
...     atr = bytes.fromhex("3B00")
...     def transmit(self, apdu): return bytes(4), 0x9000
...     def close(self): pass
>>> trace = Trace()
>>> _ = run(fetch(get_challenge(4), 4), trace.watch(Four()))
>>> trace.exchanges[0].command.hex(), hex(trace.exchanges[0].sw)
('0084000004', '0x9000')
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from card.apdu import CommandApdu, ResponseApdu
from card.errors import CardError
from card.files import Directory
from card.readers import CardConnection
from card.trace_mask import Masker
from card.trace_place import DIRECTORIES

# A day of taps at one terminal is some ten thousand exchanges; at about 300 bytes each a hundred
# thousand stay below 50 MB. The oldest leave first.
EXCHANGES_MAX = 100_000

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One command and its answer.

    Attributes:
        t_us: Microseconds from the beginning of the trace to the command.
        reader: Where the card was.
        command: The command APDU, secrets overwritten with zeros.
        answer: The answer's data, likewise.
        sw: Status word; 0 if none came.
        took_us: Microseconds until the answer.
        hidden_command: Offset and size of what was overwritten in the command.
        hidden_answer: The same of the answer.
        error: Code of the error that came instead of an answer, or "".
    """

    t_us: int
    reader: str
    command: bytes
    answer: bytes
    sw: int
    took_us: int = 0
    hidden_command: Spans = ()
    hidden_answer: Spans = ()
    error: str = ""

    @property
    def masked(self) -> bool:
        """Whether anything was overwritten."""
        return bool(self.hidden_command or self.hidden_answer)


@dataclass(frozen=True, slots=True)
class Tape:
    """A finished trace: what a file holds, a page shows and a player plays.

    Attributes:
        exchanges: In order.
        atr: The card's answer to reset.
        reader: Where the card was.
        started_us: Microseconds since 1970 at which the trace began, UTC.
        revealed: Whether secrets were kept.
        taken: What the operation took from outside besides answers, in order; see `card.cassette`.
    """

    exchanges: tuple[Exchange, ...]
    atr: bytes = b""
    reader: str = ""
    started_us: int = 0
    revealed: bool = False
    taken: tuple[bytes, ...] = ()


class Trace:
    """Keeps exchanges, masked while they are recorded.

    Args:
        reader: What the exchanges say of where the card was.
        reveal: Keep keys, PINs and personal data. For test cards only.
        limit: How many exchanges are kept; the oldest leave first.
        directories: Declared directories, to tell public files from others; add your own.
        clock_ns: Where durations come from.
    """

    def __init__(
        self,
        reader: str = "",
        *,
        reveal: bool = False,
        limit: int = EXCHANGES_MAX,
        directories: tuple[Directory, ...] = DIRECTORIES,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.reader = reader
        self.reveal = reveal
        self.atr = b""
        self.taken: list[bytes] = []
        self.dropped = 0
        self._clock_ns = clock_ns
        self._begin_ns = clock_ns()
        self._started_us = time.time_ns() // 1000
        self._kept: deque[Exchange] = deque(maxlen=limit)
        self._masker = Masker(directories)

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """Return what was recorded, in order."""
        return tuple(self._kept)

    def tape(self) -> Tape:
        """Return what was recorded so far as one value."""
        return Tape(
            self.exchanges,
            self.atr,
            self.reader,
            self._started_us,
            self.reveal,
            tuple(self.taken),
        )

    def __call__(self, command: CommandApdu, response: ResponseApdu) -> None:
        """Record an exchange as the observer of `card.operation.run`."""
        self.add(command.to_bytes(), response.data, response.sw)

    def watch(self, connection: CardConnection) -> TracedConnection:
        """Return a connection that records what goes through it."""
        self.atr = connection.atr
        self._masker.reset()
        return TracedConnection(connection, self)

    def now_us(self) -> int:
        """Return microseconds since the trace began."""
        return (self._clock_ns() - self._begin_ns) // 1000

    def add(
        self, command: bytes, answer: bytes, sw: int, began_us: int | None = None, error: str = ""
    ) -> None:
        """Mask and keep one exchange.

        Args:
            command: The command APDU.
            answer: The answer's data.
            sw: Status word, 0 if none came.
            began_us: When the command left, by `now_us`; now if not given.
            error: Code of the error that came instead of an answer.
        """
        now = self.now_us()
        began = now if began_us is None else began_us
        hidden_command, hidden_answer = self._masker.hide(command, answer, sw)
        if self.reveal:
            hidden_command = hidden_answer = ()
        if len(self._kept) == self._kept.maxlen:
            self.dropped += 1
        self._kept.append(
            Exchange(
                began,
                self.reader,
                overwritten(command, hidden_command),
                overwritten(answer, hidden_answer),
                sw,
                now - began,
                hidden_command,
                hidden_answer,
                error,
            )
        )


def overwritten(data: bytes, spans: Spans) -> bytes:
    """Return bytes with spans overwritten by zeros.

    >>> overwritten(bytes.fromhex("61626364"), ((1, 2),)).hex()
    '61000064'
    """
    if not spans:
        return data
    out = bytearray(data)
    for start, size in spans:
        end = min(start + size, len(out))
        out[start:end] = bytes(max(end - start, 0))
    return bytes(out)


class TracedConnection:
    """A card connection that records what goes through it; a failure is recorded too.

    Args:
        inner: The connection.
        trace: Where exchanges are kept.
    """

    def __init__(self, inner: CardConnection, trace: Trace) -> None:
        self._inner = inner
        self._trace = trace

    @property
    def atr(self) -> bytes:
        """The card's answer to reset."""
        return self._inner.atr

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Send a command, record it and its answer."""
        began = self._trace.now_us()
        try:
            data, sw = self._inner.transmit(apdu)
        except CardError as exc:
            self._trace.add(apdu, b"", 0, began, exc.code)
            raise
        self._trace.add(apdu, data, sw, began)
        return data, sw

    def close(self) -> None:
        """Let go of the card."""
        self._inner.close()
