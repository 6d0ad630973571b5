# SPDX-License-Identifier: Apache-2.0
"""Challenges, authentication, keys and blocking (FMCOS 2.0 user manual 7.1 to 7.3, 7.12, 8.1)."""

from __future__ import annotations

from hardware_mocks.cardos import crypto, messaging, sw
from hardware_mocks.cardos.algorithms import algorithm_of, pad_if_needed
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.kernel import Kernel
from hardware_mocks.cardos.shell import Answer
from hardware_mocks.cardos.state import (
    COUNTED_KEYS,
    KEY_OVERHEAD_BYTES,
    SM4_IDENTIFIER,
    SM4_KEY_BYTES,
    Ef,
    Key,
)

CHALLENGE_LENGTHS = (4, 8)

ENCRYPTION, DECRYPTION, MAC = 0x30, 0x31, 0x32
INTERNAL_KINDS = {0x00: ENCRYPTION, 0x01: DECRYPTION, 0x02: MAC}

PIN = 0x3A
KEY_KINDS = frozenset(
    (0x30, 0x31, 0x32, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, PIN, 0x3C, 0x3D, 0x3E, 0x3F)
)
KEY_LENGTHS = (8, 16)
PIN_LENGTHS = range(2, 9)
KEY_HEADER = 5
LINE_BITS = 0xC0

ADD = 0x01
NUMBER_RESERVED = 0xFF


def get_challenge(kernel: Kernel, command: Command) -> Answer:
    """GET CHALLENGE: 4 or 8 random bytes, good for the next command only."""
    if command.p1 or command.p2:
        raise Refused(sw.WRONG_P1P2)
    if command.data is not None or command.le not in CHALLENGE_LENGTHS:
        raise Refused(sw.WRONG_LENGTH)
    kernel.session.next_challenge = kernel.random(command.le)
    return Answer(kernel.session.next_challenge)


def external_authenticate(kernel: Kernel, command: Command) -> Answer:
    """EXTERNAL AUTHENTICATE: the outside proves a key 39; the register takes its next state."""
    if command.p1:
        raise Refused(sw.WRONG_P1P2)
    session = kernel.session
    cryptogram = command.body(crypto.BLOCK)
    key = key_of(kernel, messaging.EXTERNAL_AUTHENTICATION, command.p2)
    session.require(key.use)
    messaging.usable(key)
    expected = algorithm_of(key).cryptogram(key.value, messaging.required(session.challenge))
    if not crypto.same(cryptogram, expected):
        left = key.spend_try()
        kernel.commit()
        raise Refused(sw.TRIES_LEFT | left)
    if key.restore_tries():
        kernel.commit()
    session.proven(key.third & 0x0F)
    return Answer()


def internal_authenticate(kernel: Kernel, command: Command) -> Answer:
    """INTERNAL AUTHENTICATE: the card encrypts, decrypts or MACs; its state never changes.

    Eight bytes encrypted under SM4 are answered with eight: one block filled up with zeros,
    its halves exclusive-ored. Longer data are answered block by block.
    """
    kind = INTERNAL_KINDS.get(command.p1)
    if kind is None:
        raise Refused(sw.WRONG_P1P2)
    data = command.body()
    key = key_of(kernel, kind, command.p2)
    kernel.session.require(key.use)
    algorithm = algorithm_of(key)
    if kind == MAC:
        return Answer(algorithm.message_mac(key.value, b"", data))
    if kind == ENCRYPTION and len(data) == crypto.BLOCK:
        return Answer(algorithm.cryptogram(key.value, data))
    run = algorithm.encrypt if kind == ENCRYPTION else algorithm.decrypt
    return Answer(run(key.value, pad_if_needed(data, algorithm.block)))


def key_of(kernel: Kernel, kind: int, number: int) -> Key:
    """Find a key of the current directory; 6A82 without a key file, 6A88 without the key."""
    df = kernel.session.df
    if df.key_file is None:
        raise Refused(sw.FILE_NOT_FOUND)
    key = df.key(kind, number)
    if key is None:
        raise Refused(sw.KEY_NOT_FOUND)
    return key


def write_key(kernel: Kernel, command: Command) -> Answer:
    """WRITE KEY: P1 = 01 adds a key, P1 = its kind replaces it; under the control key or plain.

    A replaced key keeps kind, number and length (user manual 7.12.3).
    """
    session = kernel.session
    key_file = session.df.key_file
    if key_file is None:
        raise Refused(sw.FILE_NOT_FOUND)
    if command.p2 == NUMBER_RESERVED:
        raise Refused(sw.WRONG_P1P2)
    old = None
    if command.p1 == ADD:
        session.require(key_file.write)
    else:
        old = key_of(kernel, command.p1 & ~LINE_BITS, command.p2)
        session.require(old.change)
        if old.line and not command.secure:
            raise Refused(sw.SM_MISSING)
    key = _parse_key(_record(kernel, command), command.p2)
    if old:
        _replace(key_file, old, key)
    else:
        _add(key_file, key)
    kernel.commit()
    return Answer()


def _record(kernel: Kernel, command: Command) -> bytes:
    """Return the plain key record; a MAC or encryption is always under control key 39/00.

    A wrong MAC is 9302 here, not 6988 (user manual 7.12.5), and costs a try of the control key.
    """
    if not command.secure:
        return command.body()
    control = messaging.usable(kernel.session.df.key(*messaging.CONTROL))
    challenge = messaging.required(kernel.session.challenge)
    content = messaging.checked(command, control, challenge)
    if content is None:
        control.spend_try()
        kernel.commit()
        raise Refused(sw.MAC_INVALID)
    if control.restore_tries():
        kernel.commit()
    # Plain records have 7 to 13, 21 or 22 bytes, encrypted ones fill blocks. The one plain
    # record of a whole block, a PIN of three bytes, is told by its first byte.
    block = algorithm_of(control).block
    short_pin = len(content) == block and content[0] & ~LINE_BITS == PIN
    if len(content) % block or short_pin:
        return content
    return messaging.decrypted(control, content)


def _parse_key(record: bytes, number: int) -> Key:
    """Split a key record: five header bytes and the key.

    FMCOS has no place for the algorithm of a key with an error counter. Such a key of SM4
    carries the algorithm byte 04 between its header and its 16 bytes.
    """
    if len(record) < KEY_HEADER:
        raise Refused(sw.WRONG_LENGTH)
    kind, use, change, third, fourth = record[:KEY_HEADER]
    value = record[KEY_HEADER:]
    base = kind & ~LINE_BITS
    # Kinds begin with 0011; the two line bits replace the leading zeros.
    if base not in KEY_KINDS:
        raise Refused(sw.WRONG_DATA)
    algorithm = 0
    if base in COUNTED_KEYS and base != PIN and len(value) == 1 + SM4_KEY_BYTES:
        algorithm, value = value[0], value[1:]
        if algorithm != SM4_IDENTIFIER:
            raise Refused(sw.WRONG_DATA)
    if len(value) not in (PIN_LENGTHS if base == PIN else KEY_LENGTHS):
        raise Refused(sw.WRONG_LENGTH)
    return Key(base, number, kind & LINE_BITS, use, change, third, fourth, value, algorithm)


def _add(key_file: Ef, key: Key) -> None:
    if any((k.kind, k.number) == (key.kind, key.number) for k in key_file.keys):
        raise Refused(sw.WRONG_DATA)
    used = sum(len(k.value) + KEY_OVERHEAD_BYTES for k in key_file.keys)
    if used + len(key.value) + KEY_OVERHEAD_BYTES > key_file.size:
        raise Refused(sw.NO_SPACE)
    key_file.keys.append(key)


def _replace(key_file: Ef, old: Key, key: Key) -> None:
    if key.kind != old.kind:
        raise Refused(sw.WRONG_DATA)
    if len(key.value) != len(old.value):
        raise Refused(sw.WRONG_LENGTH)
    key_file.keys[key_file.keys.index(old)] = key


def card_block(kernel: Kernel, command: Command) -> Answer:
    """CARD BLOCK: nothing answers any more, for good (user manual 8.1)."""
    _maintained(kernel, command, 0x00)
    kernel.image.blocked = True
    kernel.commit()
    return Answer()


def application_block(kernel: Kernel, command: Command) -> Answer:
    """APPLICATION BLOCK: P2 = 00 until it is unblocked, 01 for good (user manual 8.3)."""
    _maintained(kernel, command, 0x00, 0x01)
    kernel.session.df.block = 1 + command.p2
    kernel.commit()
    return Answer()


def application_unblock(kernel: Kernel, command: Command) -> Answer:
    """APPLICATION UNBLOCK; three wrong MACs in a row block for good (user manual 8.2)."""
    if kernel.session.df.block == messaging.BLOCKED_FOR_GOOD:
        raise Refused(sw.BLOCKED_FOR_GOOD)
    _maintained(kernel, command, 0x00)
    kernel.session.df.block = 0
    kernel.commit()
    return Answer()


def _maintained(kernel: Kernel, command: Command, *p2_allowed: int) -> None:
    """Check a command that consists of a MAC under the line protection key 36/00."""
    if command.p1 or command.p2 not in p2_allowed:
        raise Refused(sw.WRONG_P1P2)
    command.body(crypto.MAC_LENGTH)
    df = kernel.session.df
    key = messaging.usable(df.key(messaging.MAINTENANCE, 0x00))
    challenge = messaging.required(kernel.session.challenge)
    messaging.accept(kernel.memory, df, key, messaging.checked(command, key, challenge))
