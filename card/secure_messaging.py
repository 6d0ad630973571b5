# SPDX-License-Identifier: Apache-2.0
"""Commands that carry a MAC, encrypted keys, and proofs of a key (FMCOS 2.0 manual chapter 11).

The initial value is the card's four-byte challenge filled up with zeros; the MAC is the left four
bytes of ISO/IEC 9797-1 algorithm 3 over header, Lc and data. Keys are handles: this module never
sees one, it asks for a MAC or a cryptogram.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any, Protocol

from card.apdu import DATA_BYTES_MAX, SECURE_MESSAGING, CommandApdu, ResponseApdu
from card.attempts import AttemptGuard
from card.commands import external_authenticate, get_challenge, write_key
from card.errors import MacRejected, ProtocolFault, status_error
from card.operation import Operation, exchange, fetch
from card.status_words import OK

MAC_BYTES = 4
CHALLENGE_BYTES = 4
_WRONG_MAC = 0x6988


class MacKey(Protocol):
    """A key that makes MACs."""

    def mac4(self, iv8: bytes, data: bytes, /) -> bytes:
        """Return the left four bytes of the retail MAC."""
        ...


class ProofKey(Protocol):
    """A key that answers challenges."""

    def encrypt(self, data: bytes, /) -> bytes:
        """Encrypt whole blocks."""
        ...


class WrappingKey(MacKey, ProofKey, Protocol):
    """A control key: it proves, makes MACs and wraps other keys for the card."""

    def wrap_for_card(self, header: bytes, key: Any, /) -> bytes:
        """Encrypt LD, header and key as the card expects them."""
        ...


@dataclass(frozen=True, slots=True)
class Proof:
    """What EXTERNAL AUTHENTICATE needs: key id, the key, and its name for the attempt guard."""

    key_id: int
    key: ProofKey
    name: str


def initial_value(challenge: bytes) -> bytes:
    """Fill a challenge up with zeros.

    >>> initial_value(bytes.fromhex("5D72B3FD")).hex()
    '5d72b3fd00000000'
    """
    return challenge.ljust(8, b"\x00")


def with_mac(command: CommandApdu, key: MacKey, challenge: bytes) -> CommandApdu:
    """Return the command with CLA marked, Lc grown and the MAC behind its data."""
    if len(command.data) > DATA_BYTES_MAX - MAC_BYTES:
        raise ProtocolFault("no room for a MAC")
    cla = command.cla | SECURE_MESSAGING
    header = bytes((cla, command.ins, command.p1, command.p2, len(command.data) + MAC_BYTES))
    mac = key.mac4(initial_value(challenge), header + command.data)
    return CommandApdu(cla, command.ins, command.p1, command.p2, command.data + mac)


def maced(command: CommandApdu, key: MacKey) -> Operation[ResponseApdu]:
    """Send a command with a MAC over a fresh challenge.

    Raises:
        StatusError: The card refused; MacRejected if it computed another MAC.
    """
    challenge = yield from fetch(get_challenge(CHALLENGE_BYTES), CHALLENGE_BYTES)
    return (yield from exchange(with_mac(command, key, challenge)))


def read_maced(command: CommandApdu, key: MacKey) -> Operation[bytes]:
    """Send a reading command with a MAC and check the MAC of the answer.

    Raises:
        MacRejected: The answer's MAC is wrong: it does not come from the card.
    """
    challenge = yield from fetch(get_challenge(CHALLENGE_BYTES), CHALLENGE_BYTES)
    response = yield from exchange(with_mac(command, key, challenge))
    data, mac = response.data[:-MAC_BYTES], response.data[-MAC_BYTES:]
    if not hmac.compare_digest(mac, key.mac4(initial_value(challenge), data)):
        raise MacRejected(_WRONG_MAC, command.ins)
    return data


def authenticate(proof: Proof, guard: AttemptGuard) -> Operation[None]:
    """Prove a key to the card (EXTERNAL AUTHENTICATE).

    Raises:
        GuardRefused: Too few attempts are known to be left.
        KeyDisagrees: The card is known to hold another key.
        AuthenticationFailed: The key is wrong; the guard has noted what is left.
        Blocked: The key is locked.
        KeyNotFound: The directory has no such key.
        FileNotFound: The directory has no key file.
    """
    guard.check(proof.name, proof.key)
    challenge = yield from fetch(get_challenge(CHALLENGE_BYTES), CHALLENGE_BYTES)
    cryptogram = proof.key.encrypt(initial_value(challenge))
    response = yield external_authenticate(proof.key_id, cryptogram)
    guard.note(proof.name, response.sw, proof.key)
    if response.sw != OK:
        raise status_error(response.sw, 0x82)


def write_wrapped(
    p1: int, key_id: int, header: bytes, key: object, under: WrappingKey
) -> Operation[None]:
    """Write a key encrypted and MACed under the directory's control key.

    Args:
        p1: 01 to add, the key type to replace.
        key_id: Number of the key.
        header: The five bytes before the key.
        key: The key, as a handle.
        under: The control key that is in force.
    """
    yield from maced(write_key(p1, key_id, under.wrap_for_card(header, key)), under)
