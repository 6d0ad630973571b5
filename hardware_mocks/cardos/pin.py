# SPDX-License-Identifier: Apache-2.0
"""The holder's PIN: verify, change, reload, unblock (FMCOS 2.0 user manual 7.2, 8.4 to 8.6).

Reload and unblock use a key of the same number as the PIN's, else number 00. A PIN keeps the
room it was created with: a shorter one is filled up with FF, which counts as nothing.
"""

from __future__ import annotations

from hardware_mocks.cardos import crypto, messaging, sw
from hardware_mocks.cardos.algorithms import algorithm_of
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.kernel import Kernel
from hardware_mocks.cardos.security import PIN, PIN_LENGTHS, key_of
from hardware_mocks.cardos.shell import Answer
from hardware_mocks.cardos.state import Key

UNBLOCKING, RELOADING = 0x37, 0x38
RELOAD, CHANGE = 0x00, 0x01
FILLER = b"\xff"


def _same(entered: bytes, key: Key) -> bool:
    return crypto.same(entered.rstrip(FILLER), key.value.rstrip(FILLER))


def _prove(kernel: Kernel, key: Key, entered: bytes) -> None:
    """Compare a PIN and count: 6983 where it is blocked, 63Cx where it is wrong."""
    messaging.usable(key)
    if not _same(entered, key):
        left = key.spend_try()
        kernel.commit()
        raise Refused(sw.TRIES_LEFT | left)


def verify(kernel: Kernel, command: Command) -> Answer:
    """VERIFY: the holder proves a PIN (key 3A); the register takes its next state."""
    if command.p1:
        raise Refused(sw.WRONG_P1P2)
    entered = command.body(*PIN_LENGTHS)
    key = key_of(kernel, PIN, command.p2)
    kernel.session.require(key.use)
    _prove(kernel, key, entered)
    if key.restore_tries():
        kernel.commit()
    kernel.session.proven(key.third & 0x0F)
    return Answer()


def change_or_reload(kernel: Kernel, command: Command) -> Answer:
    """RELOAD PIN (P1 = 00) under a MAC, CHANGE PIN (P1 = 01) by who knows the old one."""
    if command.p1 not in (RELOAD, CHANGE):
        raise Refused(sw.WRONG_P1P2)
    return (_reload if command.p1 == RELOAD else _change)(kernel, command)


def _change(kernel: Kernel, command: Command) -> Answer:
    """Old PIN, FF, new PIN; a wrong old one costs a try."""
    old, filler, new = command.body().partition(FILLER)
    if not filler or len(old) not in PIN_LENGTHS or len(new) not in PIN_LENGTHS:
        raise Refused(sw.WRONG_LENGTH)
    key = key_of(kernel, PIN, command.p2)
    kernel.session.require(key.use)
    value = _filled(key, new)
    _prove(kernel, key, old)
    _replace(kernel, key, value)
    return Answer()


def _reload(kernel: Kernel, command: Command) -> Answer:
    """Take a new PIN under a MAC of the reload key; the card has no part in that MAC."""
    data = command.body()
    new, mac = data[: -crypto.MAC_LENGTH], data[-crypto.MAC_LENGTH :]
    if len(new) not in PIN_LENGTHS:
        raise Refused(sw.WRONG_LENGTH)
    key = key_of(kernel, PIN, command.p2)
    value = _filled(key, new)
    control = _helper(kernel, RELOADING, command.p2)
    kernel.session.require(control.use)
    if not crypto.same(mac, algorithm_of(control).signature(control.value, new)):
        if control.spend_try() == 0:
            kernel.session.df.block = messaging.BLOCKED_FOR_GOOD
        kernel.commit()
        raise Refused(sw.MAC_INVALID if control.tries_left else sw.BLOCKED_FOR_GOOD)
    control.restore_tries()
    _replace(kernel, key, value)
    return Answer()


def unblock(kernel: Kernel, command: Command) -> Answer:
    """PIN UNBLOCK: take a new PIN, encrypted and MACed under the unblocking key.

    The last wrong MAC of three blocks the application for good (9303).
    """
    if command.p2:
        raise Refused(sw.WRONG_P1P2)
    key = key_of(kernel, PIN, command.p1)
    control = _helper(kernel, UNBLOCKING, command.p1)
    session = kernel.session
    session.require(control.use)
    content = messaging.checked(command, control, messaging.required(session.challenge))
    sealed = messaging.accept(kernel.memory, session.df, control, content)
    new = messaging.decrypted(control, sealed)
    if len(new) not in PIN_LENGTHS:
        raise Refused(sw.WRONG_LENGTH)
    _replace(kernel, key, _filled(key, new))
    return Answer()


def _helper(kernel: Kernel, kind: int, number: int) -> Key:
    """Find the key that guards a PIN; 9403 without one, 6983 where it is used up."""
    df = kernel.session.df
    key = df.key(kind, number) or df.key(kind, 0x00)
    if key is None:
        raise Refused(sw.UNKNOWN_KEY_INDEX)
    return messaging.usable(key)


def _filled(key: Key, new: bytes) -> bytes:
    if len(new) > len(key.value):
        raise Refused(sw.WRONG_LENGTH)
    return new.ljust(len(key.value), FILLER)


def _replace(kernel: Kernel, key: Key, value: bytes) -> None:
    key.value = value
    key.restore_tries()
    kernel.commit()
