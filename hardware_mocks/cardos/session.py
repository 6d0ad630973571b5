# SPDX-License-Identifier: Apache-2.0
"""What a card knows only while it has power: where it stands, who proved what, what is pending."""

from __future__ import annotations

from dataclasses import dataclass, field

from hardware_mocks.cardos import sw
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.state import CardImage, Df, Ef

# A directory tree has at most three levels, the MF included (FMCOS 2.0 user manual 7.13.5).
LEVELS_MAX = 3


@dataclass(slots=True)
class CachedRecord:
    """A record that UPDATE CAPP DATA CACHE holds in RAM until the debit commits it."""

    fid: int
    index: int
    record: bytes


@dataclass(slots=True)
class Pending:
    """A purse transaction between INITIALIZE and its second command."""

    command: int  # P1 of INITIALIZE: 00 load, 01 purchase, 03 composite purchase
    kind: int  # transaction type byte
    fid: int
    key_number: int
    amount: int
    terminal: bytes
    random: bytes
    cache: list[CachedRecord] = field(default_factory=list)


class Session:
    """The volatile half of a card."""

    def __init__(self, image: CardImage) -> None:
        self.image = image
        self.path: list[Df] = []
        self.ef: Ef | None = None
        self.pointer: int | None = None
        self.register = 0
        self.mf_register = 0
        self.free = False
        self.challenge: bytes | None = None  # for the command that runs now
        self.next_challenge: bytes | None = None  # for the command after it
        self.pending: Pending | None = None
        if image.mf:
            self.enter([image.mf])

    @property
    def df(self) -> Df:
        """The current directory; refuse with 6A81 where the card has no MF yet."""
        if not self.path:
            raise Refused(sw.UNSUPPORTED)
        return self.path[-1]

    @property
    def in_mf(self) -> bool:
        """Whether the MF is the current directory."""
        return len(self.path) == 1

    def enter(self, path: list[Df]) -> None:
        """Make the last directory of the path the current one.

        Its register becomes 0, in the MF that of the MF (user manual 7.4). A directory without
        keys is free until it is left.
        """
        self.path = path
        self.ef = None
        self.pointer = None
        self.pending = None
        self.challenge = None
        self.register = self.mf_register if len(path) == 1 else 0
        self.free = path[-1].unprotected

    def proven(self, next_state: int) -> None:
        """Set the register after a proof; in the MF this is the register of the MF as well."""
        self.register = next_state
        if self.in_mf:
            self.mf_register = next_state

    def require(self, right: int) -> None:
        """Refuse with 6982 unless the security registers meet an access right.

        `0Y`: the register of the MF is at least Y. `XY`: the current register is at least Y
        and at most X; with X below Y, never (user manual 5.2).
        """
        if self.free:
            return
        high, low = right >> 4, right & 0x0F
        met = self.mf_register >= low if high == 0 else low <= self.register <= high
        if not met:
            raise Refused(sw.ACCESS_DENIED)

    def file(self, sfi: int) -> Ef:
        """Find a file by its short identifier, 0 for the current one, and make it current."""
        if sfi == 0:
            if self.ef is None:
                raise Refused(sw.NO_CURRENT_EF)
            return self.ef
        ef = self.df.files.get(sfi)
        if ef is None:
            raise Refused(sw.FILE_NOT_FOUND)
        if ef is not self.ef:
            self.ef = ef
            self.pointer = None
        return ef
