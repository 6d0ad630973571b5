# SPDX-License-Identifier: Apache-2.0
"""PINs, challenges and authentication of a plain card (ISO/IEC 7816-4 §7.5, 3DES)."""

from __future__ import annotations

from hardware_mocks.cardos import crypto, sw
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.iso.session import Session
from hardware_mocks.cardos.iso.state import KEY_PROVEN, PIN_PROVEN, Secret
from hardware_mocks.cardos.shell import Answer

REFERENCE = 0x0F
UNKNOWN_REFERENCE = 0x6A88
CHALLENGE_BYTES = 8
PIN_LENGTHS = range(4, 17)


def _secret(secrets: dict[int, Secret], p2: int) -> tuple[int, Secret]:
    secret = secrets.get(p2 & REFERENCE)
    if secret is None or p2 & 0x70:
        raise Refused(UNKNOWN_REFERENCE)
    return p2 & REFERENCE, secret


def _prove(session: Session, secret: Secret, *, right: bool) -> None:
    if secret.left == 0:
        raise Refused(sw.KEY_BLOCKED)
    changed = secret.left != secret.tries
    secret.left = secret.tries if right else secret.left - 1
    if changed or not right:
        session.memory.commit()
    if not right:
        raise Refused(sw.TRIES_LEFT | secret.left)


def verify(session: Session, command: Command) -> Answer:
    """VERIFY; without data it tells the tries that are left."""
    if command.p1:
        raise Refused(sw.WRONG_P1P2)
    number, secret = _secret(session.image.pins, command.p2)
    if command.data is None:
        raise Refused(sw.TRIES_LEFT | secret.left if secret.left else sw.KEY_BLOCKED)
    session.proven.discard(PIN_PROVEN | number)
    _prove(session, secret, right=crypto.same(command.data, secret.value))
    session.proven.add(PIN_PROVEN | number)
    return Answer()


def change_reference_data(session: Session, command: Command) -> Answer:
    """CHANGE REFERENCE DATA: the old PIN and the new one, one after the other."""
    if command.p1:
        raise Refused(sw.WRONG_P1P2)
    _, secret = _secret(session.image.pins, command.p2)
    data, length = command.body(), len(secret.value)
    if len(data) - length not in PIN_LENGTHS:
        raise Refused(sw.WRONG_LENGTH)
    _prove(session, secret, right=crypto.same(data[:length], secret.value))
    secret.value = data[length:]
    session.memory.commit()
    return Answer()


def reset_retry_counter(session: Session, command: Command) -> Answer:
    """RESET RETRY COUNTER: the unblocking code and a new PIN."""
    if command.p1:
        raise Refused(sw.WRONG_P1P2)
    _, secret = _secret(session.image.pins, command.p2)
    data, length = command.body(), len(secret.unblock)
    if not length or len(data) - length not in PIN_LENGTHS:
        raise Refused(sw.WRONG_LENGTH)
    if secret.unblock_left == 0:
        raise Refused(sw.KEY_BLOCKED)
    if not crypto.same(data[:length], secret.unblock):
        secret.unblock_left -= 1
        session.memory.commit()
        raise Refused(sw.TRIES_LEFT | secret.unblock_left)
    secret.value, secret.left, secret.unblock_left = data[length:], secret.tries, 3
    session.memory.commit()
    return Answer()


def get_challenge(session: Session, command: Command) -> Answer:
    """GET CHALLENGE: 8 bytes, good until they are used."""
    if command.p1 or command.p2:
        raise Refused(sw.WRONG_P1P2)
    if command.data is not None or command.le not in (0, CHALLENGE_BYTES):
        raise Refused(sw.WRONG_LENGTH)
    session.challenge = session.random(CHALLENGE_BYTES)
    return Answer(session.challenge)


def external_authenticate(session: Session, command: Command) -> Answer:
    """EXTERNAL AUTHENTICATE: the challenge under a key of the card."""
    if command.p1:
        raise Refused(sw.WRONG_P1P2)
    number, secret = _secret(session.image.keys, command.p2)
    data = command.body(CHALLENGE_BYTES)
    challenge, session.challenge = session.challenge, None
    if challenge is None:
        raise Refused(sw.CONDITIONS)
    session.proven.discard(KEY_PROVEN | number)
    expected = crypto.encrypt(secret.value, challenge)
    _prove(session, secret, right=crypto.same(data, expected))
    session.proven.add(KEY_PROVEN | number)
    return Answer()


def internal_authenticate(session: Session, command: Command) -> Answer:
    """INTERNAL AUTHENTICATE: 8 bytes of the outside under a key of the card."""
    if command.p1:
        raise Refused(sw.WRONG_P1P2)
    _, secret = _secret(session.image.keys, command.p2)
    return Answer(crypto.encrypt(secret.value, command.body(CHALLENGE_BYTES)))
