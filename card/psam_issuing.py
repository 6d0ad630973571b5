# SPDX-License-Identifier: Apache-2.0
"""Personalisation of a purchase SAM: number, purchase key, and last its control key.

A PSAM is issued when its control key is replaced; until then 0015 and 0016 may be written. The
refusal of a write to 0016 is therefore how an issued one is recognised, and no key is ever tried
on it. Loading a key again is harmless, so the whole may be run again after a cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from card.attempts import AttemptGuard
from card.commands import select_fid, update_binary
from card.errors import (
    IssuedOtherwise,
    LayoutError,
    MacRejected,
    ReadBackMismatch,
    status_error,
)
from card.operation import Operation, exchange
from card.psam import (
    HARDWARE_KEY_INDEX,
    MF_FID,
    NUMBER_BYTES,
    NUMBER_SFI,
    PURCHASE_FID,
    SERIAL_OWN_BYTES,
    SERIAL_SFI,
    read_number,
    read_serial,
)
from card.secure_messaging import write_wrapped
from card.status_words import OK
from keys.usage import KeyUsage
from keys.working import TRANSPORT_KEY, WorkingKey

PURCHASE_KEY_USE = 0x22  # purchase, one level of diversification
CONTROL_KEY_USE = 0x39
PSAM_VERSION = 0x01
PSAM_KIND = 0x01

_ADD = 0x01
_ISSUED = 0x6982


class PsamKeySource(Protocol):
    """Any key store that serves PSAMs."""

    def card_key(self, usage: KeyUsage, version: int, diversifier8: bytes, /) -> WorkingKey:
        """Return the key of one card or PSAM."""
        ...

    def psam_purchase_key(self, version: int, /) -> WorkingKey:
        """Return the purchase master key as a handle."""
        ...


@dataclass(frozen=True, slots=True)
class PsamData:
    """Identity of one PSAM: serial, 10 bytes, and terminal number, 6 bytes."""

    serial: bytes
    number: bytes

    def __post_init__(self) -> None:
        if len(self.serial) != SERIAL_OWN_BYTES or len(self.number) != NUMBER_BYTES:
            raise LayoutError("PSAM", "serial has 10 bytes, number 6")
        if not any(self.number):
            raise LayoutError("PSAM", "number 0 means not issued")


@dataclass(frozen=True, slots=True)
class PsamKeys:
    """Keys of one PSAM: the purchase master key, its own control key, and the transport key."""

    purchase: WorkingKey
    control: WorkingKey
    transport: WorkingKey = TRANSPORT_KEY

    @classmethod
    def from_store(cls, store: PsamKeySource, serial: bytes, version: int) -> PsamKeys:
        """Take the keys of a PSAM from a store; its control key is diversified by its serial."""
        control = store.card_key(KeyUsage.PSAM_CONTROL, version, serial[2:])
        return cls(store.psam_purchase_key(version), control)


@dataclass(frozen=True, slots=True)
class PsamIssue:
    """How it ended: the number and how many commands changed the PSAM."""

    number: bytes
    writes: int


def personalise_psam(
    data: PsamData, keys: PsamKeys, guard: AttemptGuard | None = None
) -> Operation[PsamIssue]:
    """Issue a PSAM, or find that it was issued with the same identity.

    Args:
        data: Its serial and terminal number.
        keys: Its keys.
        guard: Where attempts left of its control key are remembered; a fresh one by default.

    Raises:
        GuardRefused, KeyDisagrees: The control key would be tried against the guard.
        IssuedOtherwise: It was issued before with another serial or number.
        ReadBackMismatch: It does not hold what was written.
        StatusError: It refused a command.
    """
    yield from exchange(select_fid(MF_FID))
    file_0015 = data.serial + bytes((PSAM_VERSION, PSAM_KIND, 0, 0))
    update = update_binary(NUMBER_SFI, 0, data.number)
    response = yield update
    if response.sw == _ISSUED:
        yield from _compare(file_0015, data.number, IssuedOtherwise)
        return PsamIssue(data.number, 0)
    if response.sw != OK:
        raise status_error(response.sw, update.ins)
    yield from exchange(update_binary(SERIAL_SFI, 0, file_0015))
    yield from _compare(file_0015, data.number, ReadBackMismatch)
    yield from exchange(select_fid(PURCHASE_FID))
    yield from _write_keys(keys, guard or AttemptGuard(), f"{data.serial.hex().upper()}/39-00")
    return PsamIssue(data.number, 4)


def _write_keys(keys: PsamKeys, guard: AttemptGuard, name: str) -> Operation[None]:
    """Write purchase key and control key under the transport key; a wrong MAC costs a try."""
    guard.check(name, keys.transport)
    try:
        header = bytes((PURCHASE_KEY_USE, keys.purchase.version, keys.purchase.algorithm.card_id))
        yield from write_wrapped(_ADD, HARDWARE_KEY_INDEX, header, keys.purchase, keys.transport)
        header = bytes((CONTROL_KEY_USE, keys.control.version, keys.control.algorithm.card_id))
        yield from write_wrapped(CONTROL_KEY_USE, 0, header, keys.control, keys.transport)
    except MacRejected:
        guard.note_wrong_mac(name)
        raise


def _compare(
    file_0015: bytes, number: bytes, error: type[IssuedOtherwise | ReadBackMismatch]
) -> Operation[None]:
    if (yield from read_number()) != number:
        raise error("0016")
    if (yield from read_serial()) != file_0015:
        raise error("0015")
