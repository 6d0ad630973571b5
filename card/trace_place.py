# SPDX-License-Identifier: Apache-2.0
"""Where in a card's file system a conversation stands, told from its commands alone.

A trace needs it twice: to know whether the bytes of a READ BINARY are somebody's name, and to show
which field is which.
"""

from __future__ import annotations

from card.access import ALWAYS
from card.apdu import CommandApdu
from card.files import MASTER_FILE, MF_FID, VOLUNTEER, Directory, FileSpec
from card.status_words import OK

DIRECTORIES = (MASTER_FILE, VOLUNTEER)

_SELECT = 0xA4
_BY_NAME, _BY_FID = 0x04, 0x00
_BINARY = (0xB0, 0xD0, 0xD6)
_RECORD = (0xB2, 0xDC, 0xE2)
_UPDATES = (0xD0, 0xD6, 0xDC, 0xE2)
_SFI_FLAG, _SFI_MASK = 0x80, 0x1F


class Whereabouts:
    """Follows SELECT commands; what it is not sure of is unknown (None).

    Args:
        directories: The declared directories; add your own application's.

    >>> place = Whereabouts()
    >>> place.follow(CommandApdu(0, 0xA4, 4, 0, VOLUNTEER.name), OK)
    >>> place.file(CommandApdu(0, 0xB0, 0x80 | 0x15, 0, le=56)).label.en
    'public data'
    """

    def __init__(self, directories: tuple[Directory, ...] = DIRECTORIES) -> None:
        self._directories = directories
        self.directory: Directory | None = None
        self._current: FileSpec | None = None

    def reset(self) -> None:
        """Forget everything: the card was powered."""
        self.directory = None
        self._current = None

    def follow(self, command: CommandApdu, sw: int) -> None:
        """Note where a SELECT led. One that failed leaves the place unknown."""
        if command.ins != _SELECT:
            return
        inside = self.directory
        self.reset()
        if sw != OK and sw >> 8 not in (0x61, 0x62):
            return
        if command.p1 == _BY_NAME:
            self.directory = self._named(command.data)
        elif command.p1 == _BY_FID:
            self._enter(int.from_bytes(command.data, "big"), inside)

    def file(self, command: CommandApdu) -> FileSpec | None:
        """Return the declared file that a command reads or writes."""
        sfi = self._sfi(command)
        if sfi is None or self.directory is None:
            return None
        if sfi == 0:
            return self._current
        return next((spec for spec in self.directory.files if spec.sfi == sfi), None)

    @staticmethod
    def touches_content(command: CommandApdu) -> bool:
        """Whether a command reads or writes the content of a file."""
        return command.ins in _BINARY or command.ins in _RECORD

    @staticmethod
    def updates(command: CommandApdu) -> bool:
        """Whether the content is in the command rather than in the answer."""
        return command.ins in _UPDATES

    def _named(self, name: bytes) -> Directory | None:
        return next((item for item in self._directories if item.name == name and name), None)

    def _enter(self, fid: int, inside: Directory | None) -> None:
        if fid in (0, MF_FID):
            self.directory = MASTER_FILE
            return
        below = next((item for item in self._directories if item.fid == fid), None)
        if below is not None:
            self.directory = below
            return
        self.directory = inside
        if inside is not None:
            self._current = next((spec for spec in inside.files if spec.fid == fid), None)

    @staticmethod
    def _sfi(command: CommandApdu) -> int | None:
        """Return the short file identifier a command names, 0 for the current file."""
        if command.ins in _BINARY:
            return command.p1 & _SFI_MASK if command.p1 & _SFI_FLAG else 0
        if command.ins in _RECORD:
            return command.p2 >> 3
        return None


def is_public(spec: FileSpec) -> bool:
    """Whether anybody may read a file, so that its content is no secret."""
    return spec.read == ALWAYS
