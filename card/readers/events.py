# SPDX-License-Identifier: Apache-2.0
"""What a watch of readers tells, and how presentations are counted out of what a reader shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

# A reader that counts more movements between two looks is broken; the rest of them is nothing.
MOVEMENTS_MAX = 64


@dataclass(frozen=True, slots=True)
class CardInserted:
    """A card was put on a reader.

    Attributes:
        reader: The reader's name, good for `open_reader`.
        atr: Its answer to reset; empty where it is not known: a card that has left again
            already, a mute one, any card in a serial reader before it is connected to.
        mute: The reader has tried to power it and it did not answer.
    """

    reader: str
    atr: bytes = b""
    mute: bool = False


@dataclass(frozen=True, slots=True)
class CardRemoved:
    """The card on a reader has left, or its reader or service has."""

    reader: str


@dataclass(frozen=True, slots=True)
class ReaderLost:
    """A reader that is watched is not there."""

    reader: str


@dataclass(frozen=True, slots=True)
class ReaderBack:
    """A reader is there again, or is new."""

    reader: str


@dataclass(frozen=True, slots=True)
class ServiceLost:
    """The PC/SC service is not there, and with it no PC/SC reader; all their cards have left."""


@dataclass(frozen=True, slots=True)
class ServiceBack:
    """The PC/SC service is there again; cards that lie on its readers follow as inserted."""


Event: TypeAlias = CardInserted | CardRemoved | ReaderLost | ReaderBack | ServiceLost | ServiceBack


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a reader shows: a card or none, and how many movements there were so far."""

    present: bool
    count: int
    atr: bytes = b""
    mute: bool = False


class Presence:
    """Turns looks at one reader into insertions and removals, none of them left out.

    A reader counts its movements; a card that came and went between two looks is told by the
    count, and one that was exchanged too.

    Args:
        reader: The reader's name.
        modulus: Where its count begins again.
    """

    def __init__(self, reader: str, modulus: int) -> None:
        self.reader = reader
        self._modulus = modulus
        self._last: Look | None = None

    def look(self, now: Look) -> list[Event]:
        """Return what has happened since the last look.

        >>> presence = Presence("pcsc:a", 1 << 16)
        >>> presence.look(Look(False, 0)), presence.look(Look(False, 2))
        ([], [CardInserted(reader='pcsc:a', atr=b'', mute=False), CardRemoved(reader='pcsc:a')])
        """
        before, self._last = self._last, now
        inserted = CardInserted(self.reader, now.atr, now.mute)
        if before is None:
            return [inserted] if now.present else []
        moves = min((now.count - before.count) % self._modulus, MOVEMENTS_MAX)
        if (moves % 2 == 1) != (before.present != now.present):
            moves += 1
        events: list[Event] = []
        present = before.present
        for _ in range(moves):
            present = not present
            events.append(CardInserted(self.reader) if present else CardRemoved(self.reader))
        if events and now.present:
            events[-1] = inserted
        return events

    def lose(self) -> list[Event]:
        """Return the removal of a card that lay there when reader or service went away."""
        before, self._last = self._last, None
        return [CardRemoved(self.reader)] if before is not None and before.present else []
