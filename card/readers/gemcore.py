# SPDX-License-Identifier: Apache-2.0
"""Framing of CCID messages on a serial line, as the GemPC Twin and its family have it.

```
03 06 <CCID message> LRC     a message; LRC is the exclusive or of all bytes before it
03 15 16                     the last frame came in distorted: send it again
50 02 · 50 03                a card was taken out, was put in (unasked)
80 … FF                      the card needs more time (T=0 only; for T=1 a message says so)
```

Source: `ccid_serial.c` of the free CCID driver, which speaks to these readers. Unlike it, a frame
with a wrong LRC is dropped here and asked for again; it is never taken for an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import xor

from card.readers.ccid import DATA_BYTES_MAX, HEADER_BYTES

SYNC, ACK, NAK = 0x03, 0x06, 0x15
MOVED, TAKEN_OUT, PUT_IN = 0x50, 0x02, 0x03
REPEAT = bytes((SYNC, NAK, SYNC ^ NAK))
_TIME = 0x80
_LENGTH = slice(3, 7)  # dwLength in a frame: after SYNC, ACK and the message type
_LENGTH_KNOWN = 7


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole message that came in with the right LRC."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Repeat:
    """The reader did not understand our last frame."""


@dataclass(frozen=True, slots=True)
class Movement:
    """A card was put in or taken out of the main slot."""

    present: bool


@dataclass(frozen=True, slots=True)
class TimeRequest:
    """The card is still computing."""


@dataclass(frozen=True, slots=True)
class Distorted:
    """Something came that is no frame; `reason` says what is wrong with it."""

    reason: str


Signal = Frame | Repeat | Movement | TimeRequest | Distorted


def frame(message: bytes) -> bytes:
    """Wrap a CCID message.

    >>> frame(bytes.fromhex("65000000000001000000")).hex()
    '03066500000000000100000061'
    """
    body = bytes((SYNC, ACK)) + message
    return body + bytes([reduce(xor, body)])


class Deframer:
    """Cuts what comes in from the line into signals; holds at most one unfinished frame.

    After `Distorted` it is deaf until `reset`: the rest of a broken frame must not be taken for
    movements of a card. The caller resets it when the line has fallen silent.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._deaf = False

    @property
    def pending(self) -> bool:
        """Whether a frame has begun and is not complete, or what comes is being thrown away."""
        return self._deaf or bool(self._buffer)

    def reset(self) -> None:
        """Forget what is unfinished and listen again."""
        self._buffer.clear()
        self._deaf = False

    def feed(self, received: bytes) -> list[Signal]:
        """Take in bytes and return what they complete.

        >>> Deframer().feed(bytes.fromhex("5003 03151690"))
        [Movement(present=True), Repeat(), TimeRequest()]
        """
        signals: list[Signal] = []
        for octet in received:
            if self._deaf:
                break
            self._buffer.append(octet)
            signal = self._complete()
            if signal is not None:
                self._buffer.clear()
                self._deaf = isinstance(signal, Distorted)
                signals.append(signal)
        return signals

    def _complete(self) -> Signal | None:
        first, size = self._buffer[0], len(self._buffer)
        if first >= _TIME:
            return TimeRequest()
        if first == MOVED:
            return self._movement() if size == 2 else None
        if first != SYNC:
            return Distorted(f"byte {first:02X} between frames")
        if size == 1:
            return None
        if self._buffer[1] == NAK:
            return self._nak() if size == len(REPEAT) else None
        if self._buffer[1] != ACK:
            return Distorted(f"control byte {self._buffer[1]:02X}")
        return self._message(size)

    def _movement(self) -> Signal:
        known = {TAKEN_OUT: Movement(present=False), PUT_IN: Movement(present=True)}
        return known.get(self._buffer[1], Distorted(f"slot state {self._buffer[1]:02X}"))

    def _nak(self) -> Signal:
        return Repeat() if self._buffer == REPEAT else Distorted("LRC of a NAK")

    def _message(self, size: int) -> Signal | None:
        if size < _LENGTH_KNOWN:
            return None
        length = int.from_bytes(self._buffer[_LENGTH], "little")
        if length > DATA_BYTES_MAX:
            return Distorted(f"length {length}")
        if size < 2 + HEADER_BYTES + length + 1:
            return None
        if reduce(xor, self._buffer):
            return Distorted("LRC")
        return Frame(bytes(self._buffer[2:-1]))
