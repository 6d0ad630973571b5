# SPDX-License-Identifier: Apache-2.0
"""Secure messaging: commands that carry a MAC or are encrypted, and MACed answers.

FMCOS 2.0 user manual, chapter 11. The initial value is the challenge of the command before,
filled up with zeros; the MAC covers header, Lc and data; encrypted data are LD and the plain
data, padded only where they do not end at a block boundary. All of it follows the algorithm of
the key: blocks of 8 bytes under DES, of 16 under SM4.
"""

from __future__ import annotations

from hardware_mocks.cardos import crypto, sw
from hardware_mocks.cardos.algorithms import algorithm_of, pad_if_needed
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.state import CardImage, Df, Ef, Key
from hardware_mocks.cardos.store import Memory

MAINTENANCE = 0x36
EXTERNAL_AUTHENTICATION = 0x39
CONTROL = (EXTERNAL_AUTHENTICATION, 0x00)

ENCRYPTED_LINE = 0x40

BLOCKED_FOR_GOOD = 2


def required(challenge: bytes | None) -> bytes:
    """Return the challenge that the command before fetched; refuse with 6984 where none was."""
    if challenge is None:
        raise Refused(sw.NO_CHALLENGE)
    return challenge


def usable(key: Key | None) -> Key:
    """Refuse with 6A88 a key that is not there and with 6983 one without tries left."""
    if key is None:
        raise Refused(sw.KEY_NOT_FOUND)
    if key.tries_left == 0:
        raise Refused(sw.KEY_BLOCKED)
    return key


def checked(command: Command, key: Key, challenge: bytes) -> bytes | None:
    """Return the data before the MAC, None where the MAC is wrong.

    Raises:
        Refused: 6987 where the data field has no room for a MAC.
    """
    data = command.body()
    if len(data) < crypto.MAC_LENGTH:
        raise Refused(sw.SM_MISSING)
    content, mac = data[: -crypto.MAC_LENGTH], data[-crypto.MAC_LENGTH :]
    signed = command.header + bytes((len(data),)) + content
    right = crypto.same(mac, algorithm_of(key).message_mac(key.value, challenge, signed))
    return content if right else None


def decrypted(key: Key, content: bytes) -> bytes:
    """Return the plain data of an encrypted data field; refuse with 6A80 where LD is wrong."""
    algorithm = algorithm_of(key)
    if not content or len(content) % algorithm.block:
        raise Refused(sw.WRONG_LENGTH)
    plain = algorithm.decrypt(key.value, content)
    length = plain[0]
    inner = plain[1 : 1 + length]
    if len(inner) != length or plain != pad_if_needed(plain[: 1 + length], algorithm.block):
        raise Refused(sw.WRONG_DATA)
    return inner


def maintenance_key(df: Df, selector: int) -> Key:
    """Find the line protection key that two bits of a file's last header byte name.

    11 is key 00, 10 is 01, 01 is 02, 00 is 03 (user manual 7.13.3).
    """
    return usable(df.key(MAINTENANCE, ~selector & 0b11))


def accept(memory: Memory[CardImage], df: Df, key: Key, content: bytes | None) -> bytes:
    """Count a right or a wrong MAC under a maintenance key and return the data of a right one.

    The last wrong one blocks the application for good (9303); before, 6988.
    """
    if content is not None:
        if key.restore_tries():
            memory.commit()
        return content
    if key.spend_try() == 0:
        df.block = BLOCKED_FOR_GOOD
        memory.commit()
        raise Refused(sw.BLOCKED_FOR_GOOD)
    memory.commit()
    raise Refused(sw.SM_WRONG)


def incoming(
    memory: Memory[CardImage], df: Df, ef: Ef, command: Command, challenge: bytes | None
) -> bytes:
    """Return the plain data of a writing command, checked as the file's type demands."""
    if not ef.line:
        if command.secure:
            raise Refused(sw.SM_NOT_POSSIBLE)
        return command.body()
    if not command.secure:
        raise Refused(sw.SM_MISSING)
    key = maintenance_key(df, ef.last)
    content = checked(command, key, required(challenge))
    plain = accept(memory, df, key, content)
    return decrypted(key, plain) if ef.line & ENCRYPTED_LINE else plain


def outgoing(df: Df, ef: Ef, data: bytes, challenge: bytes) -> bytes:
    """Append the MAC over the data of a protected read, encrypted before where asked for."""
    key = maintenance_key(df, ef.last >> 2)
    algorithm = algorithm_of(key)
    if ef.line & ENCRYPTED_LINE:
        plain = pad_if_needed(bytes((len(data),)) + data, algorithm.block)
        data = algorithm.encrypt(key.value, plain)
    return data + algorithm.message_mac(key.value, challenge, data)


def check_read(
    memory: Memory[CardImage], df: Df, ef: Ef, command: Command, challenge: bytes | None
) -> bytes | None:
    """Check how a file is read; return the challenge for the answer of a protected read.

    Bit 8 of the last header byte: 0, reads must be protected; 1, they cannot be (manual 7.13.3).
    """
    protected = not ef.last & 0x80
    if not command.secure:
        if protected:
            raise Refused(sw.SM_MISSING)
        if command.data is not None:
            raise Refused(sw.WRONG_LENGTH)
        return None
    if not protected:
        raise Refused(sw.SM_NOT_POSSIBLE)
    key = maintenance_key(df, ef.last >> 2)
    fetched = required(challenge)
    command.body(crypto.MAC_LENGTH)
    accept(memory, df, key, checked(command, key, fetched))
    return fetched
