# SPDX-License-Identifier: Apache-2.0
"""The operator's keys: 0 to 9, ✓ and ✗, one byte each."""

from __future__ import annotations

import enum
from typing import Protocol

from terminal.serial_line import SerialLine

KEYS_MAX = 64  # nobody presses faster than the program looks; the rest of a burst is dropped


class Key(enum.Enum):
    """The keys by their byte, named after what they do in service; ✓ is CR, ✗ is ESC."""

    AUTO = b"0"
    IN = b"1"
    UNDO = b"2"
    OUT = b"3"
    GUARDIAN = b"4"
    SWITCH = b"5"
    QUERY = b"6"
    OPERATOR = b"7"
    SHEET = b"8"
    SETTLE = b"9"
    CONFIRM = b"\r"
    CANCEL = b"\x1b"

    @property
    def digit(self) -> str:
        """Return the digit on the key; ✓ and ✗ have none.

        >>> Key.SETTLE.digit, Key.CONFIRM.digit
        ('9', '')
        """
        digit = self.value.decode()
        return digit if digit.isdigit() else ""


class Keypad(Protocol):
    """Where keys come from."""

    def pressed(self) -> list[Key]:
        """Return the keys pressed since the last call; must not wait, must not fail."""

    def close(self) -> None:
        """Let go of the device."""


class NoKeypad:
    """A terminal without keys."""

    def pressed(self) -> list[Key]:
        """Return nothing."""
        return []

    def close(self) -> None:
        """Close nothing."""


class SerialKeypad:
    """Read keys from a serial line; bytes that are no key are noise."""

    def __init__(self, device: str) -> None:
        self._line = SerialLine(device)

    def pressed(self) -> list[Key]:
        """Return the keys that have come in."""
        return keys_of(self._line.read())

    def close(self) -> None:
        """Close the line."""
        self._line.close()


def keys_of(data: bytes) -> list[Key]:
    """Return the keys among some bytes; more than `KEYS_MAX` at once is noise on the line.

    >>> keys_of(b"3x9")
    [<Key.OUT: b'3'>, <Key.SETTLE: b'9'>]
    """
    known = {key.value: key for key in Key}
    found = (data[i : i + 1] for i in range(len(data[:KEYS_MAX])))
    return [known[byte] for byte in found if byte in known]


def open_keypad(device: str) -> Keypad:
    """Return the keypad of a configuration: `tty:/dev/…` or `none`."""
    return NoKeypad() if device == "none" else SerialKeypad(device)
