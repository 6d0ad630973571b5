# SPDX-License-Identifier: Apache-2.0
"""Messages over a serial line that loses, doubles and spoils bytes: frames, windows, no clock.

A frame is COBS(kind ‖ session ‖ number ‖ piece ‖ CRC-32C) and one zero byte, so a reader that
comes in at any point is in step again at the next zero. A message is cut into pieces; the sender
keeps a window of them under way and repeats from the first one not acknowledged. Nothing here is
secret or signed: what is carried is signed above, and whoever carries it need not be trusted.
The layout and examples are in docs/spec/serial-link.md.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from swipe.errors import FieldError, TooMany, WrongLength

# kind, session, number: of the piece in PIECE and LAST, of the next one wanted in ACK
HEAD = struct.Struct(">BIH")
CRC_SIZE = 4
# One COBS block: head, piece and check fit 254 bytes, and a spoilt bit costs a quarter kilobyte.
PIECE_MAX = 240
FRAME_MAX = HEAD.size + PIECE_MAX + CRC_SIZE + 2  # with the COBS byte and the zero
WINDOW = 16  # 4 kB under way: a third of a second at 115 200 baud
# Beyond the largest answer a terminal takes, and below what 16 bits can number.
MESSAGE_MAX = 4 * 1024 * 1024
# Repeat after this long without an acknowledgement, or after twice the time a window takes.
REPEAT_S = 0.5
AGAIN_MAX = 3  # the same acknowledgement so often: one late frame is not taken for a lost one
BITS_PER_BYTE = 10  # with start and stop bit
_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), reflected


class Kind(enum.IntEnum):
    """What a frame is; the gateway's have bit 7, so that an echo is told from an answer."""

    PIECE = 0x11
    LAST = 0x12
    ACK = 0x13
    BUSY = 0x14
    DROP = 0x15


GATEWAY = 0x80


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; `session` names the exchange and is chosen by the terminal."""

    kind: Kind
    session: int
    number: int = 0
    piece: bytes = b""
    from_gateway: bool = False

    def to_bytes(self) -> bytes:
        """Give the bytes on the line, the zero included."""
        if len(self.piece) > PIECE_MAX:
            raise TooMany("bytes in a piece", PIECE_MAX, len(self.piece))
        kind = self.kind | (GATEWAY if self.from_gateway else 0)
        content = HEAD.pack(kind, self.session, self.number) + self.piece
        return cobs(content + crc32c(content).to_bytes(CRC_SIZE)) + b"\0"

    @classmethod
    def from_bytes(cls, coded: bytes) -> Frame:
        """Read what stood between two zeros.

        Raises:
            WrongLength, FieldError: It is no frame, or a spoilt one.
        """
        content = uncobs(coded)
        if not HEAD.size + CRC_SIZE <= len(content) <= HEAD.size + PIECE_MAX + CRC_SIZE:
            raise WrongLength("frame", HEAD.size + CRC_SIZE, len(content))
        if crc32c(content[:-CRC_SIZE]) != int.from_bytes(content[-CRC_SIZE:]):
            raise FieldError("crc", "spoilt on the line")
        code, session, number = HEAD.unpack_from(content)
        try:
            kind = Kind(code & ~GATEWAY)
        except ValueError as exc:
            raise FieldError("kind", f"{code:#04x} is none") from exc
        return cls(kind, session, number, content[HEAD.size : -CRC_SIZE], bool(code & GATEWAY))


class FrameDecoder:
    """Find the frames in a stream of bytes; what is spoilt is counted and left out."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self.spoilt = 0

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that end in these bytes."""
        found = []
        *ended, rest = data.split(b"\0")
        for part in ended:
            self._keep(part)
            if self._kept:
                try:
                    found.append(Frame.from_bytes(bytes(self._kept)))
                except (WrongLength, FieldError):
                    self.spoilt += 1
            self._kept.clear()
        self._keep(rest)
        return found

    def _keep(self, part: bytes) -> None:
        """Keep the beginning of a frame, and of noise no more than shows that it is none."""
        self._kept += part[: FRAME_MAX + 1 - len(self._kept)]


@dataclass(slots=True)
class Sender:
    """One message on its way: which pieces are due, and which have arrived."""

    session: int
    message: bytes
    from_gateway: bool = False
    repeat_s: float = REPEAT_S
    _acked: int = 0
    _next: int = 0
    _repeat_at: float = 0.0
    _asked_again: int = 0

    def __post_init__(self) -> None:
        if len(self.message) > MESSAGE_MAX:
            raise TooMany("bytes in a message", MESSAGE_MAX, len(self.message))

    @property
    def pieces(self) -> int:
        """Return how many pieces the message has; an empty one has one."""
        return max(1, -(-len(self.message) // PIECE_MAX))

    @property
    def done(self) -> bool:
        """Say whether everything is acknowledged."""
        return self._acked >= self.pieces

    @property
    def heard(self) -> bool:
        """Say whether anything is acknowledged."""
        return self._acked > 0

    def due(self, now: float) -> Iterator[Frame]:
        """Give the frames to be written at this moment, in seconds of any steady clock."""
        if not self.done and self._next > self._acked and now >= self._repeat_at:
            self._next = self._acked
        while self._next < min(self.pieces, self._acked + WINDOW):
            yield self._frame(self._next)
            self._next += 1
            self._repeat_at = now + self.repeat_s

    def acknowledged(self, wanted: int, now: float) -> None:
        """Take note that everything before a piece has arrived; less than before is old news.

        The same again and again means that a piece is missing: it is repeated at once.
        """
        if self._acked < wanted <= self.pieces:
            self._acked = wanted
            self._next = max(self._next, wanted)
            self._repeat_at = now + self.repeat_s
            self._asked_again = 0
        elif wanted == self._acked < self._next:
            self._asked_again += 1
            if self._asked_again == AGAIN_MAX:  # later pieces arrive, this one did not
                self._next = self._acked
                self._asked_again = -WINDOW

    def _frame(self, number: int) -> Frame:
        kind = Kind.LAST if number == self.pieces - 1 else Kind.PIECE
        piece = self.message[number * PIECE_MAX : (number + 1) * PIECE_MAX]
        return Frame(kind, self.session, number, piece, self.from_gateway)


@dataclass(slots=True)
class Receiver:
    """One message coming in: pieces in order, anything else only acknowledged again."""

    session: int
    limit: int = MESSAGE_MAX
    complete: bool = False
    _pieces: list[bytes] = field(default_factory=list)
    _size: int = 0

    @property
    def wanted(self) -> int:
        """Return the number of the piece that is missing next."""
        return len(self._pieces)

    @property
    def message(self) -> bytes:
        """Return what has come so far."""
        return b"".join(self._pieces)

    def take(self, frame: Frame) -> None:
        """Take a PIECE or LAST if it is the one that is missing.

        Raises:
            TooMany: The message is longer than the limit.
        """
        if self.complete or frame.number != self.wanted:
            return
        self._size += len(frame.piece)
        if self._size > self.limit:
            raise TooMany("bytes in a message", self.limit, self._size)
        self._pieces.append(frame.piece)
        self.complete = frame.kind is Kind.LAST


def repeat_s(baud: int) -> float:
    """Return how long to wait for an acknowledgement at a line speed, in seconds.

    >>> repeat_s(115_200), round(repeat_s(9600), 1)
    (0.7027777777777777, 8.4)
    """
    return max(REPEAT_S, 2 * WINDOW * FRAME_MAX * BITS_PER_BYTE / baud)


def cobs(data: bytes) -> bytes:
    """Write bytes without a zero: each zero becomes the distance to the next (Cheshire and Baker).

    >>> cobs(bytes.fromhex("11220033")).hex()
    '0311220233'
    """
    out = bytearray()
    for run in data.split(b"\0"):
        for at in range(0, len(run) - 253, 254):
            out += b"\xff" + run[at : at + 254]
        rest = run[len(run) // 254 * 254 :]
        out += bytes([len(rest) + 1]) + rest
    return bytes(out)


def uncobs(coded: bytes) -> bytes:
    """Read what `cobs` wrote.

    Raises:
        FieldError: A distance of zero, or one that leads beyond the end.

    >>> uncobs(bytes.fromhex("0311220233")).hex()
    '11220033'
    """
    out = bytearray()
    at = 0
    while at < len(coded):
        step = coded[at]
        if step == 0 or at + step > len(coded):
            raise FieldError("cobs", "a distance that leads nowhere")
        out += coded[at + 1 : at + step]
        at += step
        if step < 0xFF and at < len(coded):
            out.append(0)
    return bytes(out)


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (RFC 3720 appendix B.4) of some bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    value = 0xFFFF_FFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFF_FFFF
