# SPDX-License-Identifier: Apache-2.0
"""The holder's PIN for users of the SDK: verify, change, reload, unblock, under the attempt guard.

A PIN is 2 to 8 bytes; what its bytes are (digits in packed or plain form) is the application's
affair. No error, trace or representation shows one. The volunteer application has no PIN.

Sources: JR/T 0025.9; FMCOS 2.0 user manual chapters 7 and 8.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from card.apdu import CommandApdu
from card.attempts import AttemptGuard
from card.errors import LayoutError, StatusError, status_error
from card.operation import Operation, exchange
from card.secure_messaging import MacKey, challenged, with_mac
from card.status_words import OK

PIN_BYTES = range(2, 9)
_FILLER = 0xFF
_WRONG_MAC = (0x9302, 0x6988)


class UnblockKey(MacKey, Protocol):
    """A PIN unblocking key (type 37)."""

    def encipher(self, data: bytes, /) -> bytes:
        """Encrypt length, PIN and padding."""
        ...


class ReloadKey(Protocol):
    """A PIN reload key (type 38)."""

    def reload_mac4(self, pin: bytes, /) -> bytes:
        """Return the MAC over the new PIN."""
        ...


@dataclass(frozen=True, slots=True)
class Pin:
    """A PIN as it is entered: which one of the card's, and its bytes.

    Attributes:
        number: The PIN's id on the card.
        value: 2 to 8 bytes; FF is a filler and cannot be part of it.
        name: How card and PIN are called towards the attempt guard.

    Raises:
        LayoutError: Too short, too long, or with FF inside.
    """

    number: int
    value: bytes = field(repr=False)
    name: str

    def __post_init__(self) -> None:
        if len(self.value) not in PIN_BYTES or _FILLER in self.value:
            raise LayoutError("PIN", "2 to 8 bytes, none of them FF")


def verify_pin(pin: Pin, guard: AttemptGuard) -> Operation[None]:
    """Enter a PIN; a right one gives the holder's rights and all attempts back.

    Raises:
        GuardRefused: Too few attempts are known to be left; nothing was sent.
        AuthenticationFailed: The PIN is wrong; the guard has noted what is left.
        Blocked: It is blocked: `unblock_pin` or `reload_pin`.
    """
    yield from _counted(verify(pin.number, pin.value), pin.name, guard)


def change_pin(old: Pin, new: bytes, guard: AttemptGuard) -> Operation[None]:
    """Replace a PIN by who knows the old one.

    Raises:
        GuardRefused, AuthenticationFailed, Blocked: As for `verify_pin`.
        LayoutError: The new PIN does not fit.
    """
    Pin(old.number, new, old.name)
    command = CommandApdu(0x80, 0x5E, 0x01, old.number, old.value + bytes([_FILLER]) + new)
    yield from _counted(command, old.name, guard)


def reload_pin(new: Pin, key: ReloadKey, guard: AttemptGuard) -> Operation[None]:
    """Set a PIN under the issuer's reload key; its attempts come back.

    Raises:
        GuardRefused: Too few attempts of the reload key are known to be left.
        MacRejected: The key is another; the card has counted a try of it.
    """
    guarded = f"{new.name}/reload"
    guard.check(guarded)
    command = CommandApdu(0x80, 0x5E, 0x00, new.number, new.value + key.reload_mac4(new.value))
    yield from _under_key(command, new.name, guarded, guard)


def unblock_pin(new: Pin, key: UnblockKey, guard: AttemptGuard) -> Operation[None]:
    """Set a PIN under the issuer's unblocking key, encrypted; its attempts come back.

    The last of three wrong MACs blocks the application for good, so the guard stops before.

    Raises:
        GuardRefused: Too few attempts of the unblocking key are known to be left.
        MacRejected: The key is another; the card has counted a try of it.
        Blocked: The application is blocked for good.
    """
    guarded = f"{new.name}/unblock"
    guard.check(guarded)
    challenge = yield from challenged()
    command = CommandApdu(0x80, 0x24, new.number, 0x00, key.encipher(new.value))
    yield from _under_key(with_mac(command, key, challenge), new.name, guarded, guard)


def verify(number: int, value: bytes) -> CommandApdu:
    """VERIFY: the command alone.

    >>> verify(1, bytes.fromhex("123456")).to_bytes().hex()
    '0020000103123456'
    """
    return CommandApdu(0x00, 0x20, 0x00, number, value)


def _counted(command: CommandApdu, name: str, guard: AttemptGuard) -> Operation[None]:
    """Send a command that costs a try of the PIN when it is wrong."""
    guard.check(name)
    response = yield command
    guard.note(name, response.sw)
    if response.sw != OK:
        raise status_error(response.sw, command.ins)


def _under_key(command: CommandApdu, pin: str, key: str, guard: AttemptGuard) -> Operation[None]:
    """Send a command whose MAC costs a try of a key when it is wrong, and frees the PIN."""
    try:
        yield from exchange(command)
    except StatusError as exc:
        if exc.sw in _WRONG_MAC:
            guard.note_wrong_mac(key)
        guard.note(key, exc.sw)
        raise
    guard.note(key, OK)
    guard.note(pin, OK)
