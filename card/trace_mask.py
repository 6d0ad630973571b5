# SPDX-License-Identifier: Apache-2.0
"""Which bytes of an exchange are secret, by the declarations of commands and files.

Secret are the parts a declaration marks so (keys, PINs) and the content of every file that not
everybody may read. What nothing is declared about counts as secret: an unknown command's data and
answer, a file of an unknown application, a command that does not fit its declaration.
"""

from __future__ import annotations

from card.apdu import HEADER_BYTES, CommandApdu
from card.declared import find
from card.declared_types import MAC_BYTES, Part, split
from card.errors import LayoutError, MalformedApdu
from card.files import MASTER_FILE, Directory
from card.psam import NUMBER_SFI, SERIAL_SFI
from card.trace_place import DIRECTORIES, Whereabouts, is_public

Span = tuple[int, int]
Spans = tuple[Span, ...]

_DATA_AT = HEADER_BYTES + 1
_MASK = "×"
_GET_RESPONSE = 0xC0
_SECURE = 0x04
# A PSAM's serial and terminal number stand in its master file; a volunteer card's has no files.
_PUBLIC_IN_MF = (SERIAL_SFI, NUMBER_SFI)


class Masker:
    """Finds the secret bytes of exchanges, one after the other.

    Args:
        directories: The declared directories; add your own application's.

    >>> masker = Masker()
    >>> masker.hide(bytes.fromhex("0020000003123456"), b"", 0x9000)
    (((5, 3),), ())
    """

    def __init__(self, directories: tuple[Directory, ...] = DIRECTORIES) -> None:
        self._place = Whereabouts(directories)

    def reset(self) -> None:
        """Forget where the conversation stood: the card was powered."""
        self._place.reset()

    def hide(self, command: bytes, answer: bytes, sw: int) -> tuple[Spans, Spans]:
        """Return offset and size of the secret runs of a command and of its answer."""
        try:
            parsed = CommandApdu.from_bytes(command)
        except MalformedApdu:
            return _all(command, HEADER_BYTES), _all(answer)
        hidden = self._spans(parsed, answer)
        self._place.follow(parsed, sw)
        return hidden

    def _spans(self, command: CommandApdu, answer: bytes) -> tuple[Spans, Spans]:
        spec = find(command.to_bytes())
        if spec is None or command.ins == _GET_RESPONSE:
            return _data(command), _all(answer)
        if Whereabouts.touches_content(command) and not self._public(command):
            if Whereabouts.updates(command):
                mac = MAC_BYTES if command.cla & _SECURE else 0
                size = max(len(command.data) - mac, 0)
                return ((_DATA_AT, size),) if size else (), ()
            return (), _all(answer)
        in_command = _secret(spec.name, spec.data_parts(command.cla), command.data, _DATA_AT)
        return in_command, _secret(spec.name, spec.answer_parts(command.cla), answer, 0)

    def _public(self, command: CommandApdu) -> bool:
        spec = self._place.file(command)
        if spec is not None:
            return is_public(spec)
        return self._place.directory is MASTER_FILE and command.p1 & 0x1F in _PUBLIC_IN_MF


def _secret(title: str, parts: tuple[Part, ...], data: bytes, base: int) -> Spans:
    """Return the secret parts; all of it if it does not fit and any part is secret."""
    secret = {part.name for part in parts if part.secret}
    if not secret or not data:
        return ()
    try:
        found = list(split(title, parts, data))
    except LayoutError:
        return ((base, len(data)),)
    spans: list[Span] = []
    at = base
    for name, value in found:
        if name in secret and value:
            spans.append((at, len(value)))
        at += len(value)
    return tuple(spans)


def _data(command: CommandApdu) -> Spans:
    return ((_DATA_AT, len(command.data)),) if command.data else ()


def _all(data: bytes, base: int = 0) -> Spans:
    return ((base, len(data) - base),) if len(data) > base else ()


def masked(data: bytes, spans: Spans) -> str:
    """Return bytes as hex, secret ones as crosses.

    >>> masked(bytes.fromhex("0020000003123456"), ((5, 3),))
    '0020000003××××××'
    """
    shown = list(data.hex().upper())
    for offset, size in spans:
        shown[2 * offset : 2 * (offset + size)] = _MASK * (2 * size)
    return "".join(shown)
