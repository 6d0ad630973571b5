# SPDX-License-Identifier: Apache-2.0
"""What a step of personalisation is, and what a run of steps knows.

A step shows the commands it may send, looks first, then acts. A step that finds its work done
sends nothing that writes, so a list of steps may be run again after a cut at any point. Shown
commands are exact but for what a challenge or a key decides: keys appear as name and check value,
encryptions and MACs as what they are made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from card.apdu import SECURE_MESSAGING, CommandApdu
from card.attempts import AttemptGuard
from card.card_keys import CardKeys
from card.errors import BlankCard, LayoutError, MacRejected
from card.files import Directory, KeySpec
from card.issuing_errors import CardSwapped
from card.operation import Operation, exchange
from card.secure_messaging import (
    MAC_BYTES,
    MacKey,
    Proof,
    authenticate,
    maced,
    write_wrapped,
)
from card.status_words import Text
from card.volunteer import public_data
from keys.working import WorkingKey

ADD_KEY = 0x01  # P1 of WRITE KEY
SHOWN_CHALLENGE = "0084000004"
_SHOWN_MAC = "‹MAC›"


@dataclass(slots=True)
class Progress:
    """What a run knows while it goes on.

    Attributes:
        keys: The card's keys.
        name: How the card is called towards the attempt guard.
        guard: Remembers attempts left.
        late: An earlier run filled the application, so control keys may be replaced already.
        writes: Commands that changed the card so far.
        in_force: The control key that opened each directory, by its identifier.
        fresh: Directories whose first key was written in this run: they hold no other key.
    """

    keys: CardKeys
    name: str
    guard: AttemptGuard
    late: bool = False
    writes: int = 0
    in_force: dict[int, WorkingKey] = field(default_factory=dict)
    fresh: set[int] = field(default_factory=set)

    def final_key(self, directory: Directory) -> WorkingKey:
        """Return the diversified control key of a directory."""
        return self.keys[directory.control_key.usage]

    def write(self, command: CommandApdu) -> Operation[None]:
        """Send a command that changes the card, and count it."""
        yield from exchange(command)
        self.writes += 1

    def write_maced(self, command: CommandApdu, key: MacKey) -> Operation[None]:
        """Send a command with a MAC that changes the card, and count it."""
        yield from maced(command, key)
        self.writes += 1

    def key_name(self, directory: Directory) -> str:
        """Return how a directory's control key is called towards the guard."""
        return f"{self.name}/{directory.fid:04X}/39-{directory.control_key.key_id:02X}"

    def write_key(self, directory: Directory, spec: KeySpec, p1: int) -> Operation[None]:
        """Write a key under the control key in force, and count it; a wrong MAC costs a try."""
        control, name = self.in_force[directory.fid], self.key_name(directory)
        key = self.keys[spec.usage]
        header = spec.header(self.keys.version, algorithm=key.algorithm)
        self.guard.check(name, control)
        try:
            yield from write_wrapped(p1, spec.key_id, header, key, control)
        except MacRejected:
            self.guard.note_wrong_mac(name)
            raise
        self.writes += 1

    def same_card(self, fci: bytes) -> None:
        """Check the serial in the answer to SELECT, once the card bears one.

        Raises:
            CardSwapped: It is another card's.
        """
        try:
            found = public_data(fci).asn.hex().upper()
        except (BlankCard, LayoutError):
            return
        if found != self.name:
            raise CardSwapped(self.name, found)

    def prove(self, directory: Directory, key: WorkingKey) -> Operation[None]:
        """Prove the control key of the selected directory and remember that it is in force."""
        proof = Proof(directory.control_key.key_id, key, self.key_name(directory))
        yield from authenticate(proof, self.guard)
        self.in_force[directory.fid] = key


class Step(Protocol):
    """One step of the plan."""

    @property
    def label(self) -> Text:
        """What the step is for."""
        ...

    @property
    def writes(self) -> int:
        """Return how many commands change a blank card."""
        ...

    def show(self, keys: CardKeys) -> Iterator[str]:
        """Yield the commands it sends to a blank card, keys masked."""
        ...

    def run(self, progress: Progress) -> Operation[None]:
        """Look, and do what is missing."""
        ...


def shown(command: CommandApdu) -> str:
    """Return a command as hex.

    >>> shown(CommandApdu(0x80, 0xE0, 0x00, 0x15, bytes.fromhex("A80038F0FFFFFF")))
    '80E0001507A80038F0FFFFFF'
    """
    return command.to_bytes().hex().upper()


def shown_maced(command: CommandApdu, data: str | None = None) -> str:
    """Return a command with a MAC, the MAC masked, its data too where `data` stands for them.

    >>> shown_maced(CommandApdu(0x00, 0xD6, 0x95, 0x08, bytes([1])))
    '04D6950805 01 ‹MAC›'
    """
    head = bytes(
        (
            command.cla | SECURE_MESSAGING,
            command.ins,
            command.p1,
            command.p2,
            len(command.data) + MAC_BYTES,
        )
    )
    body = command.data.hex().upper() if data is None else data
    return " ".join(part for part in (head.hex().upper(), body, _SHOWN_MAC) if part)


def shown_key(key: WorkingKey) -> str:
    """Return a key's usage, version and check value."""
    return f"{key.usage.value} v{key.version} KCV {key.kcv}"


def shown_wrapped(p1: int, key_id: int, header: bytes, key: WorkingKey) -> str:
    """Return a WRITE KEY under secure messaging, the key masked.

    The encrypted block holds length, header, 16 bytes of key and padding: 24 bytes.
    """
    body = f"‹3DES(15 {header.hex(' ').upper()} [{shown_key(key)}] 80..)›"
    return f"84D4{p1:02X}{key_id:02X}1C {body} {_SHOWN_MAC}"
