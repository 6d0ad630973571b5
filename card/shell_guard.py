# SPDX-License-Identifier: Apache-2.0
"""Which raw commands may cost a card something, told by the declarations before they are sent."""

from __future__ import annotations

from card.apdu import CommandApdu
from card.declared import find_command
from card.status_words import Text

_UNDECLARED = Text("未声明的指令", "undeclared: nobody knows what it does")
_WRITES = Text("会改写卡片", "it changes the card")
_COUNTED = Text("会消耗错误计数", "a wrong one costs a try")


def risk(command: CommandApdu) -> Text | None:
    """Return why a command should not be sent lightly, or None if it only reads.

    A counted command without data, such as a plain READ BINARY, tries no key and no PIN.

    >>> risk(CommandApdu(0x00, 0x20, 0x00, 0x00, b"1234")).en
    'it changes the card'
    >>> risk(CommandApdu(0x00, 0x84, 0x00, 0x00, le=4)) is None
    True
    """
    spec = find_command(command)
    if spec is None:
        return _UNDECLARED
    if spec.writes:
        return _WRITES
    return _COUNTED if spec.counted and command.data else None


def holds_secret(command: CommandApdu) -> bool:
    """Whether a command carries a key or PIN, or may for all we know."""
    spec = find_command(command)
    if spec is None:
        return bool(command.data)
    return bool(command.data) and any(part.secret for part in spec.data_parts(command.cla))
