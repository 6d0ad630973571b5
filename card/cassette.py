# SPDX-License-Identifier: Apache-2.0
"""Cassettes: record a conversation with a card, replay it strictly, minimise one that fails.

A cassette is a trace file (`card.trace_file`). `Recorder` and `Player` are card connections.
Replay is strict: the first command that differs from the recorded one stops it with both. What was
masked at recording is compared by length only, and an answer that was masked cannot be played; a
cassette of a test card is recorded with `Trace(reveal=True)`.

What the host draws by chance goes through `random`, so that a replayed operation sends the very
bytes it sent when it was recorded; the card's own taken are in its answers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from card import errors, trace_file
from card.errors import (
    CardError,
    CardRemoved,
    CassetteMasked,
    CassetteMismatch,
    MuteCard,
    NoReader,
    ReaderError,
)
from card.readers import CardConnection
from card.trace import Tape, Trace, TracedConnection, overwritten
from card.trace_mask import Masker

T = TypeVar("T")


class Recorder(TracedConnection):
    """A connection that records exchanges and what an operation takes from outside.

    Args:
        inner: The connection to the card.
        trace: Where they are kept; make it with `reveal=True` if protected answers shall be
            played later.
    """

    def __init__(self, inner: CardConnection, trace: Trace) -> None:
        trace.watch(inner)
        super().__init__(inner, trace)
        self._taken = trace.taken

    def once(self, ask: Callable[[], bytes], /) -> bytes:
        """Take something from outside and record it."""
        value = ask()
        self._taken.append(value)
        return value

    def random(self, size: int, /) -> bytes:
        """Draw random bytes and record them."""
        return self.once(lambda: os.urandom(size))


class Player:
    """A card connection that answers from a tape, in order, and only to what was recorded.

    >>> from card.trace import Exchange
    >>> tape = Tape((Exchange(0, "", bytes.fromhex("0084000004"), b"abcd", 0x9000),))
    >>> Player(tape).transmit(bytes.fromhex("0084000004"))
    (b'abcd', 36864)
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._next = 0
        self._taken = 0

    @property
    def atr(self) -> bytes:
        """The recorded card's answer to reset."""
        return self._tape.atr

    @property
    def played(self) -> int:
        """Return how many exchanges were played."""
        return self._next

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Compare a command with the recorded one and return the recorded answer.

        Raises:
            CassetteMismatch: It differs, or nothing is left.
            CassetteMasked: The recorded answer was masked.
            CardError: What happened instead of an answer when it was recorded.
        """
        number = self._next + 1
        if self._next == len(self._tape.exchanges):
            raise CassetteMismatch(number, b"", _masked(apdu))
        item = self._tape.exchanges[self._next]
        if overwritten(apdu, item.hidden_command) != item.command:
            raise CassetteMismatch(number, _masked(item.command), _masked(apdu))
        if item.hidden_answer:
            raise CassetteMasked(number)
        self._next += 1
        if item.error:
            raise _recorded(item.error)
        return item.answer, item.sw

    def once(self, ask: Callable[[], bytes], /) -> bytes:  # noqa: ARG002 - nobody is asked
        """Return what was taken from outside at this place when it was recorded.

        Raises:
            CassetteMismatch: Nothing more was.
        """
        if self._taken == len(self._tape.taken):
            raise CassetteMismatch(self._next + 1, b"", b"")
        self._taken += 1
        return self._tape.taken[self._taken - 1]

    def random(self, size: int, /) -> bytes:
        """Return the next random draw as it was recorded.

        Raises:
            CassetteMismatch: None is left, or it had another size.
        """
        drawn = self.once(bytes)
        if len(drawn) != size:
            raise CassetteMismatch(self._next + 1, drawn, b"")
        return drawn

    def finish(self) -> None:
        """Check that everything was played.

        Raises:
            CassetteMismatch: Exchanges are left; names the first.
        """
        if self._next < len(self._tape.exchanges):
            raise CassetteMismatch(self._next + 1, self._tape.exchanges[self._next].command, b"")

    def close(self) -> None:
        """Let go; what was not played stays so."""


class CassetteReader:
    """A reader that holds one card: that of a cassette file. `name` is `cassette:FILE`.

    Args:
        path: The trace file.

    Raises:
        LayoutError: It is no trace.
        NoReader: There is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.name = f"cassette:{path}"
        try:
            self._tape = trace_file.load(path)
        except OSError as exc:
            raise NoReader(f"{path}: {exc.strerror}") from exc

    def wait_card(self, timeout_s: float) -> bool:  # noqa: ARG002 - the protocol's argument
        """Return at once: the card is there."""
        return True

    def wait_removed(self, timeout_s: float) -> bool:  # noqa: ARG002 - the protocol's argument
        """Return at once: the card stays."""
        return False

    def connect(self) -> Player:
        """Play the cassette from its beginning."""
        return Player(self._tape)

    def close(self) -> None:
        """Let go of nothing."""


def _masked(command: bytes) -> bytes:
    """Return a command fit for a message, whatever it is."""
    return overwritten(command, Masker().hide(command, b"", 0)[0])


# What a connection raises instead of an answer, by code; others are played as a removed card.
_KNOWN: dict[str, type[CardError]] = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, (CardRemoved, MuteCard, ReaderError))
}


def _recorded(code: str) -> CardError:
    return _KNOWN.get(code, CardRemoved)()


def minimise(items: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> list[T]:
    """Return a part of a failing sequence that still fails and from which no item can be left out.

    Delta debugging (Zeller and Hildebrandt, 2002, "ddmin"): the order is kept. The predicate is
    asked at most about n² times for n items.

    Args:
        items: A sequence that fails.
        fails: Whether a sequence fails; must not depend on earlier calls.

    Raises:
        ValueError: The whole sequence does not fail.

    >>> minimise(range(100), lambda part: 7 in part and 40 in part)
    [7, 40]
    """
    kept = list(items)
    if not fails(kept):
        raise ValueError("the whole sequence does not fail")
    parts = 2
    while len(kept) >= 2:
        shorter = _without_one_part(kept, parts, fails)
        if shorter is not None:
            kept, parts = shorter, max(parts - 1, 2)
        elif parts >= len(kept):
            break
        else:
            parts = min(parts * 2, len(kept))
    return [] if len(kept) == 1 and fails([]) else kept


def _without_one_part(
    kept: list[T], parts: int, fails: Callable[[Sequence[T]], bool]
) -> list[T] | None:
    """Return the sequence without the first part it can do without, or None."""
    size = -(-len(kept) // parts)
    for start in range(0, len(kept), size):
        shorter = kept[:start] + kept[start + size :]
        if shorter and fails(shorter):
            return shorter
    return None
