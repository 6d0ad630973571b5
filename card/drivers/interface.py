# SPDX-License-Identifier: Apache-2.0
"""What every card operating system's driver offers: operations by name, each sans-I/O."""

from __future__ import annotations

from typing import Protocol

from card.attempts import AttemptGuard
from card.drivers.capabilities import Capability
from card.operation import Operation
from card.pin import Pin, ReloadKey, UnblockKey
from card.secure_messaging import MacKey, Proof, WrappingKey
from card.status_words import Text


class CardDriver(Protocol):
    """One card operating system.

    An operation that the card has no command for raises `CapabilityMissing` before anything is
    sent; `capabilities` says so beforehand.
    """

    @property
    def name(self) -> str:
        """Short name for configuration and errors."""
        ...

    @property
    def label(self) -> Text:
        """Name for people."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What cards of this system can do."""
        ...

    def select(self, name: bytes) -> Operation[bytes]:
        """Select an application by name and return its file control information."""
        ...

    def read_binary(
        self, sfi: int, offset: int, size: int, key: MacKey | None = None
    ) -> Operation[bytes]:
        """Read from a transparent file; with a key under a MAC that the answer bears too."""
        ...

    def update_binary(
        self, sfi: int, offset: int, data: bytes, key: MacKey | None = None
    ) -> Operation[None]:
        """Write into a transparent file; with a key under a MAC."""
        ...

    def read_record(self, sfi: int, number: int, key: MacKey | None = None) -> Operation[bytes]:
        """Read a record by number; the newest of a cyclic file is 1."""
        ...

    def update_record(
        self, sfi: int, number: int, record: bytes, key: MacKey | None = None
    ) -> Operation[None]:
        """Write a record by number."""
        ...

    def append_record(self, sfi: int, record: bytes, key: MacKey | None = None) -> Operation[None]:
        """Append a record; a cyclic file forgets its oldest."""
        ...

    def get_challenge(self) -> Operation[bytes]:
        """Fetch random bytes of the card."""
        ...

    def authenticate(self, proof: Proof, guard: AttemptGuard) -> Operation[None]:
        """Prove a key to the card, under the guard of attempts."""
        ...

    def internal_authenticate(self, key_id: int, data: bytes) -> Operation[bytes]:
        """Let the card encrypt eight bytes under a key."""
        ...

    def verify_pin(self, pin: Pin, guard: AttemptGuard) -> Operation[None]:
        """Enter a PIN, under the guard of attempts."""
        ...

    def change_pin(self, old: Pin, new: bytes, guard: AttemptGuard) -> Operation[None]:
        """Change a PIN by who knows it."""
        ...

    def unblock_pin(self, new: Pin, key: UnblockKey, guard: AttemptGuard) -> Operation[None]:
        """Set a PIN under the issuer's unblocking key."""
        ...

    def reload_pin(self, new: Pin, key: ReloadKey, guard: AttemptGuard) -> Operation[None]:
        """Set a PIN under the issuer's reload key."""
        ...

    def create_file(self, fid: int, control: bytes) -> Operation[None]:
        """Create a file of its control information."""
        ...

    def write_key(
        self, place: tuple[int, int], header: bytes, key: object, under: WrappingKey
    ) -> Operation[None]:
        """Write a key at (P1, key id), wrapped under the control key in force."""
        ...
