# SPDX-License-Identifier: Apache-2.0
"""The driver of a purchase SAM in a card slot: the hardware side of `keys.psam.Psam`.

Files in the MF: 0015 serial (10 bytes, version, kind, 2 reserved), 0016 terminal number (6 bytes).
The purchase application is DF01. A command that steps the number is durable in the PSAM before its
answer comes; the PSAM compares MAC2 itself and never gives it out.
"""

from __future__ import annotations

from card.commands import (
    credit_sam_for_purchase,
    init_sam_for_purchase,
    read_binary,
    select_fid,
)
from card.errors import (
    Blocked,
    CounterExhausted,
    ForeignCard,
    KeyNotFound,
    MacRejected,
    StatusError,
)
from card.operation import Connection, Operation, exchange, fetch, run
from keys.psam import (
    Mac2Rejected,
    NoTransaction,
    PsamBlocked,
    PurchaseGrant,
    PurchaseRequest,
    UnknownKey,
)

MF_FID = 0x3F00
PURCHASE_FID = 0xDF01
SERIAL_SFI = 0x15
NUMBER_SFI = 0x16
SERIAL_BYTES = 14
NUMBER_BYTES = 6
SERIAL_OWN_BYTES = 10

HARDWARE_KEY_INDEX = 1
GRANT_BYTES = 8
_NO_TRANSACTION = 0x6901


def read_serial() -> Operation[bytes]:
    """Read file 0015 of the MF: serial 10, version 1, kind 1, reserved 2."""
    return (yield from fetch(read_binary(SERIAL_SFI, 0, SERIAL_BYTES), SERIAL_BYTES))


def read_number() -> Operation[bytes]:
    """Read file 0016 of the MF: the six-byte terminal number."""
    return (yield from fetch(read_binary(NUMBER_SFI, 0, NUMBER_BYTES), NUMBER_BYTES))


def open_psam() -> Operation[tuple[bytes, bytes]]:
    """Read serial and number, select the purchase application.

    Raises:
        ForeignCard: The card in the slot is no PSAM of this kind, or has no number yet.
    """
    try:
        yield from exchange(select_fid(MF_FID))
        serial = yield from read_serial()
        number = yield from read_number()
        yield from exchange(select_fid(PURCHASE_FID))
    except StatusError as exc:
        raise ForeignCard from exc
    if not any(number):
        raise ForeignCard
    return serial[:SERIAL_OWN_BYTES], number


def request_data(request: PurchaseRequest) -> bytes:
    """Return the 28 data bytes of INIT SAM FOR PURCHASE."""
    return b"".join(
        (
            request.rand,
            request.card_ctr.to_bytes(2, "big"),
            request.amount.to_bytes(4, "big"),
            bytes([request.kind]),
            request.date,
            request.time,
            bytes([request.key_version, request.algorithm]),
            request.diversifier,
        )
    )


class PsamCard:
    """A PSAM in a slot, ready to begin purchases.

    Args:
        connection: The slot.

    Raises:
        ForeignCard: The card in the slot is no PSAM of this kind, or has no number yet.
    """

    key_index = HARDWARE_KEY_INDEX
    hardware = True

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.serial, self.number = run(open_psam(), connection)

    def __repr__(self) -> str:
        return f"PsamCard(number={self.number.hex()})"

    def init_purchase(self, request: PurchaseRequest) -> PurchaseGrant:
        """Step the PSAM's number and return it with MAC1.

        Raises:
            UnknownKey: The PSAM has no purchase key of this version.
            PsamBlocked: Too many wrong MAC2 in a row, or the number is used up.
            CardError: The PSAM left or failed; the number may have stepped.
        """
        command = init_sam_for_purchase(request_data(request))
        try:
            data = run(fetch(command, GRANT_BYTES), self._connection)
        except KeyNotFound as exc:
            raise UnknownKey("purchase-psam", request.key_version) from exc
        except (Blocked, CounterExhausted) as exc:
            raise PsamBlocked(exc.meaning.en) from exc
        return PurchaseGrant(int.from_bytes(data[:4], "big"), data[4:])

    def credit_purchase(self, mac2: bytes) -> None:
        """Let the PSAM check the card's MAC2, once.

        Raises:
            Mac2Rejected: MAC2 is wrong.
            NoTransaction: No purchase was begun, or it was checked already.
            PsamBlocked: This was one wrong MAC2 too many.
        """
        try:
            run(exchange(credit_sam_for_purchase(mac2)), self._connection)
        except MacRejected as exc:
            raise Mac2Rejected from exc
        except Blocked as exc:
            raise PsamBlocked(exc.meaning.en) from exc
        except StatusError as exc:
            if exc.sw == _NO_TRANSACTION:
                raise NoTransaction from exc
            raise
