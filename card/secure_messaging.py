# SPDX-License-Identifier: Apache-2.0
"""Commands that carry a MAC, encrypted keys, and proofs of a key (FMCOS 2.0 manual chapter 11).

The initial value is the card's four-byte challenge filled up with zeros to the block; the MAC over
header, Lc and data is the left four bytes of ISO/IEC 9797-1 algorithm 3 under a 3DES key, of
SM4-CBC under an SM4 key. Keys are handles: this module never sees one nor its algorithm, it asks
for a MAC, a cryptogram or an encryption.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any, Protocol

from card.apdu import DATA_BYTES_MAX, LE_MAX, SECURE_MESSAGING, CommandApdu, ResponseApdu
from card.attempts import AttemptGuard
from card.commands import external_authenticate, get_challenge, write_key
from card.errors import MacRejected, ProtocolFault, status_error
from card.operation import Operation, exchange, fetch
from card.status_words import OK
from keys.errors import BadSeal

MAC_BYTES = 4
CHALLENGE_BYTES = 4
_WRONG_MAC = 0x6988


class MacKey(Protocol):
    """A key that makes MACs."""

    def mac4(self, iv: bytes, data: bytes, /) -> bytes:
        """Return the left four bytes of the MAC; `iv` is the challenge."""
        ...


class FileKey(MacKey, Protocol):
    """A maintenance key: MACs, and encryption of what protected files carry."""

    def encipher(self, data: bytes, /) -> bytes:
        """Encrypt length, data and padding."""
        ...

    def decipher(self, data: bytes, /) -> bytes:
        """Undo `encipher`; raise `keys.errors.BadSeal` where nothing sensible comes out."""
        ...


class ProofKey(Protocol):
    """A key that answers challenges."""

    def cryptogram(self, challenge: bytes, /) -> bytes:
        """Return the eight bytes of EXTERNAL AUTHENTICATE."""
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


def challenged() -> Operation[bytes]:
    """Fetch a challenge; it is good for the next command only."""
    return (yield from fetch(get_challenge(CHALLENGE_BYTES), CHALLENGE_BYTES))


def with_mac(command: CommandApdu, key: MacKey, challenge: bytes) -> CommandApdu:
    """Return the command with CLA marked, Lc grown and the MAC behind its data.

    A read that announces Le announces the answer's MAC as well.
    """
    if len(command.data) > DATA_BYTES_MAX - MAC_BYTES:
        raise ProtocolFault("no room for a MAC")
    cla = command.cla | SECURE_MESSAGING
    header = bytes((cla, command.ins, command.p1, command.p2, len(command.data) + MAC_BYTES))
    mac = key.mac4(challenge, header + command.data)
    le = None
    if command.le is not None and command.le + MAC_BYTES < LE_MAX:
        le = command.le + MAC_BYTES
    return CommandApdu(cla, command.ins, command.p1, command.p2, command.data + mac, le)


def maced(command: CommandApdu, key: MacKey) -> Operation[ResponseApdu]:
    """Send a command with a MAC over a fresh challenge.

    Raises:
        StatusError: The card refused; MacRejected if it computed another MAC.
    """
    challenge = yield from challenged()
    return (yield from exchange(with_mac(command, key, challenge)))


def sealed(command: CommandApdu, key: FileKey) -> Operation[ResponseApdu]:
    """Send a command with its data encrypted and a MAC, for files of type 68 + 80 (E8).

    Raises:
        StatusError: The card refused; MacRejected if it computed another MAC.
    """
    cipher = key.encipher(command.data)
    hidden = CommandApdu(command.cla, command.ins, command.p1, command.p2, cipher)
    return (yield from maced(hidden, key))


def read_maced(command: CommandApdu, key: MacKey) -> Operation[bytes]:
    """Send a reading command with a MAC and check the MAC of the answer.

    Raises:
        MacRejected: The answer's MAC is wrong: it does not come from the card.
    """
    challenge = yield from challenged()
    response = yield from exchange(with_mac(command, key, challenge))
    data, mac = response.data[:-MAC_BYTES], response.data[-MAC_BYTES:]
    if not hmac.compare_digest(mac, key.mac4(challenge, data)):
        raise MacRejected(_WRONG_MAC, command.ins)
    return data


def read_sealed(command: CommandApdu, key: FileKey) -> Operation[bytes]:
    """Read a file whose answers are encrypted and MACed; Le is left to the card.

    Raises:
        MacRejected: The answer's MAC is wrong: it does not come from the card.
        ProtocolFault: The MAC is right, but no length and padding come out.
    """
    whole = CommandApdu(command.cla, command.ins, command.p1, command.p2)
    cipher = yield from read_maced(whole, key)
    try:
        return key.decipher(cipher)
    except BadSeal as exc:
        raise ProtocolFault("encrypted answer") from exc


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
    challenge = yield from challenged()
    response = yield external_authenticate(proof.key_id, proof.key.cryptogram(challenge))
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
