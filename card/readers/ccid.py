# SPDX-License-Identifier: Apache-2.0
"""Messages of the chip card interface device class (CCID revision 1.1 §6), without any wire.

Every message is ten bytes of header and up to 261 of data: type, length (little-endian), slot,
sequence number, three bytes of its own.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from card.errors import MuteCard, NoCard, ReaderError
from card.readers.atr import T1, Atr

HEADER_BYTES = 10
MESSAGE_BYTES_MAX = 271  # dwMaxCCIDMessageLength of every serial model we know
DATA_BYTES_MAX = MESSAGE_BYTES_MAX - HEADER_BYTES

_HEADER = struct.Struct("<BIBB3s")
_ANSWER_TYPE = 0x80  # set in messages from the reader

FAILED, TIME_EXTENSION = 0x40, 0x80  # bmCommandStatus, upper bits of bStatus
_ICC_STATUS = 0x03

_ICC_MUTE = 0xFE  # bError: the card did not answer in its time


class Command(enum.IntEnum):
    """Messages to the reader that we use."""

    POWER_ON = 0x62
    POWER_OFF = 0x63
    SLOT_STATUS = 0x65
    ESCAPE = 0x6B
    TRANSFER = 0x6F
    SET_PARAMETERS = 0x61


class Icc(enum.IntEnum):
    """What a slot says of its card."""

    ACTIVE = 0
    INACTIVE = 1
    ABSENT = 2


class Voltage(enum.IntEnum):
    """Supply voltage asked for at power-on; 5 V first, as every driver of these readers does."""

    AUTOMATIC = 0
    V5 = 1
    V3 = 2
    V1_8 = 3


@dataclass(frozen=True, slots=True)
class Message:
    """One message to or from the reader.

    Attributes:
        kind: Message type.
        slot: Slot it concerns.
        sequence: Number that the answer repeats.
        data: Up to 261 bytes.
        own: The three bytes each message type uses in its own way.

    >>> Message(Command.POWER_ON, 0, 1, own=bytes((Voltage.V5, 0, 0))).to_bytes().hex()
    '62000000000001010000'
    """

    kind: int
    slot: int
    sequence: int
    data: bytes = b""
    own: bytes = bytes(3)

    def to_bytes(self) -> bytes:
        """Return the message as it goes over the wire."""
        head = _HEADER.pack(self.kind, len(self.data), self.slot, self.sequence, self.own)
        return head + self.data

    @classmethod
    def from_bytes(cls, raw: bytes) -> Message:
        """Parse a whole message.

        Raises:
            ReaderError: The lengths do not fit.
        """
        if not HEADER_BYTES <= len(raw) <= MESSAGE_BYTES_MAX:
            raise ReaderError(f"CCID message of {len(raw)} bytes")
        kind, size, slot, sequence, own = _HEADER.unpack_from(raw)
        if size != len(raw) - HEADER_BYTES:
            raise ReaderError(f"CCID length {size} in a message of {len(raw)} bytes")
        return cls(kind, slot, sequence, raw[HEADER_BYTES:], own)

    @property
    def from_reader(self) -> bool:
        """Whether it is an answer, not the echo of a command."""
        return bool(self.kind & _ANSWER_TYPE)

    @property
    def status(self) -> int:
        """Return bStatus of an answer."""
        return self.own[0]

    @property
    def error(self) -> int:
        """Return bError of an answer: why it failed, or how much more time is asked for."""
        return self.own[1]

    @property
    def icc(self) -> Icc:
        """Return what the slot says of its card; the reserved value counts as absent."""
        return Icc(min(self.status & _ICC_STATUS, Icc.ABSENT))

    @property
    def wants_time(self) -> bool:
        """Whether the reader asks us to wait longer."""
        return bool(self.status & TIME_EXTENSION)

    def check(self, detail: str) -> Message:
        """Return the message unless it says that the command failed.

        Raises:
            NoCard: The slot is empty. MuteCard: The card does not answer.
            ReaderError: Anything else; `detail` and the reader's number name it.
        """
        if not self.status & FAILED:
            return self
        if self.icc is Icc.ABSENT:
            raise NoCard(detail)
        if self.error == _ICC_MUTE:
            raise MuteCard
        raise ReaderError(f"{detail}: CCID error {self.error:02X}")


def parameters(atr: Atr, protocol: int, rate: int) -> bytes:
    """Return the protocol data of SetParameters (CCID §6.1.7).

    Args:
        atr: What the card said.
        protocol: 0 or 1.
        rate: Fi and Di in force, as one byte.
    """
    inverse = 0x02 if atr.inverse else 0x00
    if protocol == T1:
        check = 0x10 | inverse | atr.crc
        return bytes((rate, check, atr.extra_guard, atr.bwi_cwi, 0, atr.ifsc, 0))
    return bytes((rate, inverse, atr.extra_guard, atr.waiting_integer, 0))
