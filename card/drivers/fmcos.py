# SPDX-License-Identifier: Apache-2.0
"""FMCOS 2.0 and the PBOC purse: the reference dialect, everything this SDK knows.

SM4 is a capability of the dialect as this SDK speaks it (ADR 0110); a chip without it refuses the
first SM4 key. Purse operations are those of `card.tap` and `card.purse`.
"""

from __future__ import annotations

from card.attempts import AttemptGuard
from card.commands import (
    append_record,
    create_file,
    read_binary,
    read_record,
    update_binary,
    update_record,
)
from card.drivers.capabilities import Capability
from card.drivers.iso7816 import Iso7816
from card.operation import Operation, exchange, fetch
from card.pin import Pin, ReloadKey, UnblockKey, change_pin, reload_pin, unblock_pin
from card.secure_messaging import (
    CHALLENGE_BYTES,
    MacKey,
    WrappingKey,
    maced,
    read_maced,
    write_wrapped,
)
from card.status_words import Text


class Fmcos(Iso7816):
    """Driver of FMCOS 2.0 cards."""

    name = "fmcos"
    label = Text("FMCOS 2.0（PBOC 钱包）", "FMCOS 2.0 (PBOC purse)")
    capabilities = frozenset(Capability)
    challenge_bytes = CHALLENGE_BYTES

    def read_binary(
        self, sfi: int, offset: int, size: int, key: MacKey | None = None
    ) -> Operation[bytes]:
        """Read from a transparent file."""
        command = read_binary(sfi, offset, size)
        if key is None:
            return (yield from fetch(command, size))
        return (yield from read_maced(command, key))

    def update_binary(
        self, sfi: int, offset: int, data: bytes, key: MacKey | None = None
    ) -> Operation[None]:
        """Write into a transparent file."""
        command = update_binary(sfi, offset, data)
        yield from exchange(command) if key is None else maced(command, key)

    def read_record(self, sfi: int, number: int, key: MacKey | None = None) -> Operation[bytes]:
        """Read a record by number."""
        command = read_record(sfi, number)
        if key is None:
            return (yield from exchange(command)).data
        return (yield from read_maced(command, key))

    def update_record(
        self, sfi: int, number: int, record: bytes, key: MacKey | None = None
    ) -> Operation[None]:
        """Write a record by number."""
        command = update_record(sfi, number, record)
        yield from exchange(command) if key is None else maced(command, key)

    def append_record(self, sfi: int, record: bytes, key: MacKey | None = None) -> Operation[None]:
        """Append a record."""
        command = append_record(sfi, record)
        yield from exchange(command) if key is None else maced(command, key)

    def change_pin(self, old: Pin, new: bytes, guard: AttemptGuard) -> Operation[None]:
        """Change a PIN by who knows it."""
        yield from change_pin(old, new, guard)

    def unblock_pin(self, new: Pin, key: UnblockKey, guard: AttemptGuard) -> Operation[None]:
        """Set a PIN under the unblocking key, encrypted and MACed."""
        yield from unblock_pin(new, key, guard)

    def reload_pin(self, new: Pin, key: ReloadKey, guard: AttemptGuard) -> Operation[None]:
        """Set a PIN under the reload key."""
        yield from reload_pin(new, key, guard)

    def create_file(self, fid: int, control: bytes) -> Operation[None]:
        """Create a file or directory."""
        yield from exchange(create_file(fid, control))

    def write_key(
        self, place: tuple[int, int], header: bytes, key: object, under: WrappingKey
    ) -> Operation[None]:
        """Write a key, encrypted and MACed under the directory's control key."""
        p1, key_id = place
        yield from write_wrapped(p1, key_id, header, key, under)
