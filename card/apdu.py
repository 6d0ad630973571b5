# SPDX-License-Identifier: Apache-2.0
"""Command and response APDUs, short form (ISO/IEC 7816-4 §5.1, ISO/IEC 7816-3 §12.1)."""

from __future__ import annotations

from dataclasses import dataclass

from card.errors import MalformedApdu

HEADER_BYTES = 4
DATA_BYTES_MAX = 255  # short APDUs only: no PBOC card we know takes more
LE_MAX = 256  # coded 00: everything the card has
RESPONSE_BYTES_MAX = LE_MAX + 2

SECURE_MESSAGING = 0x04  # CLA bit: the command carries a MAC


@dataclass(frozen=True, slots=True)
class CommandApdu:
    """One command to a card.

    Attributes:
        cla: Class byte.
        ins: Instruction byte.
        p1: First parameter.
        p2: Second parameter.
        data: Command data, at most 255 bytes; Lc is its length.
        le: Bytes expected back (256 is coded 00), or None if none are announced.

    >>> CommandApdu(0x00, 0xB0, 0x95, 0x00, le=30).to_bytes().hex().upper()
    '00B095001E'
    """

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    le: int | None = None

    def __post_init__(self) -> None:
        if (self.cla | self.ins | self.p1 | self.p2) & ~0xFF:  # too large, or negative
            raise MalformedApdu("header")
        if len(self.data) > DATA_BYTES_MAX:
            raise MalformedApdu("data")
        if self.le is not None and not 0 < self.le <= LE_MAX:
            raise MalformedApdu("le")

    @property
    def header(self) -> bytes:
        """Return CLA INS P1 P2."""
        return bytes((self.cla, self.ins, self.p1, self.p2))

    def to_bytes(self) -> bytes:
        """Return the command as it goes to the card."""
        tail = b"" if self.le is None else bytes((self.le % LE_MAX,))
        if not self.data:
            return self.header + tail
        return bytes((self.cla, self.ins, self.p1, self.p2, len(self.data))) + self.data + tail

    @classmethod
    def from_bytes(cls, apdu: bytes) -> CommandApdu:
        """Parse a short command APDU of any of the four cases.

        Raises:
            MalformedApdu: The lengths do not fit.

        >>> CommandApdu.from_bytes(bytes.fromhex("00A40000023F0000")).le
        256
        """
        if len(apdu) < HEADER_BYTES:
            raise MalformedApdu("header")
        cla, ins, p1, p2 = apdu[:HEADER_BYTES]
        body = apdu[HEADER_BYTES:]
        if len(body) <= 1:
            return cls(cla, ins, p1, p2, le=(body[0] or LE_MAX) if body else None)
        size = body[0]
        data, tail = body[1 : 1 + size], body[1 + size :]
        if size == 0 or len(data) != size or len(tail) > 1:
            raise MalformedApdu("data")
        return cls(cla, ins, p1, p2, data, (tail[0] or LE_MAX) if tail else None)


@dataclass(frozen=True, slots=True)
class ResponseApdu:
    """One answer of a card: data and status word.

    >>> hex(ResponseApdu.from_bytes(bytes.fromhex("01029000")).sw)
    '0x9000'
    """

    data: bytes
    sw: int

    @classmethod
    def from_bytes(cls, apdu: bytes) -> ResponseApdu:
        """Split an answer into data and status word.

        Raises:
            MalformedApdu: Shorter than a status word, or longer than a short APDU.
        """
        if not 2 <= len(apdu) <= RESPONSE_BYTES_MAX:
            raise MalformedApdu("response")
        return cls(apdu[:-2], int.from_bytes(apdu[-2:], "big"))
