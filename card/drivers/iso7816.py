# SPDX-License-Identifier: Apache-2.0
"""Plain ISO/IEC 7816-4 cards: files, records, PINs, authentication; nothing else.

What such a card calls its keys and rights is its maker's affair, so this driver neither creates
files nor writes keys. It is also the base of drivers whose systems follow the standard further.
"""

from __future__ import annotations

from card.apdu import LE_MAX, CommandApdu
from card.attempts import AttemptGuard
from card.commands import (
    external_authenticate,
    get_challenge,
    internal_authenticate,
    read_binary,
    read_record,
    select_name,
    update_binary,
    update_record,
)
from card.drivers.capabilities import Capability
from card.errors import CapabilityMissing, status_error
from card.operation import Operation, exchange, fetch
from card.pin import Pin, ReloadKey, UnblockKey, verify_pin
from card.secure_messaging import MacKey, Proof, WrappingKey
from card.status_words import OK, Text

CHALLENGE_BYTES = 8
RESULT_BYTES = 8
_ENDED = 0x6282  # fewer bytes than were asked for: the file ended
_CHANGE_PIN = 0x24


class Iso7816:
    """Driver of plain ISO/IEC 7816-4 cards."""

    name = "iso7816"
    label = Text("ISO/IEC 7816-4 通用卡", "plain ISO/IEC 7816-4 card")
    capabilities = frozenset(
        {
            Capability.BINARY_FILES,
            Capability.RECORD_FILES,
            Capability.PIN,
            Capability.EXTERNAL_AUTHENTICATE,
            Capability.INTERNAL_AUTHENTICATE,
        }
    )
    challenge_bytes = CHALLENGE_BYTES

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def lacks(self, capability: Capability) -> CapabilityMissing:
        """Return the error of an operation the card has no command for."""
        need = Text("执行此操作", "for this operation")
        return CapabilityMissing(self.name, self.name, capability.label, need)

    def _plain(self, key: MacKey | None) -> None:
        if key is not None:
            raise self.lacks(Capability.SECURE_MESSAGING)

    def select(self, name: bytes) -> Operation[bytes]:
        """Select an application by name."""
        return (yield from exchange(select_name(name))).data

    def read_binary(
        self, sfi: int, offset: int, size: int, key: MacKey | None = None
    ) -> Operation[bytes]:
        """Read from a transparent file; fewer bytes where it ends."""
        self._plain(key)
        return (yield from exchange(read_binary(sfi, offset, size), (OK, _ENDED))).data

    def update_binary(
        self, sfi: int, offset: int, data: bytes, key: MacKey | None = None
    ) -> Operation[None]:
        """Write into a transparent file."""
        self._plain(key)
        yield from exchange(update_binary(sfi, offset, data))

    def read_record(self, sfi: int, number: int, key: MacKey | None = None) -> Operation[bytes]:
        """Read a record by number."""
        self._plain(key)
        return (yield from exchange(read_record(sfi, number, LE_MAX), (OK, _ENDED))).data

    def update_record(
        self, sfi: int, number: int, record: bytes, key: MacKey | None = None
    ) -> Operation[None]:
        """Write a record by number."""
        self._plain(key)
        yield from exchange(update_record(sfi, number, record))

    def append_record(self, sfi: int, record: bytes, key: MacKey | None = None) -> Operation[None]:
        """Append a record (ISO/IEC 7816-4 §7.3.6: low bits of P2 are 000)."""
        self._plain(key)
        yield from exchange(CommandApdu(0x00, 0xE2, 0x00, sfi << 3, record))

    def get_challenge(self) -> Operation[bytes]:
        """Fetch random bytes of the card."""
        size = self.challenge_bytes
        return (yield from fetch(get_challenge(size), size))

    def authenticate(self, proof: Proof, guard: AttemptGuard) -> Operation[None]:
        """Prove a key to the card.

        Raises:
            GuardRefused, KeyDisagrees: It is not tried.
            AuthenticationFailed, Blocked: It is wrong.
        """
        guard.check(proof.name, proof.key)
        challenge = yield from self.get_challenge()
        command = external_authenticate(proof.key_id, proof.key.cryptogram(challenge))
        response = yield command
        guard.note(proof.name, response.sw, proof.key)
        if response.sw != OK:
            raise status_error(response.sw, command.ins)

    def internal_authenticate(self, key_id: int, data: bytes) -> Operation[bytes]:
        """Let the card encrypt eight bytes."""
        return (yield from fetch(internal_authenticate(key_id, data), RESULT_BYTES))

    def verify_pin(self, pin: Pin, guard: AttemptGuard) -> Operation[None]:
        """Enter a PIN."""
        yield from verify_pin(pin, guard)

    def change_pin(self, old: Pin, new: bytes, guard: AttemptGuard) -> Operation[None]:
        """Change a PIN: CHANGE REFERENCE DATA, the old one and the new (§7.5.7)."""
        Pin(old.number, new, old.name)
        guard.check(old.name)
        response = yield CommandApdu(0x00, _CHANGE_PIN, 0x00, old.number, old.value + new)
        guard.note(old.name, response.sw)
        if response.sw != OK:
            raise status_error(response.sw, _CHANGE_PIN)

    def unblock_pin(self, new: Pin, key: UnblockKey, guard: AttemptGuard) -> Operation[None]:
        """Refuse: the standard unblocks with a code of the holder's, not with a key."""
        del new, key, guard
        raise self.lacks(Capability.PIN_UNBLOCK)

    def reload_pin(self, new: Pin, key: ReloadKey, guard: AttemptGuard) -> Operation[None]:
        """Refuse: the standard has no such command."""
        del new, key, guard
        raise self.lacks(Capability.PIN_RELOAD)

    def create_file(self, fid: int, control: bytes) -> Operation[None]:
        """Refuse: control information is each maker's own."""
        del fid, control
        raise self.lacks(Capability.CREATE_FILES)

    def write_key(
        self, place: tuple[int, int], header: bytes, key: object, under: WrappingKey
    ) -> Operation[None]:
        """Refuse: the standard has no such command."""
        del place, header, key, under
        raise self.lacks(Capability.WRITE_KEYS)
