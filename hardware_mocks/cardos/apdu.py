# SPDX-License-Identifier: Apache-2.0
"""A short command APDU as the card receives it (ISO/IEC 7816-4, cases 1 to 4)."""

from __future__ import annotations

from dataclasses import dataclass

from hardware_mocks.cardos import sw
from hardware_mocks.cardos.errors import Refused

HEADER = 4


@dataclass(frozen=True, slots=True)
class Command:
    """One command; `data` is None where there is no Lc, `le` is None where there is no Le.

    An Le of 0 means "all there is, at most 256 bytes".
    """

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes | None = None
    le: int | None = None

    @classmethod
    def parse(cls, apdu: bytes) -> Command:
        """Split the bytes of a short APDU.

        Raises:
            Refused: 6700 where Lc does not fit the bytes that follow.

        >>> Command.parse(bytes.fromhex("00B095001E")).le
        30
        """
        if len(apdu) < HEADER:
            raise Refused(sw.WRONG_LENGTH)
        cla, ins, p1, p2 = apdu[:HEADER]
        body = apdu[HEADER:]
        if len(body) <= 1:
            return cls(cla, ins, p1, p2, None, body[0] if body else None)
        length, rest = body[0], body[1:]
        if length == 0 or len(rest) not in (length, length + 1):
            raise Refused(sw.WRONG_LENGTH)
        le = rest[length] if len(rest) > length else None
        return cls(cla, ins, p1, p2, rest[:length], le)

    @property
    def secure(self) -> bool:
        """Whether the low nibble of CLA asks for secure messaging."""
        return self.cla & 0x0F == 0x04

    @property
    def header(self) -> bytes:
        """CLA INS P1 P2."""
        return bytes((self.cla, self.ins, self.p1, self.p2))

    def body(self, *lengths: int) -> bytes:
        """Return the data field; refuse with 6700 where it is missing or of another length."""
        if self.data is None or (lengths and len(self.data) not in lengths):
            raise Refused(sw.WRONG_LENGTH)
        return self.data
